// FolderSink: where a pull ends, an ordinary folder. Nothing in it changes before every byte is
// here; then each file takes its place by one rename. What is there already stays unless it is what
// a pull put there before and has not been touched since (`pulled`), or `force`; what is not in the
// tree stays unless `remove_others`. Staging lies in .longhaul of that folder, so that renames stay
// within one file system.
#pragma once

#include <map>
#include <unordered_map>

#include "lib/store/scan.hpp"
#include "lib/transfer/staged_sink.hpp"

namespace longhaul::transfer {

struct FolderOptions {
  bool force = false;                 // replace what was changed here
  bool remove_others = false;         // --delete
  std::optional<store::Tree> pulled;  // what the last pull left in this folder
};

class FolderSink final : public StagedSink {
 public:
  // The folder is the root of `files`. dataset: names the staging.
  FolderSink(std::shared_ptr<store::Files> files, std::string_view dataset, FolderOptions options);
  Result<Published> publish(const store::Tree& tree) override;

 protected:
  Result<Opened> prepare(const wire::Offer& offer) override;
  std::optional<LocalPlace> find_local(const store::ChunkId& chunk) override;

 private:
  struct Here {  // what stands in the folder, as its scan found it
    store::Entry entry;
    store::FileStat seen;
    std::vector<store::Piece> pieces;
  };
  Result<> check_conflicts(const store::Tree& tree);
  Result<> place(const store::Entry& entry, std::span<const store::Piece> pieces);
  Result<> clear_the_way(const store::Entry& entry);
  Result<> remove_others(const store::Tree& tree);
  bool is_as_pulled(const Here& here) const;
  bool is_same(const Here& here, const store::Entry& entry,
               std::span<const store::Piece> pieces) const;

  const FolderOptions options_;
  std::map<store::TreeName, Here> here_;
  std::unordered_map<store::ChunkId, LocalPlace> local_;  // only looked up
  std::map<store::TreeName, std::pair<store::Entry, std::vector<store::Piece>>> pulled_;
};

}  // namespace longhaul::transfer
