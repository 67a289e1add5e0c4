#include "proxy/dataset_memory.hpp"

#include "lib/store/manifest_file.hpp"
#include "proxy/files.hpp"

namespace longhaul::proxy {
namespace {

Result<store::TreeName> place_of(const std::string& site, const std::string& dataset,
                                 const char* what) {
  return store::TreeName::parse("datasets/" + site + "/" + dataset + "/" + what);
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
