// Work of a receiver, run off the strand: open the sink, read a manifest segment, decode and write
// a block, copy what is already at this end, sync, publish. Each owns its inputs; the sink is
// shared and thread-safe, the manifest reader is lent to one work at a time.
#pragma once

#include <memory>
#include <optional>
#include <vector>

#include "lib/base/job.hpp"
#include "lib/base/slice.hpp"
#include "lib/base/stage_clock.hpp"
#include "lib/transfer/sink.hpp"

namespace longhaul::transfer {

class OpenWork final : public Work {
 public:
  OpenWork(std::shared_ptr<Sink> sink_in, wire::Offer offer_in, bool first_in)
      : sink(std::move(sink_in)), offer(std::move(offer_in)), first(first_in) {}
  void run() override {
    if (first) {
      auto result = sink->open(offer);
      if (result)
        opened = *std::move(result);
      else
        error = result.error();
    } else if (auto result = sink->begin_attempt(offer); !result) {
      error = result.error();
    }
  }
  std::shared_ptr<Sink> sink;
  wire::Offer offer;
  bool first = true;
  Sink::Opened opened;
  std::optional<Error> error;
};

class SegmentWork final : public Work {
 public:
  struct NewChunk {
    store::StagedChunk place;
    Presence presence = Presence::kMissing;
  };
  SegmentWork(std::shared_ptr<Sink> sink_in, std::shared_ptr<ManifestReader> reader_in,
              Slice message_in, std::optional<store::FileNo> open_file_in)
      : sink(std::move(sink_in)),
        reader(std::move(reader_in)),
        message(std::move(message_in)),
        open_file(open_file_in) {}
  void run() override;

  std::shared_ptr<Sink> sink;
  std::shared_ptr<ManifestReader> reader;
  Slice message;
  // In: of the newest row, if the segment goes on with it. Out: the same for the next segment.
  std::optional<store::FileNo> open_file;
  // result
  std::uint32_t attempt = 0;
  std::vector<NewChunk> chunks;
  std::vector<store::FileNo> files;  // whose content is made here
  std::uint64_t base_files = 0;
  std::uint64_t base_bytes = 0;  // content that came with the base
  std::uint64_t hole_bytes = 0;
  std::optional<Error> error;

 private:
  Result<> read();
};

class BlockWork final : public Work {
 public:
  struct Target {
    std::uint64_t chunk = 0;
    store::StagedChunk place;
    bool wanted = false;  // else it is here already
  };
  BlockWork(std::shared_ptr<Sink> sink_in, wire::Block block_in, std::vector<Target> targets_in,
            std::size_t held_bytes_in, StageClock* stages_in)
      : sink(std::move(sink_in)),
        block(std::move(block_in)),
        targets(std::move(targets_in)),
        held_bytes(held_bytes_in),
        stages(stages_in) {}
  void run() override;

  std::shared_ptr<Sink> sink;
  wire::Block block;
  std::vector<Target> targets;
  std::size_t held_bytes = 0;
  StageClock* stages;
  std::optional<Error> error;

 private:
  Result<Slice> decode();
  bool is_named(Bytes bytes, const store::ChunkId& chunk);
  Result<> write();
};

class CopyWork final : public Work {
 public:
  struct Item {
    std::uint64_t chunk = 0;
    store::StagedChunk to;
    std::optional<StagedPlace> from;
    bool done = false;
  };
  CopyWork(std::shared_ptr<Sink> sink_in, std::vector<Item> items_in, std::uint32_t attempt_in)
      : sink(std::move(sink_in)), items(std::move(items_in)), attempt(attempt_in) {}
  void run() override;
  std::shared_ptr<Sink> sink;
  std::vector<Item> items;
  std::uint32_t attempt = 0;
  std::optional<Error> error;  // of this end's disk: a chunk that is merely not there is not done
};

class SyncWork final : public Work {
 public:
  SyncWork(std::shared_ptr<Sink> sink_in, std::uint64_t bytes_in)
      : sink(std::move(sink_in)), bytes(bytes_in) {}
  void run() override {
    if (auto result = sink->sync(); !result) error = result.error();
  }
  std::shared_ptr<Sink> sink;
  std::uint64_t bytes = 0;  // durable when it is back
  std::optional<Error> error;
};

// What is read already of what is coming.
class DemandWork final : public Work {
 public:
  explicit DemandWork(std::shared_ptr<Sink> sink_in) : sink(std::move(sink_in)) {}
  void run() override { demand = sink->demand(); }
  std::shared_ptr<Sink> sink;
  std::optional<store::Demand> demand;  // none: by nobody
};

// The manifest is whole: what it names becomes a tree, and the sink is told.
class ManifestWork final : public Work {
 public:
  ManifestWork(std::shared_ptr<Sink> sink_in, std::shared_ptr<ManifestReader> reader_in,
               wire::Seal seal_in)
      : sink(std::move(sink_in)), reader(std::move(reader_in)), seal(seal_in) {}
  void run() override;
  std::shared_ptr<Sink> sink;
  std::shared_ptr<ManifestReader> reader;
  wire::Seal seal;
  std::optional<store::Tree> tree;
  std::optional<Error> error;
};

class PublishWork final : public Work {
 public:
  PublishWork(std::shared_ptr<Sink> sink_in, std::shared_ptr<ManifestReader> reader_in,
              wire::Seal seal_in, std::optional<store::Tree> tree_in)
      : sink(std::move(sink_in)),
        reader(std::move(reader_in)),
        seal(seal_in),
        tree(std::move(tree_in)) {}
  void run() override;
  std::shared_ptr<Sink> sink;
  std::shared_ptr<ManifestReader> reader;
  wire::Seal seal;
  std::optional<store::Tree> tree;  // if it was made of the manifest before
  Published published;
  std::optional<Error> error;
};

}  // namespace longhaul::transfer
