// Messages that move a tree: who says what when stands in docs/transfer.md, byte tables in
// docs/wire.md.
//
// A manifest is a stream of records, depth first, each folder's names in byte order. It travels in
// segments; chunks are counted along it from 0, and blocks name chunks by that number. `attempt`
// counts how often the sender began its manifest: a message of an older attempt means nothing any
// more.
//
//   ByteVector bytes = encode(TransferMessage(offer));
//   TransferMessage back = TRY(decode<TransferMessage>(slice));   // payloads are parts of the
//   slice
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <variant>

#include "lib/wire/codec.hpp"
#include "lib/wire/request.hpp"

namespace longhaul::wire {

// Chosen by the initiator: odd from the side that dialled, even from the other, rising.
using TransferId = Id<struct TransferTag>;

constexpr std::size_t kNameMax = 255;  // one component of a path
constexpr std::size_t kTargetMax = 3584;
constexpr std::size_t kSegmentBytesMax = 256U << 10;
constexpr std::size_t kSegmentRecordsMax = 16384;
constexpr std::size_t kSegmentPiecesMax = 8192;
constexpr std::size_t kBlockBytesMax = 1U << 20;  // of chunks, before compression
constexpr std::size_t kBlockRunsMax = 1024;
constexpr std::size_t kDemandChunksMax = 16384;  // 1 GiB of them, usually
// Encoded, a block is never longer than raw.
constexpr std::size_t kBlockPayloadMax = kBlockBytesMax;

enum class RecordType : std::uint8_t {
  kFolder = 1,
  kFile = 2,
  kSymlink = 3,
  kHardLink = 4,
  kMore = 5,  // pieces that did not fit: of the file before
  kSame = 6,  // as in the base, with all below
};
constexpr auto wire_values(RecordType) {
  return std::array{
      Known{RecordType::kFolder, "folder"},   Known{RecordType::kFile, "file"},
      Known{RecordType::kSymlink, "symlink"}, Known{RecordType::kHardLink, "hardlink"},
      Known{RecordType::kMore, "more"},       Known{RecordType::kSame, "same"}};
}

// A run of a file's bytes: one chunk, a hole, which has no id, or what the base has there.
struct Hole {
  std::uint64_t length = 0;
  template <class F>
  static void fields(F& f) {
    f(&Hole::length, "length", "bytes");
  }
};
struct Chunk {
  std::uint32_t length = 0;
  crypto::Digest id;
  template <class F>
  static void fields(F& f) {
    f(&Chunk::length, "length", "bytes, at least 1");
    f(&Chunk::id, "id", "SHA-256 of them");
  }
};
// Pieces of the file of that name in the offer's base, which stand here once more.
struct BasePart {
  std::uint64_t first = 0;
  std::uint32_t count = 0;
  template <class F>
  static void fields(F& f) {
    f(&BasePart::first, "first", "of the base's file, whose pieces are counted from 0");
    f(&BasePart::count, "count", "at least 1");
  }
};
using Piece = std::variant<Chunk, Hole, BasePart>;

struct Record {
  RecordType type = RecordType::kFile;
  std::uint32_t up = 0;
  Text<kNameMax> name;
  std::uint32_t mode = 0;
  std::int64_t mtime_ns = 0;
  std::uint64_t size = 0;
  Text<kTargetMax> target;
  List<Piece, kSegmentPiecesMax> pieces;
  template <class F>
  static void fields(F& f) {
    f(&Record::type, "type");
    f(&Record::up, "up", "folders left behind before this name");
    f(&Record::name, "name", "one component; empty for more");
    f(&Record::mode, "mode", "permission bits, no setuid, setgid, sticky");
    f(&Record::mtime_ns, "mtime_ns", "since 1970");
    f(&Record::size, "size", "file: bytes; same: siblings after this one that are the same too");
    f(&Record::target, "target",
      "symlink: as stored; hardlink: an earlier file's name from the root");
    f(&Record::pieces, "pieces", "file, more");
  }
};

struct Offer {
  TransferId transfer;
  std::uint32_t attempt = 1;
  Text<kDatasetNameMax> dataset;
  bool ahead = false;
  std::optional<crypto::Digest> root;
  std::optional<crypto::Digest> base;
  std::uint64_t files = 0;
  std::uint64_t bytes = 0;
  template <class F>
  static void fields(F& f) {
    f(&Offer::transfer, "transfer");
    f(&Offer::attempt, "attempt", "from 1");
    f(&Offer::dataset, "dataset");
    f(&Offer::ahead, "ahead", "data comes before the answer");
    f(&Offer::root, "root", "of the tree, if all is hashed");
    f(&Offer::base, "base", "root of the version the manifest refers to");
    f(&Offer::files, "files", "to come");
    f(&Offer::bytes, "bytes", "of content but holes, at least: for the space check");
  }
};

struct Fetch {
  TransferId transfer;
  Text<kDatasetNameMax> dataset;
  std::uint64_t version = 0;
  std::optional<crypto::Digest> base;
  bool unfinished = false;
  template <class F>
  static void fields(F& f) {
    f(&Fetch::transfer, "transfer");
    f(&Fetch::dataset, "dataset");
    f(&Fetch::version, "version", "0: the newest");
    f(&Fetch::base, "base", "root of a tree the asker holds");
    f(&Fetch::unfinished, "unfinished", "some of it may be here: send nothing ahead");
  }
};

// Of a run's checkpoint, for which an offer with the run's name follows.
struct FetchCheckpoint {
  TransferId transfer;
  Text<kDatasetNameMax> run;
  std::uint64_t step = 0;
  bool full = false;
  bool unfinished = false;
  template <class F>
  static void fields(F& f) {
    f(&FetchCheckpoint::transfer, "transfer");
    f(&FetchCheckpoint::run, "run");
    f(&FetchCheckpoint::step, "step", "of the checkpoint");
    f(&FetchCheckpoint::full, "full", "everything as it stands; else its weights, rounded to bf16");
    f(&FetchCheckpoint::unfinished, "unfinished", "some of it may be here: send nothing ahead");
  }
};

struct Admit {
  TransferId transfer;
  std::uint32_t attempt = 1;
  bool base_known = false;
  template <class F>
  static void fields(F& f) {
    f(&Admit::transfer, "transfer");
    f(&Admit::attempt, "attempt");
    f(&Admit::base_known, "base_known", "records may refer to the offer's base");
  }
};

struct Segment {
  TransferId transfer;
  std::uint32_t attempt = 1;
  std::uint32_t number = 0;
  std::uint64_t first_chunk = 0;
  List<Record, kSegmentRecordsMax> records;
  template <class F>
  static void fields(F& f) {
    f(&Segment::transfer, "transfer");
    f(&Segment::attempt, "attempt");
    f(&Segment::number, "number", "from 0");
    f(&Segment::first_chunk, "first_chunk", "chunks in all segments before");
    f(&Segment::records, "records");
  }
};

struct Want {
  TransferId transfer;
  std::uint32_t attempt = 1;
  bool again = false;
  std::uint64_t first_chunk = 0;
  Bitmap<kSegmentPiecesMax> missing;
  template <class F>
  static void fields(F& f) {
    f(&Want::transfer, "transfer");
    f(&Want::attempt, "attempt");
    f(&Want::again, "again",
      "send what is set although it was sent; what is not set means nothing");
    f(&Want::first_chunk, "first_chunk");
    f(&Want::missing, "missing", "bit i: chunk first_chunk + i is wanted");
  }
};

struct ChunkRun {
  std::uint64_t first = 0;
  std::uint32_t count = 0;
  template <class F>
  static void fields(F& f) {
    f(&ChunkRun::first, "first", "chunk number");
    f(&ChunkRun::count, "count", "at least 1");
  }
};

// What somebody at the receiver reads already, soonest first; the newest of an attempt counts.
struct Demand {
  TransferId transfer;
  std::uint32_t attempt = 1;
  std::uint32_t urgent = 0;
  List<ChunkRun, kBlockRunsMax> runs;
  template <class F>
  static void fields(F& f) {
    f(&Demand::transfer, "transfer");
    f(&Demand::attempt, "attempt");
    f(&Demand::urgent, "urgent", "so many chunks, of the first runs, are waited for: by demand");
    f(&Demand::runs, "runs", "chunks to send before others; none: the manifest is waited for");
  }
};

struct Block {
  TransferId transfer;
  std::uint32_t attempt = 1;
  std::uint8_t codec = 0;
  std::uint32_t raw_bytes = 0;
  List<ChunkRun, kBlockRunsMax> runs;
  std::optional<crypto::Digest> base;
  Payload<kBlockPayloadMax> payload;
  template <class F>
  static void fields(F& f) {
    f(&Block::transfer, "transfer");
    f(&Block::attempt, "attempt");
    f(&Block::codec, "codec", "compression/codec.hpp");
    f(&Block::raw_bytes, "raw_bytes", "of the chunks together");
    f(&Block::runs, "runs", "which chunks, in this order");
    f(&Block::base, "base", "XOR codecs: the chunk it is a delta to");
    f(&Block::payload, "payload");
  }
};

struct Seal {
  TransferId transfer;
  std::uint32_t attempt = 1;
  std::uint32_t segments = 0;
  std::uint64_t chunks = 0;
  std::uint64_t entries = 0;
  std::uint64_t bytes = 0;
  crypto::Digest root;
  template <class F>
  static void fields(F& f) {
    f(&Seal::transfer, "transfer");
    f(&Seal::attempt, "attempt");
    f(&Seal::segments, "segments");
    f(&Seal::chunks, "chunks", "named by the segments");
    f(&Seal::entries, "entries", "names in the tree");
    f(&Seal::bytes, "bytes", "of content in the tree");
    f(&Seal::root, "root");
  }
};

struct Receipt {  // live: the newest counts
  TransferId transfer;
  std::uint64_t settled_bytes = 0;
  std::uint64_t synced_bytes = 0;
  std::uint64_t settled_files = 0;
  template <class F>
  static void fields(F& f) {
    f(&Receipt::transfer, "transfer");
    f(&Receipt::settled_bytes, "settled_bytes", "content that is here, however it came");
    f(&Receipt::synced_bytes, "synced_bytes", "of it: written by this session and on disk");
    f(&Receipt::settled_files, "settled_files", "files all of whose content is here");
  }
};

struct Beat {  // live: the sender is at work although nothing else comes
  TransferId transfer;
  template <class F>
  static void fields(F& f) {
    f(&Beat::transfer, "transfer");
  }
};

struct Pace {
  TransferId transfer;
  std::uint64_t bytes_per_second = 0;
  template <class F>
  static void fields(F& f) {
    f(&Pace::transfer, "transfer");
    f(&Pace::bytes_per_second, "bytes_per_second", "of blocks, at most; 0: no limit");
  }
};

struct Committed {
  TransferId transfer;
  std::uint64_t version = 0;
  crypto::Digest root;
  bool existed = false;
  std::uint64_t took_us = 0;
  template <class F>
  static void fields(F& f) {
    f(&Committed::transfer, "transfer");
    f(&Committed::version, "version", "0 for a folder");
    f(&Committed::root, "root");
    f(&Committed::existed, "existed", "nothing had to be sent");
    f(&Committed::took_us, "took_us", "to check, sync and publish once everything was here");
  }
};

struct Stop {
  TransferId transfer;
  Kind kind = Kind::kInterrupted;
  Text<kReasonMax> text;
  template <class F>
  static void fields(F& f) {
    f(&Stop::transfer, "transfer");
    f(&Stop::kind, "kind");
    f(&Stop::text, "text", "for people");
  }
};

using TransferMessage =
    std::variant<Offer, Fetch, Admit, Segment, Want, Block, Seal, Receipt, Committed, Stop, Ask,
                 Answer, Beat, FetchCheckpoint, Pace, Demand>;

}  // namespace longhaul::wire
