// SiteMemory: what this end believes the other holds of one dataset. Beliefs save bytes, never
// decide content: a wrong one costs at most one round trip, or that much data. The owner (a
// command, a daemon) keeps it between sessions and stores `unfinished` durably before the first
// byte leaves, so that a transfer whose process was killed is never begun as if it were new.
#pragma once

#include <optional>
#include <vector>

#include "lib/base/number_table.hpp"
#include "lib/store/tree.hpp"
#include "lib/transfer/rows.hpp"

namespace longhaul::transfer {

struct SiteMemory {
  bool unfinished =
      false;  // an earlier transfer of this dataset did not end: wait for what is staged
  std::optional<store::Tree> base;  // the version both ends hold
};

// Ids of chunks, each by its first 8 bytes: a million take 8 to 16 MB. Two that begin alike are
// taken for one: fit for beliefs, which cost a round trip where they are wrong.
class IdSet {
 public:
  bool insert(const crypto::Digest& id);  // whether it is new
  bool contains(const crypto::Digest& id) const;

 private:
  static std::uint64_t begin_of(const crypto::Digest& id) {
    return std::hash<crypto::Digest>{}(id);
  }
  Pile<std::uint64_t> begins_;
  NumberTable numbers_;  // of begins_
};

// What of a source is as in the base.
class BaseMatch {
 public:
  BaseMatch() = default;                                 // nothing
  BaseMatch(const Rows& rows, const store::Tree& base);  // rows outlive it
  // The longest run from this row of rows that one "same" record can name: rows covered (0: it
  // differs) and siblings named after the first.
  struct Run {
    std::size_t rows = 0;
    std::uint64_t more_siblings = 0;
  };
  Run run_at(std::size_t row) const;
  // A file that nobody had read when this was made, and that by size, mode and time is as in the
  // base: its bytes will tell.
  bool may_be_same(std::size_t row) const { return row < maybe_.size() && maybe_[row]; }
  // The run from such a row on, now that it is hashed: it, and its siblings as far as they are
  // known to be as in the base. Asked in rising order of rows.
  Run late_run_at(std::size_t row);
  bool believed_present(const crypto::Digest& chunk) const { return present_.contains(chunk); }
  // Of the base's file of that row's name; none: it has no such file. Rising rows, as above.
  std::vector<store::Piece> base_pieces(std::size_t row);

 private:
  bool is_late_same(std::size_t row);
  void go_to(std::size_t row);       // late_, to the entry of that row, which is in the base
  std::vector<std::uint8_t> depth_;  // components of each row's name
  std::vector<std::uint32_t> row_end_, base_end_;  // behind the subtree
  std::vector<std::uint32_t> base_of_;             // kNone, or the entry of that name in the base
  std::vector<bool> equal_;                        // with all below
  std::vector<bool> maybe_;
  const Rows* rows_ = nullptr;
  std::optional<store::TreeWalk> late_;  // on the entry of the last late row
  IdSet present_;
};

}  // namespace longhaul::transfer
