#include "lib/transfer/site_memory.hpp"

#include <limits>

namespace longhaul::transfer {

namespace {
constexpr std::uint32_t kNone = std::numeric_limits<std::uint32_t>::max();

// For each name in walk order, the first behind all that lies below it.
std::vector<std::uint32_t> subtree_ends(const std::vector<std::uint8_t>& depth) {
  std::vector<std::uint32_t> ends(depth.size());
  std::vector<std::uint32_t> open;
  for (std::uint32_t i = 0; i <= depth.size(); ++i) {
    while (!open.empty() && (i == depth.size() || depth[i] <= depth[open.back()])) {
      ends[open.back()] = i;
      open.pop_back();
    }
    if (i < depth.size()) open.push_back(i);
  }
  return ends;
}

bool same(const Rows& rows, std::size_t row, const store::TreeWalk& walk) {
  if (rows.entry(row) != walk.entry()) return false;
  return !rows.is_file(row) || (rows.hashed(row) && rows.pieces(row) == walk.pieces());
}

std::uint8_t depth_of(const store::TreeName& name) {
  return static_cast<std::uint8_t>(name.depth());  // at most kTreeDepthMax
}
}  // namespace

bool IdSet::insert(const crypto::Digest& id) {
  if (contains(id)) return false;
  const auto number = static_cast<std::uint32_t>(begins_.size());
  begins_.push_back(begin_of(id));
  numbers_.add(begin_of(id), number, [this](std::uint32_t n) { return begins_[n]; });
  return true;
}

bool IdSet::contains(const crypto::Digest& id) const {
  const std::uint64_t begin = begin_of(id);
  return numbers_.find(begin, [&](std::uint32_t n) { return begins_[n] == begin; }).has_value();
}

BaseMatch::BaseMatch(const Rows& rows, const store::Tree& base)
    : base_of_(rows.size(), kNone),
      equal_(rows.size(), false),
      maybe_(rows.size(), false),
      rows_(&rows),
      late_(base) {
  std::vector<std::uint32_t> same_before(rows.size() + 1, 0);  // rows equal by themselves, counted
  std::vector<std::uint8_t> base_depth;
  std::size_t i = 0;
  store::TreeName name;  // of row i
  const auto pass = [&](bool is_same) {
    same_before[i + 1] = same_before[i] + (is_same ? 1U : 0U);
    depth_.push_back(depth_of(name));
    if (++i < rows.size()) name = rows.name(i);
  };
  if (rows.size() > 0) name = rows.name(0);
  for (store::TreeWalk walk(base); walk.next();) {
    const store::Entry& entry = walk.entry();
    while (i < rows.size() && name < entry.name) pass(false);
    if (i < rows.size() && name == entry.name) {
      base_of_[i] = static_cast<std::uint32_t>(base_depth.size());
      maybe_[i] = rows.is_open(i) && rows.entry(i) == entry;
      pass(same(rows, i, walk));
    }
    base_depth.push_back(depth_of(entry.name));
    if (entry.type != store::EntryType::kFile) continue;
    for (const store::Piece& piece : walk.pieces())
      if (!piece.hole) present_.insert(piece.chunk);
  }
  while (i < rows.size()) pass(false);
  row_end_ = subtree_ends(depth_);
  base_end_ = subtree_ends(base_depth);
  for (i = 0; i < rows.size(); ++i) {
    if (base_of_[i] == kNone) continue;
    const std::size_t mine = row_end_[i] - i;
    // As many names below as in the base, and each of mine is one of its: then they are all the
    // same.
    equal_[i] = mine == base_end_[base_of_[i]] - base_of_[i] &&
                same_before[row_end_[i]] - same_before[i] == mine;
  }
}

void BaseMatch::go_to(std::size_t row) {
  const store::TreeName name = rows_->name(row);
  while (late_->entry().name < name) {
    const bool found = late_->next();
    ASSERT(found);
  }
}

bool BaseMatch::is_late_same(std::size_t row) {
  if (!may_be_same(row) || !rows_->hashed(row)) return false;
  go_to(row);
  return same(*rows_, row, *late_);
}

std::vector<store::Piece> BaseMatch::base_pieces(std::size_t row) {
  if (row >= base_of_.size() || base_of_[row] == kNone || !rows_->is_file(row)) return {};
  go_to(row);
  if (late_->entry().type != store::EntryType::kFile) return {};
  return late_->pieces();
}

BaseMatch::Run BaseMatch::late_run_at(std::size_t row) {
  Run run;
  std::size_t end = row;
  while (end < maybe_.size() && depth_[end] == depth_[row] &&
         (end == row || base_of_[end] == base_of_[row] + run.rows) && is_late_same(end)) {
    ++end;
    ++run.rows;
  }
  if (run.rows > 0) run.more_siblings = run.rows - 1;
  return run;
}

BaseMatch::Run BaseMatch::run_at(std::size_t row) const {
  Run run;
  if (row >= equal_.size() || !equal_[row]) return run;
  std::size_t end = row_end_[row];
  std::size_t base_end = base_end_[base_of_[row]];
  while (end < equal_.size() && equal_[end] && base_of_[end] == base_end &&
         depth_[end] == depth_[row]) {
    base_end = base_end_[base_end];
    end = row_end_[end];
    ++run.more_siblings;
  }
  run.rows = end - row;
  return run;
}

}  // namespace longhaul::transfer
