#include "lib/transfer/hasher.hpp"

#include <algorithm>

#include "lib/transfer/limits.hpp"

namespace longhaul::transfer {

std::uint32_t Hasher::round_of(std::uint32_t row) const {
  const auto it = rounds_.find(row);
  return it == rounds_.end() ? 0 : it->second;
}

HashWork::Item Hasher::item_for(std::uint32_t row, bool look_anew) const {
  HashWork::Item item;
  item.row = row;
  item.name = source_->rows.name(row).under(source_->root);
  item.seen = source_->rows.seen(row);
  item.look_anew = look_anew;
  item.round = round_of(row);
  return item;
}

std::optional<std::uint32_t> Hasher::next_row() {
  const auto& rows = source_->rows;
  while (row_ < rows.size() && !rows.is_open(row_)) ++row_;
  if (row_ == rows.size()) return std::nullopt;
  return static_cast<std::uint32_t>(row_++);
}

std::optional<Task> Hasher::next() {
  if (jobs_ >= kHashJobsMax) return std::nullopt;
  std::vector<HashWork::Item> items;
  if (!large_.empty()) {
    items.push_back(std::move(large_.front()));
    large_.erase(large_.begin());
  } else if (!again_.empty()) {
    items.push_back(item_for(again_.back(), true));
    again_.pop_back();
  } else {
    std::uint64_t bytes = 0;
    while (items.size() < kHashJobFiles && bytes < kHashJobBytes) {
      const auto row = next_row();
      if (!row) break;
      items.push_back(item_for(*row, false));
      bytes += source_->rows.bytes(*row);
    }
  }
  if (items.empty()) return std::nullopt;
  ++jobs_;
  return Task{JobClass::kDisk,
              std::make_unique<HashWork>(source_->files, std::move(items), stages_)};
}

Hasher::Outcome Hasher::take(HashWork& work) {
  ASSERT(jobs_ > 0);
  --jobs_;
  Outcome outcome;
  for (HashWork::Item& item : work.items) {
    if (item.round != round_of(item.row)) continue;
    Rows& rows = source_->rows;
    if (item.error) {
      if (!outcome.error) outcome.error = item.error;
      continue;
    }
    if (item.changed) {
      outcome.changed.push_back(item.row);
      continue;
    }
    if (item.look_anew) rows.look_anew(item.row, item.seen);
    for (const store::Piece& piece : item.pieces) outcome.bytes += piece.hole ? 0 : piece.length;
    rows.add_pieces(item.row, item.pieces);
    rows.set_hashed(item.row, item.done);
    if (item.done) {
      if (!item.content.empty()) keep(item.row, std::move(item.content));
      continue;
    }
    item.pieces.clear();
    item.look_anew = false;
    large_.push_back(std::move(item));
  }
  return outcome;
}

void Hasher::again(const std::vector<std::uint32_t>& rows) {
  for (const std::uint32_t row : rows) {
    ++rounds_[row];
    source_->rows.forget_pieces(row);
    drop_kept(row);
    std::erase_if(large_, [row](const HashWork::Item& item) { return item.row == row; });
    if (std::find(again_.begin(), again_.end(), row) == again_.end()) again_.push_back(row);
  }
}

void Hasher::keep(std::uint32_t row, Slice content) {
  drop_kept(row);
  kept_bytes_ += content.size();
  kept_.emplace(row, std::move(content));
  // Rows go out in order: the first is the one that should have left by now.
  while (kept_bytes_ > kKeptMax || kept_.size() > kKeptFilesMax) drop_kept(kept_.begin()->first);
}

void Hasher::drop_kept(std::uint32_t row) {
  const auto found = kept_.find(row);
  if (found == kept_.end()) return;
  kept_bytes_ -= found->second.size();
  kept_.erase(found);
}

Slice Hasher::take_kept(std::uint32_t row, std::uint64_t offset, std::uint32_t length) {
  const auto found = kept_.find(row);
  if (found == kept_.end() || offset + length > found->second.size()) return {};
  Slice part = found->second.part(static_cast<std::size_t>(offset), length);
  if (offset + length == found->second.size()) drop_kept(row);
  return part;
}

}  // namespace longhaul::transfer
