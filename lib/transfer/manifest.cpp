#include "lib/transfer/manifest.hpp"

#include "lib/transfer/limits.hpp"

namespace longhaul::transfer {

using store::EntryType;
using store::TreeName;
using wire::RecordType;

namespace {

constexpr std::size_t kRecordBytes = 48;  // fixed fields of a record, at most
constexpr std::size_t kPieceBytes = 42;
constexpr std::size_t kBasePartBytes = 16;
constexpr std::size_t kPieceMemory = 2 * sizeof(store::Piece) + sizeof(ChunkPlace);  // at a reader

RecordType type_of(EntryType type) {
  switch (type) {
    case EntryType::kFolder:
      return RecordType::kFolder;
    case EntryType::kFile:
      return RecordType::kFile;
    case EntryType::kSymlink:
      return RecordType::kSymlink;
    case EntryType::kHardLink:
      return RecordType::kHardLink;
  }
  ASSERT(false);
}

EntryType entry_type(RecordType type) {
  switch (type) {
    case RecordType::kFolder:
      return EntryType::kFolder;
    case RecordType::kSymlink:
      return EntryType::kSymlink;
    case RecordType::kHardLink:
      return EntryType::kHardLink;
    default:
      return EntryType::kFile;
  }
}

constexpr const char* kNoBase = "it speaks of a base that was not agreed";

tl::unexpected<Error> broken(std::string why) {
  return fail(Kind::kMalformed, "read the manifest", std::move(why));
}

}  // namespace

ManifestWriter::ManifestWriter(wire::TransferId transfer, std::uint32_t attempt) {
  segment_.transfer = transfer;
  segment_.attempt = attempt;
}

void ManifestWriter::add(const TreeName& name, wire::Record record) {
  const std::size_t here = folder_.depth();
  const std::size_t parent = name.depth() - 1;
  ASSERT(parent <= here);
  record.up = static_cast<std::uint32_t>(here - parent);
  record.name = name.last();
  bytes_ += kRecordBytes + record.name.size() + record.target.size();
  folder_ = record.type == RecordType::kFolder ? name : name.parent();
  segment_.records.push_back(std::move(record));
}

void ManifestWriter::begin(const store::Entry& entry) {
  wire::Record record;
  record.type = type_of(entry.type);
  record.mode = entry.mode;
  record.mtime_ns = entry.mtime.ns;
  record.size = entry.size;
  record.target = entry.target;
  add(entry.name, std::move(record));
}

void ManifestWriter::same(const TreeName& name, std::uint64_t more_siblings) {
  wire::Record record;
  record.type = RecordType::kSame;
  record.size = more_siblings;
  add(name, std::move(record));
}

ManifestWriter::Pieces& ManifestWriter::open_pieces() {
  if (segment_.records.empty()) {
    wire::Record more;
    more.type = RecordType::kMore;
    bytes_ += kRecordBytes;
    segment_.records.push_back(std::move(more));
  }
  return segment_.records.back().pieces;
}

// Counts as one of the segment's, like any other: what a reader makes of a segment is bounded.
void ManifestWriter::base_piece(const store::Piece& piece, std::uint64_t place) {
  Pieces& pieces = open_pieces();
  ++segment_pieces_;
  if (!piece.hole) ++chunks_;
  auto* part = pieces.empty() ? nullptr : std::get_if<wire::BasePart>(&pieces.back());
  if (part != nullptr && part->first + part->count == place) {
    ++part->count;
    return;
  }
  bytes_ += kBasePartBytes;
  pieces.push_back(wire::BasePart{place, 1});
}

void ManifestWriter::piece(const store::Piece& piece) {
  Pieces& pieces = open_pieces();
  ++segment_pieces_;
  bytes_ += kPieceBytes;
  if (piece.hole) {
    pieces.push_back(wire::Hole{piece.length});
    return;
  }
  pieces.push_back(wire::Chunk{static_cast<std::uint32_t>(piece.length), piece.chunk});
  ++chunks_;
}

wire::Segment ManifestWriter::take() {
  wire::Segment out = std::move(segment_);
  segment_ = {};
  segment_.transfer = out.transfer;
  segment_.attempt = out.attempt;
  segment_.number = out.number + 1;
  segment_.first_chunk = chunks_;
  bytes_ = 0;
  segment_pieces_ = 0;
  return out;
}

ManifestReader::ManifestReader(std::optional<store::Tree> base) {
  if (base) base_.emplace(*base);
}

Result<> ManifestReader::charge(std::size_t memory_bytes) {
  memory_bytes_ += memory_bytes;
  if (memory_bytes_ > kManifestMemoryMax)
    return fail(Kind::kLimit, "hold the manifest", "it is too large");
  return {};
}

Result<ManifestReader::Added> ManifestReader::add(const wire::Segment& segment) {
  if (segment.number != segments_ || segment.first_chunk != chunks_)
    return broken("its segments do not follow each other");
  if (segment.records.empty()) return broken("a segment is empty");
  added_ = {};
  added_.first_row = own_rows_;
  base_parts_pieces_ = 0;
  for (const wire::Record& record : segment.records) TRY(add_record(record));
  if (added_.chunks.size() > wire::kSegmentPiecesMax)
    return broken("a segment names too many chunks");
  ++segments_;
  added_.file_open = file_open_;
  return std::move(added_);
}

void ManifestReader::add_row(const store::Entry& entry) {
  added_.rows.push_back(entry);
  ++rows_;
  ++own_rows_;
}

Result<TreeName> ManifestReader::place(const wire::Record& record) {
  if (record.up > folder_.depth()) return broken("a record leaves the tree");
  for (std::uint32_t i = 0; i < record.up; ++i) folder_ = folder_.parent();
  return folder_.child(record.name);
}

Result<> ManifestReader::finish_file() {
  if (!file_open_) return {};
  file_open_ = false;
  TRY(builder_.add(file_, file_pieces_));
  file_pieces_.clear();
  if (base_pieces_) memory_bytes_ -= base_pieces_->size() * sizeof(store::Piece);
  base_pieces_.reset();
  return {};
}

Result<> ManifestReader::add_record(const wire::Record& record) {
  if (record.type == RecordType::kMore) {
    if (!file_open_) return broken("pieces of no file");
    return add_pieces(record.pieces);
  }
  TRY(finish_file());
  const TreeName name = TRY(place(record));
  if (record.type == RecordType::kSame) return add_same(name, record.size);
  if (rows_ >= store::kTreeEntriesMax) return broken("it names too much");
  // The tree builder judges this too, but only once the file's last piece is named.
  if ((record.mode & ~store::kModeMask) != 0) return broken("a mode has more than permission bits");
  TRY(charge(sizeof(store::Entry) + name.text().size() + record.target.size()));
  store::Entry entry;
  entry.name = name;
  entry.type = entry_type(record.type);
  entry.mode = record.mode;
  entry.mtime = WallTime{record.mtime_ns};
  entry.size = record.size;
  entry.target = record.target;
  if (entry.type != EntryType::kFile) {
    if (!record.pieces.empty()) return broken("only files have pieces");
    TRY(builder_.add(entry));
    if (entry.type == EntryType::kFolder) folder_ = name;
    add_row(entry);
    return {};
  }
  if (record.size > store::kFileBytesMax) return broken("a file is too large");
  bytes_ += record.size;
  add_row(entry);
  file_ = std::move(entry);
  file_open_ = true;
  file_bytes_ = 0;
  return add_pieces(record.pieces);
}

Result<> ManifestReader::add_pieces(std::span<const wire::Piece> pieces) {
  TRY(charge(pieces.size() * kPieceMemory));
  for (const wire::Piece& piece : pieces) {
    if (const auto* part = std::get_if<wire::BasePart>(&piece)) {
      TRY(add_base_part(*part));
    } else if (const auto* chunk = std::get_if<wire::Chunk>(&piece)) {
      TRY(add_piece({chunk->length, false, chunk->id}));
    } else {
      TRY(add_piece({std::get<wire::Hole>(piece).length, true, {}}));
    }
  }
  return {};
}

Result<> ManifestReader::add_piece(const store::Piece& piece) {
  const bool too_long = piece.length > file_.size - file_bytes_;
  if (piece.length == 0 || too_long || (!piece.hole && piece.length > store::kChunkBytesMax))
    return broken("the pieces of " + file_.name.shown() + " do not fit it");
  if (piece.hole) {
    added_.hole_bytes += piece.length;
  } else {
    added_.chunks.push_back(
        {piece.chunk, file_bytes_, own_rows_ - 1, static_cast<std::uint32_t>(piece.length)});
    ++chunks_;
  }
  file_pieces_.push_back(piece);
  file_bytes_ += piece.length;
  return {};
}

Result<> ManifestReader::add_base_part(const wire::BasePart& part) {
  if (!base_pieces_) {
    if (!base_) return broken(kNoBase);
    if (!base_reaches(file_.name) || base_->entry().type != EntryType::kFile)
      return broken("the base has no file " + file_.name.shown());
    base_pieces_ = base_->pieces();
    TRY(charge(base_pieces_->size() * sizeof(store::Piece)));
  }
  const std::uint64_t in_base = base_pieces_->size();
  if (part.count == 0 || part.first > in_base || part.count > in_base - part.first)
    return broken("the base's " + file_.name.shown() + " has no such part");
  base_parts_pieces_ += part.count;
  if (base_parts_pieces_ > wire::kSegmentPiecesMax)
    return broken("a segment names too many chunks");
  TRY(charge(part.count * kPieceMemory));
  const auto first = static_cast<std::size_t>(part.first);
  for (std::size_t i = first; i < first + part.count; ++i) TRY(add_piece((*base_pieces_)[i]));
  return {};
}

// Goes on in the base as far as that name; whether it is there.
bool ManifestReader::base_reaches(const TreeName& name) {
  if (!base_at_entry_) base_at_entry_ = base_->next();
  while (base_at_entry_ && base_->entry().name < name) base_at_entry_ = base_->next();
  return base_at_entry_ && base_->entry().name == name;
}

Result<> ManifestReader::add_same(const TreeName& name, std::uint64_t more_siblings) {
  if (!base_) return broken(kNoBase);
  if (!base_reaches(name)) return broken("the base has no " + name.shown());
  // Whole subtrees of the folder, one sibling after the other.
  std::uint64_t siblings = 0;
  while (base_at_entry_ && base_->entry().name.is_within(folder_)) {
    const store::Entry& entry = base_->entry();
    if (entry.name.depth() == name.depth() && siblings++ > more_siblings) break;
    const bool is_file = entry.type == EntryType::kFile;
    TRY(charge(sizeof(store::Entry) + entry.name.text().size()));
    TRY(builder_.add(entry, is_file ? base_->pieces() : std::vector<store::Piece>()));
    if (is_file) {
      bytes_ += entry.size;
      ++added_.base_files;
      added_.base_bytes += entry.size;
    }
    ++rows_;
    base_at_entry_ = base_->next();
  }
  if (siblings <= more_siblings) return broken("the base has fewer names beside " + name.shown());
  return {};
}

Result<store::Tree> ManifestReader::seal(const wire::Seal& seal) {
  TRY(finish_file());
  if (seal.segments != segments_ || seal.chunks != chunks_ || seal.entries != rows_ ||
      seal.bytes != bytes_)
    return broken("its totals are not what came");
  store::Tree tree = TRY(builder_.finish());
  if (tree.root() != seal.root)
    return fail(Kind::kIntegrity, "check the manifest", "its root differs");
  return tree;
}

}  // namespace longhaul::transfer
