#include "proxy/dataset_memory.hpp"

#include "lib/store/manifest_file.hpp"
#include "proxy/files.hpp"

namespace longhaul::proxy {
namespace {

Result<store::TreeName> place_of(const std::string& site, const std::string& dataset,
                                 const char* what) {
  return store::TreeName::parse("datasets/" + site + "/" + dataset + "/" + what);
}

Result<store::TreeName> pull_folder(const PullPlace& place) {
  // The name holds no separator that a path or a dataset could not hold, but a NUL.
  std::string what = place.folder;
  what += '\0' + place.site + '\0' + place.dataset;
  return store::TreeName::parse("pulls/" + crypto::sha256(bytes_of(what)).hex().substr(0, 32));
}

Result<> note_coming(const std::string& state_folder, const PullPlace& place,
                     const store::Tree& tree) {
  const auto state = TRY(private_folder(state_folder));
  const store::TreeName folder = TRY(pull_folder(place));
  TRY(store::make_folders(*state, folder));
  return store::write_manifest(*state, TRY(folder.child("coming")), tree);
}

}  // namespace

transfer::SiteMemory load_memory(const App& app, const std::string& site,
                                 const std::string& dataset) {
  transfer::SiteMemory memory;
  const auto state = private_folder(app.home.state);
  const auto base = place_of(site, dataset, "base");
  const auto mark = place_of(site, dataset, "unfinished");
  if (!state || !base || !mark) return memory;
  memory.unfinished = (*state)->stat(*mark).has_value();
  auto tree = store::read_manifest(**state, *base);
  if (tree) memory.base = *std::move(tree);
  return memory;
}

Result<> mark_unfinished(const App& app, const std::string& site, const std::string& dataset) {
  const auto state = TRY(private_folder(app.home.state));
  const store::TreeName mark = TRY(place_of(site, dataset, "unfinished"));
  TRY(store::make_folders(*state, mark.parent()));
  return store::write_whole(*state, mark, bytes_of("a push is under way, or was cut short\n"));
}

void recall_pull(const App& app, const PullPlace& place, transfer::FolderOptions& options) {
  const std::string state_folder = app.home.state;
  options.before_placing = [state_folder, place](const store::Tree& tree) {
    return note_coming(state_folder, place, tree);
  };
  const auto state = private_folder(state_folder);
  const auto folder = pull_folder(place);
  if (!state || !folder) return;
  auto left = store::read_manifest(**state, folder->child("left").value());
  if (left) options.pulled = *std::move(left);
  auto coming = store::read_manifest(**state, folder->child("coming").value());
  if (coming) options.begun = *std::move(coming);
}

void keep_pull(const App& app, const PullPlace& place) {
  const auto state = private_folder(app.home.state);
  const auto folder = pull_folder(place);
  if (!state || !folder) return;
  static_cast<void>((*state)->rename(folder->child("coming").value(), folder->child("left").value(),
                                     store::Replace::kYes));
}

void keep_base(const App& app, const std::string& site, const std::string& dataset,
               const store::Tree& tree) {
  const auto state = private_folder(app.home.state);
  const auto base = place_of(site, dataset, "base");
  const auto mark = place_of(site, dataset, "unfinished");
  if (!state || !base || !mark) return;
  static_cast<void>(store::make_folders(**state, base->parent()));
  if (store::write_manifest(**state, *base, tree)) static_cast<void>((*state)->remove(*mark));
}

}  // namespace longhaul::proxy
