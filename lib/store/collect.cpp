#include "lib/store/collect.hpp"

#include "lib/store/publish.hpp"

namespace longhaul::store {

Result<> remove_version(Root& root, ChunkIndex& index, const DatasetName& dataset,
                        VersionNo version) {
  TRY(root.remove(dataset, version));
  TRY(index.forget_under(Root::folder_of(dataset, version)));
  const auto left = TRY(root.versions(dataset));
  if (left.empty()) return index.flush();
  const Tree tree = TRY(root.tree(dataset, left.back()));
  return index_tree(index, tree, Root::folder_of(dataset, left.back()));
}

Result<Collected> collect_staging(Root& root, const std::set<std::string>& in_use,
                                  WallTime older_than) {
  Collected collected;
  auto folder = TRY(root.files().open_folder(TreeName::known(".longhaul/staging")));
  std::vector<std::string> old;
  for (;;) {
    const auto found = TRY(folder->next(1024));
    if (found.empty()) break;
    for (const Found& entry : found) {
      if (in_use.contains(entry.name)) continue;
      // The journal is touched by every write; the folder's own time only by its making.
      const TreeName name = TRY(Root::staging_of(entry.name));
      const auto journal = root.files().stat(TreeName::known("journal").under(name));
      const WallTime touched = journal ? journal->mtime : entry.stat.mtime;
      if (touched < older_than) old.push_back(entry.name);
    }
  }
  for (const std::string& id : old) {
    const TreeName name = TRY(Root::staging_of(id));
    TRY(remove_tree(root.files(), name));
    ++collected.stagings;
  }
  return collected;
}

}  // namespace longhaul::store
