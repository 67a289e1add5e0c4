// Work of a sender, run off the strand: hash files into pieces, read chunks and encode them as one
// block. Each owns its inputs and opens files by itself; none trusts that a file is what it was: a
// changed one is told apart from a failed one, and bytes leave only if they still have the hash the
// manifest names.
#pragma once

#include <memory>
#include <optional>
#include <vector>

#include "lib/base/job.hpp"
#include "lib/base/slice.hpp"
#include "lib/base/stage_clock.hpp"
#include "lib/store/scan.hpp"
#include "lib/transfer/chunk_queue.hpp"
#include "lib/transfer/codec_chooser.hpp"
#include "lib/transfer/rows.hpp"
#include "lib/wire/transfer.hpp"

namespace longhaul::transfer {

// What jobs measure themselves by; without either, as in the simulator, all runs are equal.
struct Clocks {
  Duration (*cpu_time)() = nullptr;  // of the calling thread; null: nominal figures are used
  StageClock* stages = nullptr;      // outlives the jobs
};

class HashWork final : public Work {
 public:
  struct Item {
    std::uint32_t row = 0;
    store::TreeName name;                     // in files
    store::FileStat seen;                     // what it must still be; result if look_anew
    bool look_anew = false;                   // it changed: take it as it is now
    std::uint32_t round = 0;                  // how often this row was begun
    std::optional<store::FileHasher> hasher;  // of a file under way
    // result
    std::vector<store::Piece> pieces;
    Slice content;  // of a small file that is done: what was hashed
    bool done = false;
    bool changed = false;
    std::optional<Error> error;
  };
  HashWork(std::shared_ptr<store::Files> files_in, std::vector<Item> items_in,
           StageClock* stages_in)
      : files(std::move(files_in)), items(std::move(items_in)), stages(stages_in) {}
  void run() override;

  std::shared_ptr<store::Files> files;
  std::vector<Item> items;
  StageClock* stages;

 private:
  Result<> hash(Item& item);
};

// The tree of all rows, every file hashed.
class RootWork final : public Work {
 public:
  explicit RootWork(std::shared_ptr<const Source> source_in, std::uint32_t attempt_in)
      : source(std::move(source_in)), attempt(attempt_in) {}
  void run() override;

  std::shared_ptr<const Source> source;  // not changed while this is out: all is hashed
  std::uint32_t attempt = 0;
  std::optional<store::Tree> tree;
  std::optional<Error> error;
};

// The source is told that all of it has arrived.
class DeliveredWork final : public Work {
 public:
  explicit DeliveredWork(std::shared_ptr<const Source> source_in) : source(std::move(source_in)) {}
  void run() override { source->delivered(); }

  std::shared_ptr<const Source> source;
};

class EncodeWork final : public Work {
 public:
  struct Part {
    std::uint64_t chunk = 0;
    crypto::Digest id;
    store::TreeName name;  // in files
    std::uint32_t row = 0;
    std::uint64_t offset = 0;
    std::uint32_t length = 0;
    Slice kept;  // the bytes that were hashed, if they are at hand
  };
  EncodeWork(std::shared_ptr<store::Files> files_in, wire::TransferId transfer_in,
             std::uint32_t attempt_in, std::vector<Part> parts_in, compression::Rung rung_in,
             Clocks clocks_in, Turn turn_in)
      : files(std::move(files_in)),
        transfer(transfer_in),
        attempt(attempt_in),
        parts(std::move(parts_in)),
        rung(rung_in),
        clocks(clocks_in),
        turn(turn_in) {}
  void run() override;

  std::shared_ptr<store::Files> files;
  wire::TransferId transfer;
  std::uint32_t attempt = 0;
  std::vector<Part> parts;
  compression::Rung rung;
  Clocks clocks;
  Turn turn = Turn::kAny;
  // result
  Slice block;                       // empty if any part failed
  std::vector<wire::ChunkRun> runs;  // what it holds
  compression::Measured measured;
  std::vector<std::uint32_t> changed;  // rows whose bytes are not those of the manifest
  std::optional<Error> error;

 private:
  Result<> read(MutableBytes raw);
  Slice encode(Slice raw);
};

}  // namespace longhaul::transfer
