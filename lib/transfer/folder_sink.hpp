// FolderSink: where a pull ends, an ordinary folder. Nothing in it changes before every byte is
// here; then each file takes its place by one rename. What is there already stays unless it is what
// a pull put there before and has not been touched since (`pulled`, `begun`), or `force`; what is
// not in the tree stays unless `remove_others`, and then what a pull put there and somebody changed
// since stays unless `force`, too. Everything is looked at again just before it is replaced or
// removed. Staging lies in .longhaul of that folder, so that renames stay within one file system;
// it is gone when the pull is done.
#pragma once

#include <functional>
#include <map>
#include <unordered_map>

#include "lib/store/scan.hpp"
#include "lib/transfer/staged_sink.hpp"

namespace longhaul::transfer {

struct FolderOptions {
  bool force = false;                 // replace what was changed here
  bool remove_others = false;         // --delete
  std::optional<store::Tree> pulled;  // what the last pull left in this folder
  std::optional<store::Tree> begun;   // what one that was cut short had begun to place
  // Told before the first name changes, so that a pull that is cut short there is known as `begun`
  // to the next one; an error ends the pull. May be null.
  std::function<Result<>(const store::Tree&)> before_placing;
};

class FolderSink final : public StagedSink {
 public:
  // The folder is the root of `files`. dataset: names the staging.
  FolderSink(std::shared_ptr<store::Files> files, std::string_view dataset, FolderOptions options);
  Result<Published> publish(const store::Tree& tree) override;

 protected:
  Result<Opened> prepare(const wire::Offer& offer) override;
  std::optional<LocalPlace> find_local(const store::ChunkId& chunk) override;
  std::uint64_t may_stay() const override;

 private:
  struct Here {  // what stands in the folder, as its scan found it
    store::Entry entry;
    store::FileStat seen;
    std::vector<store::Piece> pieces;
    bool unread = false;  // a file whose pieces nobody knows
  };
  Result<> look_around();
  Result<> read_here(Here& here);
  Result<> check_conflicts(const store::Tree& tree);
  Result<> check_removals(const store::Tree& tree);
  Result<> check_unchanged(const store::TreeName& name);
  bool holds_all(const store::Tree& tree) const;
  Result<> place(const store::Entry& entry, std::span<const store::Piece> pieces);
  Result<> keep(const store::Entry& entry);
  Result<> place_link(const store::Entry& entry);
  Result<> clear_the_way(const store::Entry& entry);
  Result<> check_all_pulled(const store::TreeName& folder);
  Result<> remove_others(const store::Tree& tree);
  bool is_as_pulled(const Here& here) const;
  bool is_same(const Here& here, const store::Entry& entry,
               std::span<const store::Piece> pieces) const;

  const FolderOptions options_;
  std::map<store::TreeName, Here> here_;
  std::unordered_map<store::ChunkId, LocalPlace> local_;  // only looked up
  using Left = std::map<store::TreeName, std::pair<store::Entry, std::vector<store::Piece>>>;
  static Left listed(const std::optional<store::Tree>& tree);
  bool is_as_in(const Left& left, const Here& here) const;
  const Left pulled_, begun_;  // what pulls put here, by name
  // Files with several names whose mode or time this pull has set, by device and inode.
  std::map<std::pair<std::uint64_t, std::uint64_t>, store::FileStat> touched_;
};

}  // namespace longhaul::transfer
