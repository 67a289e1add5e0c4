// Manifest: a tree's rows to segments and back. The writer numbers chunks as they pass. The reader
// takes segments in order and is the receiver's only source of names: everything goes through
// store::TreeBuilder, which judges names, order, modes, link targets and that pieces fill their
// file. Values of one strand; the reader may be moved through a job.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <vector>

#include "lib/store/tree.hpp"
#include "lib/transfer/rows.hpp"
#include "lib/wire/transfer.hpp"

namespace longhaul::transfer {

class ManifestWriter {
 public:
  ManifestWriter(wire::TransferId transfer, std::uint32_t attempt);
  // Starts the record of a row; a file's pieces follow, all of them before the next row.
  void begin(const store::Entry& entry);
  void piece(const store::Piece& piece);
  // The same of one that stands at that place in the base's file of this name.
  void base_piece(const store::Piece& piece, std::uint64_t place);
  // That name, all below it, and so many of its next siblings in the base with all below them are
  // as in the base.
  void same(const store::TreeName& name, std::uint64_t more_siblings);
  bool full() const { return bytes_ >= kFullBytes || segment_pieces_ >= wire::kSegmentPiecesMax; }
  bool empty() const { return segment_.records.empty(); }
  wire::Segment take();  // what was added since the last take()

  std::uint32_t segments() const { return segment_.number; }
  std::uint64_t chunks() const { return chunks_; }

 private:
  // One more record may add a name, a target and fixed fields to a segment that was not yet full.
  static constexpr std::size_t kFullBytes = wire::kSegmentBytesMax - 8192;
  void add(const store::TreeName& name, wire::Record record);
  using Pieces = wire::List<wire::Piece, wire::kSegmentPiecesMax>;
  Pieces& open_pieces();
  wire::Segment segment_;
  store::TreeName folder_;  // where the next record stands if its `up` is 0
  std::size_t bytes_ = 0;   // of the segment, about
  std::size_t segment_pieces_ = 0;
  std::uint64_t chunks_ = 0;
};

// Where a chunk belongs. Rows are counted over the whole manifest, without those of the base.
struct ChunkPlace {
  crypto::Digest id;
  std::uint64_t offset = 0;
  std::uint32_t row = 0;
  std::uint32_t length = 0;
};

class ManifestReader {
 public:
  explicit ManifestReader(std::optional<store::Tree> base);
  struct Added {
    std::uint32_t first_row = 0;
    std::vector<store::Entry> rows;
    bool file_open = false;          // the newest row is a file, and pieces of it may follow
    std::vector<ChunkPlace> chunks;  // in the order of their numbers
    std::uint64_t hole_bytes = 0;
    // As in the base, content and all: of these there may be a million in one segment.
    std::uint64_t base_files = 0, base_bytes = 0;
  };
  // Segments in order. After an error nothing of this manifest is to be used any more.
  Result<Added> add(const wire::Segment& segment);
  // The whole tree, once: judged, its totals and root those of the seal.
  Result<store::Tree> seal(const wire::Seal& seal);

 private:
  Result<> add_record(const wire::Record& record);
  Result<store::TreeName> place(const wire::Record& record);
  Result<> add_pieces(std::span<const wire::Piece> pieces);
  Result<> add_piece(const store::Piece& piece);
  Result<> add_base_part(const wire::BasePart& part);
  bool base_reaches(const store::TreeName& name);
  Result<> finish_file();  // the open one goes into the tree
  Result<> add_same(const store::TreeName& name, std::uint64_t more_siblings);
  Result<> charge(std::size_t memory_bytes);
  void add_row(const store::Entry& entry);

  std::optional<store::TreeWalk> base_;  // only forward, as the names come in order
  bool base_at_entry_ = false;           // base_ stands on an entry not yet used
  store::TreeBuilder builder_;
  Added added_;
  store::TreeName folder_;
  store::Entry file_;  // the newest row, a file not yet in the tree
  std::vector<store::Piece> file_pieces_;
  std::uint64_t file_bytes_ = 0;  // that they cover
  // Of the base's file of that name, once a part of it was named.
  std::optional<std::vector<store::Piece>> base_pieces_;
  std::size_t base_parts_pieces_ = 0;  // that parts of this segment stand for
  bool file_open_ = false;
  std::uint32_t segments_ = 0;
  std::uint64_t rows_ = 0;
  std::uint32_t own_rows_ = 0;  // of those, not from the base
  std::uint64_t chunks_ = 0;
  std::uint64_t bytes_ = 0;
  std::size_t memory_bytes_ = 0;
};

}  // namespace longhaul::transfer
