// Rows: the names of one tree as it crosses the link, with what each is and, for a file, the pieces
// its bytes are made of. A sender's rows come from a walk (push) or a published version (pull);
// files whose pieces the scan cache did not know are hashed while the transfer runs.
//
// A million files must fit into little memory (docs/transfer.md, "Memory"), so a row is kept
// packed: about 110 bytes for a small file, its one piece included. Read the field you need; at()
// and entry() put a whole one together. May be read from any thread while nothing is changed.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <span>
#include <vector>

#include "lib/base/pile.hpp"
#include "lib/store/entry.hpp"
#include "lib/store/files.hpp"

namespace longhaul::transfer {

struct Row {
  store::Entry entry;
  std::vector<store::Piece> pieces;  // file
  bool hashed = false;               // file: pieces cover its size
  store::FileStat seen;              // file of a walk: what it saw, the guard against change

  bool is_file() const { return entry.type == store::EntryType::kFile; }
};

class Rows {
 public:
  // In TreeName order. What was seen is a file with the entry's size and time.
  void push_back(const Row& row);
  std::size_t size() const { return rows_.size(); }

  Row at(std::size_t row) const;
  store::Entry entry(std::size_t row) const;
  store::TreeName name(std::size_t row) const;
  store::FileStat seen(std::size_t row) const;
  std::vector<store::Piece> pieces(std::size_t row) const;

  store::EntryType type(std::size_t row) const { return rows_[row].type; }
  bool is_file(std::size_t row) const { return type(row) == store::EntryType::kFile; }
  bool hashed(std::size_t row) const { return rows_[row].hashed; }
  // A file whose content is not known yet.
  bool is_open(std::size_t row) const { return is_file(row) && !hashed(row); }
  std::uint64_t bytes(std::size_t row) const { return is_file(row) ? rows_[row].size : 0; }
  // Of all files together, as they came: so much of their sizes takes no room, or more.
  std::uint64_t sparse_bytes() const { return sparse_bytes_; }
  std::size_t piece_count(std::size_t row) const;
  store::Piece piece(std::size_t row, std::size_t no) const;
  const crypto::Digest& chunk(std::size_t row, std::size_t no) const { return packed(row, no).id; }

  void add_pieces(std::size_t row, std::span<const store::Piece> pieces);
  void set_hashed(std::size_t row, bool hashed) { rows_[row].hashed = hashed; }
  void forget_pieces(std::size_t row);  // it is to be hashed anew
  void look_anew(std::size_t row, const store::FileStat& now);

 private:
  static constexpr std::uint32_t kNone = ~0U;
  struct Packed {
    std::uint64_t size = 0;  // of a link: the length of its target, which follows the name
    WallTime mtime, ctime;
    std::uint64_t inode = 0;
    std::uint64_t text = 0;       // in texts_: the name below the row `above`
    std::uint32_t above = kNone;  // none: the whole name
    std::uint32_t first = 0;      // in pieces_
    std::uint32_t count = 0;      // there; kNone: in many_
    std::uint16_t name_bytes = 0;
    std::uint16_t device = 0;  // in devices_
    std::uint16_t mode = 0;
    store::EntryType type = store::EntryType::kFile;
    bool hashed = false;
  };
  struct PackedPiece {
    std::uint32_t length = 0;  // 0: a hole, whose length stands in the id
    crypto::Digest id;
  };
  static_assert(sizeof(Packed) == 64 && sizeof(PackedPiece) == 36);
  static PackedPiece pack(const store::Piece& piece);
  static store::Piece unpack(const PackedPiece& piece);
  const PackedPiece& packed(std::size_t row, std::size_t no) const;
  std::uint16_t number_of_device(std::uint64_t device);

  Pile<Packed> rows_;
  TextPile texts_;
  Pile<PackedPiece> pieces_;
  std::map<std::uint32_t, std::vector<PackedPiece>> many_;  // files whose pieces came in portions
  std::uint64_t sparse_bytes_ = 0;
  std::vector<std::uint64_t> devices_;
  std::vector<std::pair<std::uint32_t, store::TreeName>> open_;  // folders around the newest row
};

struct Source {
  std::shared_ptr<store::Files> files;
  store::TreeName root;  // rows are named below it
  Rows rows;
  // Called in a job, once, when the peer has all of it and it is durable there; none: nothing to
  // do.
  std::function<void()> delivered{};
};

}  // namespace longhaul::transfer
