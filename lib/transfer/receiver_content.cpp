// The receiver's content: blocks and copies into their places, epochs, publishing.
#include <algorithm>

#include "lib/transfer/receiver.hpp"

namespace longhaul::transfer {

using session::Lane;
using wire::TransferMessage;

namespace {

constexpr std::size_t kCopyJobsMax = 2;
constexpr std::uint64_t kToldFrom = 32;  // chunks missing: for less nobody starts to read early
constexpr std::size_t kCopyJobBytes = 4U << 20;

Slice packed(const TransferMessage& message) {
  return Slice::copy_of(wire::encode(message));
}

Error broken(std::string why) {
  return Error(Kind::kMalformed, "receive", std::move(why));
}

}  // namespace

void Receiver::on_block(Time now, wire::Block block) {
  heard_ = now;
  if (ended()) return;
  const std::size_t bytes = block.payload.size() + block.runs.size() * sizeof(wire::ChunkRun);
  wire_rate_.add(now, block.payload.size());
  progress_.bytes_wire += block.payload.size();
  if (is_over(block.attempt)) return;  // late and needless
  if (start_block(now, block, bytes) || ended()) return;
  if (too_early(now, bytes)) return;
  early_bytes_ += bytes;
  early_blocks_.emplace_back(std::move(block), bytes);
}

void Receiver::feed_blocks(Time now) {
  // Each that waits is tried once; those that must wait on go back in order.
  for (std::size_t left = early_blocks_.size(); left > 0 && !ended(); --left) {
    auto [block, bytes] = std::move(early_blocks_.front());
    early_blocks_.pop_front();
    if (block.attempt < attempt_ || start_block(now, block, bytes)) {
      early_bytes_ -= ended() ? 0 : bytes;
    } else if (!ended()) {
      early_blocks_.emplace_back(std::move(block), bytes);
    }
  }
}

bool Receiver::start_block(Time now, wire::Block& block, std::size_t bytes) {
  if (state_ != State::kReceiving || block.attempt != attempt_) return false;
  std::vector<BlockWork::Target> targets;
  std::uint64_t raw_bytes = 0;
  for (const wire::ChunkRun& run : block.runs) {
    const std::uint64_t end = run.first + run.count;
    const bool beyond = seal_ && (end < run.first || end > seal_->chunks);
    if (run.count == 0 || run.count > wire::kBlockBytesMax || beyond) {
      fail_with(now, broken("a block of chunks that nobody named"));
      return true;
    }
    if (end > chunks_.size()) return false;
    for (std::uint64_t n = run.first; n < end; ++n) {
      const ChunkTable::Chunk& chunk = chunks_.at(n);
      const bool here = chunk.state == ChunkTable::State::kHere;
      targets.push_back({n, here ? store::StagedChunk() : chunks_.place(n), false});
      targets.back().place.length = chunk.length;
      raw_bytes += chunk.length;
    }
  }
  if (targets.empty() || raw_bytes != block.raw_bytes || raw_bytes > wire::kBlockBytesMax) {
    fail_with(now, broken("a block whose size is not that of its chunks"));
    return true;
  }
  for (BlockWork::Target& target : targets) {
    // A twin comes with its first.
    if (chunks_.at(target.chunk).state != ChunkTable::State::kMissing) continue;
    chunks_.set(target.chunk, ChunkTable::State::kWriting);
    target.wanted = true;
  }
  working_bytes_ += bytes;
  ++data_jobs_;
  give(JobClass::kDisk, std::make_unique<BlockWork>(sink_, std::move(block), std::move(targets),
                                                    bytes, stage_clock_));
  return true;
}

void Receiver::take_block(Time now, BlockWork& work) {
  --data_jobs_;
  working_bytes_ -= work.held_bytes;
  maybe_open();
  if (ended()) return;
  if (work.error) return fail_with(now, std::move(*work.error));
  for (const BlockWork::Target& target : work.targets) {
    if (!target.wanted) continue;
    unsynced_bytes_ += target.place.length;
    if (work.block.attempt == attempt_) mark_here(now, target.chunk);
  }
  maybe_sync(now);
  maybe_publish(now);
}

void Receiver::mark_here(Time now, std::uint64_t number) {
  const ChunkTable::Chunk chunk = chunks_.at(number);
  chunks_.set(number, ChunkTable::State::kHere);
  if (--missing_of(chunk.file) == 0 && chunk.file != open_file_) ++progress_.files_done;
  progress_.bytes_done += chunk.length;
  logical_rate_.add(now, chunk.length);
  if (!unsynced_since_) unsynced_since_ = now;
  feed_twins(number);
}

void Receiver::feed_twins(std::uint64_t first) {
  const auto waiting = twins_.find(first);
  if (waiting == twins_.end()) return;
  const ChunkTable::Chunk from = chunks_.at(first);
  for (const std::uint64_t number : waiting->second) {
    if (chunks_.at(number).state != ChunkTable::State::kTwin) continue;
    chunks_.set(number, ChunkTable::State::kCopying);
    copies_.push_back({number, chunks_.place(number), StagedPlace{from.file, from.offset}, false});
  }
  twins_.erase(waiting);
  feed_copies();
}

void Receiver::feed_copies() {
  while (!copies_.empty() && copy_jobs_ < kCopyJobsMax && state_ == State::kReceiving) {
    std::vector<CopyWork::Item> items;
    std::size_t bytes = 0;
    while (!copies_.empty() && bytes < kCopyJobBytes) {
      bytes += copies_.front().to.length;
      items.push_back(copies_.front());
      copies_.pop_front();
    }
    ++copy_jobs_;
    ++data_jobs_;
    give(JobClass::kDisk, std::make_unique<CopyWork>(sink_, std::move(items), attempt_));
  }
}

void Receiver::take_copies(Time now, CopyWork& work) {
  --copy_jobs_;
  --data_jobs_;
  maybe_open();
  if (ended()) return;
  if (work.error) return fail_with(now, std::move(*work.error));
  for (const CopyWork::Item& item : work.items) {
    if (item.done) unsynced_bytes_ += item.to.length;
    if (work.attempt != attempt_) continue;
    if (!item.done) {
      want_again(item.chunk);
      continue;
    }
    progress_.bytes_present += item.to.length;
    mark_here(now, item.chunk);
  }
  feed_copies();
  maybe_sync(now);
  maybe_publish(now);
}

// --- durable, published ---

void Receiver::maybe_sync(Time now) {
  if (syncing_ || unsynced_bytes_ == 0 || state_ != State::kReceiving) return;
  if (!unsynced_since_) unsynced_since_ = now;
  if (unsynced_bytes_ < kEpochBytesMax && now < *unsynced_since_ + kEpochMax) return;
  syncing_ = true;
  unsynced_since_.reset();
  give(JobClass::kSync, std::make_unique<SyncWork>(sink_, std::exchange(unsynced_bytes_, 0)));
}

void Receiver::take_synced(Time now, SyncWork& work) {
  syncing_ = false;
  if (ended()) return;
  if (work.error) return fail_with(now, std::move(*work.error));
  synced_bytes_ += work.bytes;
  maybe_sync(now);
  maybe_publish(now);
}

void Receiver::maybe_tell_manifest() {
  if (manifest_told_ || state_ != State::kReceiving || !seal_ || reader_lent_) return;
  if (next_segment_ != seal_->segments || chunks_.pending() < kToldFrom) return;
  manifest_told_ = reader_lent_ = true;
  ++data_jobs_;
  give(JobClass::kDisk, std::make_unique<ManifestWork>(sink_, reader_, *seal_));
}

void Receiver::take_manifest(Time now, ManifestWork& work) {
  --data_jobs_;
  maybe_open();
  if (ended() || work.reader != reader_) return;
  reader_lent_ = false;
  if (work.error) return fail_with(now, std::move(*work.error));
  tree_ = std::move(work.tree);
  maybe_sync(now);
  maybe_publish(now);
}

void Receiver::maybe_publish(Time now) {
  maybe_tell_manifest();
  if (state_ != State::kReceiving || !seal_ || reader_lent_ || data_jobs_ > 0 || syncing_) return;
  if (next_segment_ > seal_->segments)
    return fail_with(now, broken("more segments than it sealed"));
  if (next_segment_ < seal_->segments || chunks_.pending() > 0) return;
  state_ = State::kPublishing;
  all_here_ = now;
  early_blocks_.clear();
  early_segments_.clear();
  early_bytes_ = 0;
  // Nothing asks for a chunk any more, and publishing needs the room.
  chunks_.clear();
  missing_of_ = {};
  give(JobClass::kSync, std::make_unique<PublishWork>(sink_, reader_, *seal_, std::move(tree_)));
}

void Receiver::take_published(Time now, PublishWork& work) {
  if (state_ != State::kPublishing) return;
  if (work.error) {
    state_ = State::kReceiving;  // so that stop() treats it as any other end
    return fail_with(now, std::move(*work.error));
  }
  state_ = State::kDone;
  committed_ = {id_, work.published.version, work.published.root, work.published.existed,
                static_cast<std::uint64_t>((now - all_here_) / 1us)};
  progress_.files_done = progress_.files_total;
  progress_.bytes_done = progress_.bytes_total = seal_->bytes;
  progress_.totals_final = true;
  post_.message(Lane::kControl, packed(committed_));
}

}  // namespace longhaul::transfer
