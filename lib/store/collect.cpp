#include "lib/store/collect.hpp"

#include <set>

#include "lib/store/publish.hpp"
#include "lib/store/staging.hpp"

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

namespace {

// The journal is touched by every write; the folder's own time only by its making.
Result<WallTime> touched(Files& files, const TreeName& staging) {
  const auto journal = files.stat(TreeName::known("journal").under(staging));
  if (journal) return journal->mtime;
  return TRY(files.stat(staging)).mtime;
}

// Under the lock that a transfer takes before it looks: none begins or goes on meanwhile.
Result<> collect_one(Files& files, const TreeName& staging, WallTime older_than,
                     Collected& collected) {
  const TreeName lock_name = staging_lock(staging);
  const auto lock = files.lock(lock_name);
  if (!lock && lock.error().kind() == Kind::kBusy) return {};
  if (!lock) return fail(lock.error());
  const auto when = touched(files, staging);
  if (!when && when.error().kind() != Kind::kNotFound) return fail(when.error());
  if (when && !(*when < older_than)) return {};
  TRY(remove_tree(files, staging));
  if (when) ++collected.stagings;
  // The lock goes while it is held: whoever waits for it finds its file gone and makes another.
  return files.remove(lock_name);
}

}  // namespace

Result<Collected> collect_staging(Files& files, WallTime older_than) {
  Collected collected;
  std::set<std::string> ids;
  const auto folder = files.open_folder(TreeName::known(".longhaul/staging"));
  if (!folder && folder.error().kind() == Kind::kNotFound) return collected;
  if (!folder) return fail(folder.error());
  for (;;) {
    const auto found = TRY((*folder)->next(1024));
    if (found.empty()) break;
    for (const Found& entry : found) {
      std::string_view id = entry.name;
      if (id.ends_with(kStagingLockEnd)) id.remove_suffix(kStagingLockEnd.size());
      ids.emplace(id);
    }
  }
  std::optional<Error> first;  // one that cannot be removed keeps none of the others
  for (const std::string& id : ids) {
    const auto staging = Root::staging_of(id);
    if (!staging) continue;  // no name of ours
    const auto gone = collect_one(files, *staging, older_than, collected);
    if (!gone && !first) first = gone.error();
  }
  if (first) return fail(*first);
  return collected;
}

}  // namespace longhaul::store
