// Root: the folder a site keeps everything in, held by one process at a time (docs/store.md,
// "Layout"). A version is a read-only folder of plain files; it exists exactly if both
// datasets/NAME/vNNNNNN and .longhaul/manifests/NAME/vNNNNNN do and no tombstone stands beside the
// manifest. `current` names the newest. Opening locks the root and finishes or undoes whatever a
// crash cut short. Numbers rise and are never used twice.
//
// Thread-safe: publishing and removing take turns.
#pragma once

#include <compare>
#include <memory>
#include <mutex>
#include <optional>
#include <set>
#include <vector>

#include "lib/base/ids.hpp"
#include "lib/store/files.hpp"
#include "lib/store/staging.hpp"
#include "lib/store/tree.hpp"

namespace longhaul::store {

using VersionNo = Id<struct VersionTag, std::uint32_t>;  // 1 to 999999

// Letters, digits, '.', '_', '-'; starts with a letter or digit; at most 200 bytes.
class DatasetName {
 public:
  static Result<DatasetName> parse(std::string_view raw);
  const std::string& text() const { return name_.text(); }
  const TreeName& name() const { return name_; }
  std::strong_ordering operator<=>(const DatasetName&) const = default;

 private:
  explicit DatasetName(TreeName name) : name_(std::move(name)) {}
  TreeName name_;
};

std::string to_text(VersionNo version);                         // "v000042"
std::optional<VersionNo> parse_version(std::string_view text);  // of exactly that form

class Root {
 public:
  static Result<std::unique_ptr<Root>> open(Files& files);  // kBusy: another process has it

  Result<std::vector<DatasetName>> datasets();
  Result<std::vector<VersionNo>> versions(const DatasetName& dataset);  // rising
  Result<Tree> tree(const DatasetName& dataset, VersionNo version);     // its manifest
  Result<WallTime> published_at(const DatasetName& dataset, VersionNo version);
  Result<crypto::Digest> root_of(const DatasetName& dataset, VersionNo version);
  // The newest version with this root.
  Result<std::optional<VersionNo>> find(const DatasetName& dataset, const crypto::Digest& root);

  static TreeName folder_of(const DatasetName& dataset, VersionNo version);
  static TreeName manifest_of(const DatasetName& dataset, VersionNo version);
  // Where a transfer is staged; `id` is a short name of its own, e.g. hex.
  static Result<TreeName> staging_of(std::string_view id);

  // Makes the folders that commit() will put names into; must come before the staged tree is
  // synced.
  Result<> make_room(const DatasetName& dataset);
  // Puts the staged tree, complete and synced, under its final name; see publish.hpp for all that
  // must come before. Returns when it is durable.
  Result<VersionNo> commit(const DatasetName& dataset, const Tree& tree, const TreeName& staged);
  // Removes a version for good. Its files that later versions share stay with those.
  Result<> remove(const DatasetName& dataset, VersionNo version);

  Files& files() const { return files_; }

 private:
  Root(Files& files, std::unique_ptr<FileLock> lock) : files_(files), lock_(std::move(lock)) {}
  Result<> repair();
  Result<> repair_dataset(const DatasetName& dataset);
  Result<> finish_removal(const DatasetName& dataset, VersionNo version);
  Result<> point_current(const DatasetName& dataset);
  Result<> empty_trash();
  struct Listed {
    std::vector<VersionNo> manifests, tombstones;
  };
  Result<Listed> list_manifests(const DatasetName& dataset);
  Result<std::vector<VersionNo>> list_folders(const DatasetName& dataset);

  Files& files_;
  const std::unique_ptr<FileLock> lock_;
  std::mutex mutex_;            // one change at a time
  std::set<TreeName> durable_;  // folders of ours whose names this process has synced
};

}  // namespace longhaul::store
