#include "lib/store/version.hpp"

#include <algorithm>

#include "lib/base/escape.hpp"
#include "lib/store/manifest_file.hpp"

namespace longhaul::store {
namespace {

constexpr std::size_t kDatasetBytesMax = 200;
constexpr std::uint32_t kVersionMax = 999'999;
constexpr std::string_view kRemoved = ".removed";

TreeName own(const char* name) {
  return TreeName::known(name);
}
const char* const kDatasets = "datasets";
const char* const kManifests = ".longhaul/manifests";
const char* const kTrash = ".longhaul/trash";

// Names in a folder; none if there is no such folder.
Result<std::vector<Found>> list(Files& files, const TreeName& name) {
  std::vector<Found> all;
  auto folder = files.open_folder(name);
  if (!folder && folder.error().kind() == Kind::kNotFound) return all;
  if (!folder) return fail(folder.error());
  for (;;) {
    auto found = TRY((*folder)->next(1024));
    if (found.empty()) return all;
    std::move(found.begin(), found.end(), std::back_inserter(all));
  }
}

Result<> remove_if_there(Files& files, const TreeName& name) {
  auto removed = files.remove(name);
  if (!removed && removed.error().kind() == Kind::kNotFound) return {};
  return removed;
}

}  // namespace

Result<DatasetName> DatasetName::parse(std::string_view raw) {
  const auto is_word = [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9');
  };
  const bool fine = !raw.empty() && raw.size() <= kDatasetBytesMax && is_word(raw.front()) &&
                    std::all_of(raw.begin(), raw.end(), [&](char c) {
                      return is_word(c) || c == '.' || c == '_' || c == '-';
                    });
  if (!fine)
    return fail(
        Kind::kUsage, "use the dataset name \"" + printable(raw, 80) + "\"",
        "a name has letters, digits, '.', '_' and '-', begins with a letter or digit and is "
        "at most 200 long");
  return DatasetName(TreeName::known(raw));
}

std::string to_text(VersionNo version) {
  std::string digits = std::to_string(version.value());
  return "v" + std::string(digits.size() < 6 ? 6 - digits.size() : 0, '0') + digits;
}

std::optional<VersionNo> parse_version(std::string_view text) {
  if (text.size() != 7 || text[0] != 'v') return std::nullopt;
  std::uint32_t number = 0;
  for (const char c : text.substr(1)) {
    if (c < '0' || c > '9') return std::nullopt;
    number = number * 10 + static_cast<std::uint32_t>(c - '0');
  }
  return number == 0 ? std::nullopt : std::optional(VersionNo(number));
}

TreeName Root::folder_of(const DatasetName& dataset, VersionNo version) {
  return own(to_text(version).c_str()).under(dataset.name().under(own(kDatasets)));
}
TreeName Root::manifest_of(const DatasetName& dataset, VersionNo version) {
  return own(to_text(version).c_str()).under(dataset.name().under(own(kManifests)));
}
Result<TreeName> Root::staging_of(std::string_view id) {
  return own(".longhaul/staging").child(id);
}

Result<std::unique_ptr<Root>> Root::open(Files& files) {
  TRY(make_folders(files, own(".longhaul")));
  auto lock = files.lock(own(".longhaul/lock"));
  if (!lock && lock.error().kind() == Kind::kBusy)
    return fail(Kind::kBusy, "open the store",
                "another longhaul-streamer is using this root; stop it first");
  if (!lock) return fail(lock.error());
  std::unique_ptr<Root> root(new Root(files, *std::move(lock)));
  for (const char* folder : {kDatasets, kManifests, kTrash, ".longhaul/staging"})
    TRY(make_folders(files, own(folder)));
  TRY(root->repair());
  return root;
}

// A folder that is there may have been made by a process that died before it was synced, so each
// process syncs each once, unless one call will soon sync everything.
Result<> Root::make_room(const DatasetName& dataset) {
  const std::lock_guard lock(mutex_);
  for (const char* place : {kDatasets, kManifests}) {
    const TreeName folder = dataset.name().under(own(place));
    TRY(make_folders(files_, folder));
    if (files_.sync_all_reports()) continue;
    for (TreeName at = folder; !at.is_root() && !durable_.contains(at); at = at.parent()) {
      TRY(files_.sync_folder(at.parent()));
      durable_.insert(at);
    }
  }
  return {};
}

Result<Root::Listed> Root::list_manifests(const DatasetName& dataset) {
  Listed listed;
  const auto found = TRY(list(files_, dataset.name().under(own(kManifests))));
  for (const Found& entry : found) {
    std::string_view text = entry.name;
    const bool tombstone = text.ends_with(kRemoved);
    if (tombstone) text.remove_suffix(kRemoved.size());
    if (const auto version = parse_version(text))
      (tombstone ? listed.tombstones : listed.manifests).push_back(*version);
  }
  std::sort(listed.manifests.begin(), listed.manifests.end());
  std::sort(listed.tombstones.begin(), listed.tombstones.end());
  return listed;
}

Result<std::vector<VersionNo>> Root::list_folders(const DatasetName& dataset) {
  std::vector<VersionNo> folders;
  const auto found = TRY(list(files_, dataset.name().under(own(kDatasets))));
  for (const Found& entry : found)
    if (const auto version = parse_version(entry.name);
        version && entry.stat.type == FileType::kFolder)
      folders.push_back(*version);
  std::sort(folders.begin(), folders.end());
  return folders;
}

Result<std::vector<DatasetName>> Root::datasets() {
  std::vector<DatasetName> all;
  const auto found = TRY(list(files_, own(kManifests)));
  for (const Found& entry : found)
    if (auto name = DatasetName::parse(entry.name)) all.push_back(*std::move(name));
  std::sort(all.begin(), all.end());
  return all;
}

Result<std::vector<VersionNo>> Root::versions(const DatasetName& dataset) {
  const Listed listed = TRY(list_manifests(dataset));
  const auto folders = TRY(list_folders(dataset));
  std::vector<VersionNo> whole;
  for (const VersionNo version : listed.manifests)
    if (std::binary_search(folders.begin(), folders.end(), version) &&
        !std::binary_search(listed.tombstones.begin(), listed.tombstones.end(), version))
      whole.push_back(version);
  return whole;
}

Result<Tree> Root::tree(const DatasetName& dataset, VersionNo version) {
  return read_manifest(files_, manifest_of(dataset, version));
}

Result<WallTime> Root::published_at(const DatasetName& dataset, VersionNo version) {
  const FileStat stat = TRY(files_.stat(manifest_of(dataset, version)));
  return stat.mtime;  // a manifest is written once, at publication
}

Result<crypto::Digest> Root::root_of(const DatasetName& dataset, VersionNo version) {
  return read_manifest_root(files_, manifest_of(dataset, version));
}

Result<std::optional<VersionNo>> Root::find(const DatasetName& dataset,
                                            const crypto::Digest& root) {
  const auto all = TRY(versions(dataset));
  for (auto version = all.rbegin(); version != all.rend(); ++version) {
    const auto here = root_of(dataset, *version);
    if (here && *here == root) return std::optional(*version);
  }
  return std::optional<VersionNo>();
}

Result<> Root::repair() {
  const auto all = TRY(datasets());
  for (const DatasetName& dataset : all) TRY(repair_dataset(dataset));
  TRY(empty_trash());
  // A staging whose tree was published but that was not cleared away.
  const auto stagings = TRY(list(files_, own(".longhaul/staging")));
  for (const Found& entry : stagings) {
    const TreeName name = TRY(staging_of(entry.name));
    const auto tree = files_.stat(own("tree").under(name));
    if (!tree && tree.error().kind() == Kind::kNotFound) TRY(remove_tree(files_, name));
  }
  return {};
}

Result<> Root::repair_dataset(const DatasetName& dataset) {
  const Listed listed = TRY(list_manifests(dataset));
  const auto folders = TRY(list_folders(dataset));
  const auto has_folder = [&](VersionNo version) {
    return std::binary_search(folders.begin(), folders.end(), version);
  };
  // What is seen here may never have been synced by the process that died: names first, so that
  // nothing is taken for published or removed that power loss could still undo.
  if (!folders.empty()) TRY(files_.sync_folder(dataset.name().under(own(kDatasets))));
  if (!folders.empty()) TRY(files_.sync_folder(dataset.name().under(own(kManifests))));
  for (const VersionNo version : listed.tombstones)
    if (has_folder(version) ||
        std::binary_search(listed.manifests.begin(), listed.manifests.end(), version))
      TRY(finish_removal(dataset, version));
  for (const VersionNo version : listed.manifests)
    if (!has_folder(version)) TRY(remove_if_there(files_, manifest_of(dataset, version)));
  const auto whole = TRY(versions(dataset));
  for (const VersionNo version : whole) {
    const auto stat = TRY(files_.stat(folder_of(dataset, version)));
    if ((stat.mode & 0222U) != 0) TRY(files_.set_mode(folder_of(dataset, version), 0555));
  }
  return point_current(dataset);
}

// `current` by a link beside it and a rename: whoever follows it finds the old version or the new.
// Not synced: every open of the root sets it right.
Result<> Root::point_current(const DatasetName& dataset) {
  const TreeName folder = dataset.name().under(own(kDatasets));
  const TreeName current = own("current").under(folder);
  const auto all = TRY(versions(dataset));
  if (all.empty()) {
    if (!files_.stat(folder)) return {};
    return remove_if_there(files_, current);
  }
  const std::string target = to_text(all.back());
  const auto now = files_.read_link(current);
  if (now && *now == target) return {};
  const TreeName beside = own("current.new").under(folder);
  TRY(remove_if_there(files_, beside));
  TRY(files_.make_link(target, beside));
  return files_.rename(beside, current, Replace::kYes);
}

Result<VersionNo> Root::commit(const DatasetName& dataset, const Tree& tree,
                               const TreeName& staged) {
  const std::lock_guard lock(mutex_);
  const Listed listed = TRY(list_manifests(dataset));
  const auto folders = TRY(list_folders(dataset));
  std::uint32_t newest = 0;
  for (const auto* numbers : {&listed.manifests, &listed.tombstones, &folders})
    if (!numbers->empty()) newest = std::max(newest, numbers->back().value());
  if (newest >= kVersionMax)
    return fail(Kind::kLimit, "publish " + dataset.text(), "it has used up its version numbers");
  const VersionNo version(newest + 1);
  const TreeName folder = folder_of(dataset, version), manifest = manifest_of(dataset, version);
  // The manifest first: a folder without one would be no version, and its bytes of no use.
  auto written = write_manifest(files_, manifest, tree);
  if (written) written = files_.rename(staged, folder, Replace::kNo);
  if (!written) {
    (void)remove_if_there(files_, manifest);  // else the next open does
    return fail(written.error());
  }
  if (auto synced = files_.sync_folder(folder.parent()); !synced) {
    (void)files_.rename(folder, staged, Replace::kNo);  // nobody may see what may not last
    (void)remove_if_there(files_, manifest);
    return fail(synced.error());
  }
  // Committed. What follows only makes it handy, and the next open would repair it.
  (void)point_current(dataset);
  (void)files_.set_mode(folder, 0555);
  return version;
}

Result<> Root::remove(const DatasetName& dataset, VersionNo version) {
  const std::lock_guard lock(mutex_);
  const auto all = TRY(versions(dataset));
  if (!std::binary_search(all.begin(), all.end(), version))
    return fail(Kind::kNotFound, "remove " + dataset.text() + "@" + to_text(version),
                "there is no such version");
  // The tombstone decides: from here the version is gone, a crash only delays the cleaning. It
  // stays, empty, so that the number is never given out again.
  const TreeName manifest = manifest_of(dataset, version);
  const TreeName tombstone =
      TRY(manifest.parent().child(std::string(manifest.last()) + std::string(kRemoved)));
  TRY(files_.open(tombstone, Access::kOpenOrCreate));
  TRY(files_.sync_folder(tombstone.parent()));
  TRY(finish_removal(dataset, version));
  return empty_trash();
}

Result<> Root::finish_removal(const DatasetName& dataset, VersionNo version) {
  TRY(point_current(dataset));
  const TreeName folder = folder_of(dataset, version);
  const TreeName trash = TRY(own(kTrash).child(dataset.text() + "-" + to_text(version)));
  if (files_.stat(folder)) {
    TRY(remove_tree(files_, trash));
    TRY(files_.set_mode(folder, 0755));  // moving a folder changes its ".."
    TRY(files_.rename(folder, trash, Replace::kNo));
  }
  return remove_if_there(files_, manifest_of(dataset, version));
}

Result<> Root::empty_trash() {
  const auto found = TRY(list(files_, own(kTrash)));
  for (const Found& entry : found) {
    const TreeName name = TRY(own(kTrash).child(entry.name));
    TRY(remove_tree(files_, name));
  }
  return {};
}

}  // namespace longhaul::store
