#include "lib/transfer/rows.hpp"

#include <algorithm>

namespace longhaul::transfer {

using store::EntryType;
using store::TreeName;

namespace {
bool is_link(EntryType type) {
  return type == EntryType::kSymlink || type == EntryType::kHardLink;
}

std::uint64_t sparse_bytes_of(const Row& row) {
  if (!row.is_file()) return 0;
  if (!row.hashed) return row.entry.size - std::min(row.entry.size, row.seen.allocated);
  std::uint64_t holes = 0;
  for (const store::Piece& piece : row.pieces) holes += piece.hole ? piece.length : 0;
  return holes;
}

}  // namespace

void Rows::push_back(const Row& row) {
  const store::Entry& entry = row.entry;
  const auto number = static_cast<std::uint32_t>(rows_.size());
  ASSERT(number != kNone);
  while (!open_.empty() && !entry.name.is_within(open_.back().second)) open_.pop_back();
  std::string_view below = entry.name.text();
  Packed packed;
  if (!open_.empty()) {
    packed.above = open_.back().first;
    below.remove_prefix(open_.back().second.text().size() + 1);
  }
  packed.size = is_link(entry.type) ? entry.target.size() : entry.size;
  packed.mtime = entry.mtime;
  packed.ctime = row.seen.ctime;
  packed.inode = row.seen.inode;
  packed.name_bytes = static_cast<std::uint16_t>(below.size());
  packed.device = number_of_device(row.seen.device);
  packed.mode = static_cast<std::uint16_t>(entry.mode);
  packed.type = entry.type;
  if (is_link(entry.type))
    packed.text = texts_.add(std::string(below) + entry.target);
  else
    packed.text = texts_.add(below);
  rows_.push_back(packed);
  sparse_bytes_ += sparse_bytes_of(row);
  if (entry.type == EntryType::kFolder) open_.emplace_back(number, entry.name);
  add_pieces(number, row.pieces);
  set_hashed(number, row.hashed);
}

// There are few: the file systems below one folder.
std::uint16_t Rows::number_of_device(std::uint64_t device) {
  const auto known = std::find(devices_.begin(), devices_.end(), device);
  const auto number = static_cast<std::size_t>(known - devices_.begin());
  if (known == devices_.end()) devices_.push_back(device);
  ASSERT(number <= 0xffff);
  return static_cast<std::uint16_t>(number);
}

Row Rows::at(std::size_t row) const {
  Row out;
  out.entry = entry(row);
  out.pieces = pieces(row);
  out.hashed = hashed(row);
  out.seen = seen(row);
  return out;
}

store::Entry Rows::entry(std::size_t row) const {
  const Packed& packed = rows_[row];
  store::Entry entry;
  entry.name = name(row);
  entry.type = packed.type;
  entry.mode = packed.mode;
  entry.mtime = packed.mtime;
  if (is_link(packed.type)) {
    const auto length = static_cast<std::size_t>(packed.size);
    entry.target = texts_.at(packed.text, packed.name_bytes + length).substr(packed.name_bytes);
  } else {
    entry.size = packed.size;
  }
  return entry;
}

TreeName Rows::name(std::size_t row) const {
  // From the deepest folder up; put together the other way round.
  std::string text;
  std::array<const Packed*, store::kTreeDepthMax> chain;
  std::size_t depth = 0, bytes = 0;
  for (auto at = static_cast<std::uint32_t>(row); at != kNone; at = chain[depth - 1]->above) {
    ASSERT(depth < chain.size());
    chain[depth++] = &rows_[at];
    bytes += chain[depth - 1]->name_bytes + std::size_t{1};
  }
  text.reserve(bytes);
  while (depth-- > 0) {
    if (!text.empty()) text += '/';
    text += texts_.at(chain[depth]->text, chain[depth]->name_bytes);
  }
  return TreeName::known(text);
}

store::FileStat Rows::seen(std::size_t row) const {
  const Packed& packed = rows_[row];
  store::FileStat seen;
  seen.type = store::FileType::kFile;
  seen.mode = packed.mode;
  seen.size = packed.size;
  seen.mtime = packed.mtime;
  seen.ctime = packed.ctime;
  seen.inode = packed.inode;
  seen.device = devices_[packed.device];
  return seen;
}

// --- pieces ---

Rows::PackedPiece Rows::pack(const store::Piece& piece) {
  if (!piece.hole) return {static_cast<std::uint32_t>(piece.length), piece.chunk};
  PackedPiece packed;
  store_le<std::uint64_t>(packed.id.writable(), piece.length);
  return packed;
}

store::Piece Rows::unpack(const PackedPiece& piece) {
  if (piece.length > 0) return {piece.length, false, piece.id};
  return {load_le<std::uint64_t>(piece.id.bytes()), true, {}};
}

std::size_t Rows::piece_count(std::size_t row) const {
  const std::uint32_t count = rows_[row].count;
  return count != kNone ? count : many_.at(static_cast<std::uint32_t>(row)).size();
}

const Rows::PackedPiece& Rows::packed(std::size_t row, std::size_t no) const {
  const Packed& packed = rows_[row];
  if (packed.count == kNone) return many_.at(static_cast<std::uint32_t>(row)).at(no);
  ASSERT(no < packed.count);
  return pieces_[packed.first + no];
}

store::Piece Rows::piece(std::size_t row, std::size_t no) const {
  return unpack(packed(row, no));
}

std::vector<store::Piece> Rows::pieces(std::size_t row) const {
  std::vector<store::Piece> out;
  const std::size_t count = piece_count(row);
  out.reserve(count);
  for (std::size_t i = 0; i < count; ++i) out.push_back(piece(row, i));
  return out;
}

void Rows::add_pieces(std::size_t row, std::span<const store::Piece> pieces) {
  if (pieces.empty()) return;
  Packed& packed = rows_[row];
  if (packed.count == 0) {
    packed.first = static_cast<std::uint32_t>(pieces_.size());
    packed.count = static_cast<std::uint32_t>(pieces.size());
    ASSERT(pieces_.size() + pieces.size() < kNone);
    for (const store::Piece& piece : pieces) pieces_.push_back(pack(piece));
    return;
  }
  auto& many = many_[static_cast<std::uint32_t>(row)];
  if (packed.count != kNone) {
    for (std::size_t i = 0; i < packed.count; ++i) many.push_back(pieces_[packed.first + i]);
    packed.count = kNone;
  }
  for (const store::Piece& piece : pieces) many.push_back(pack(piece));
}

void Rows::forget_pieces(std::size_t row) {
  many_.erase(static_cast<std::uint32_t>(row));
  rows_[row].count = 0;
  rows_[row].hashed = false;
}

void Rows::look_anew(std::size_t row, const store::FileStat& now) {
  Packed& packed = rows_[row];
  packed.size = now.size;
  packed.mtime = now.mtime;
  packed.ctime = now.ctime;
  packed.inode = now.inode;
  packed.device = number_of_device(now.device);
  packed.mode = static_cast<std::uint16_t>(now.mode & store::kModeMask);
}

}  // namespace longhaul::transfer
