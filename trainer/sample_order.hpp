// SampleOrder: which tokens sample number g is, as a pure function of (seed, epoch, global index).
// Shards are cut into blocks of 8 MiB, blocks into samples of `sequence` + 1 tokens that share
// their last token with the next one's first. Each epoch shuffles the blocks, and samples within
// windows of `window_blocks` shuffled blocks: an early batch touches few chunks of a dataset that
// is still arriving, where a global shuffle would touch one chunk a sample. The same numbers on
// every machine, for any number of ranks. One thread. With `arrival` the first epoch's blocks come
// in the turns in which they were taken (arrival_order.hpp): a function of those as well.
//
//   SampleOrder order(source.shards(), {.seed = 1, .sequence = 1024});
//   const TokenRange range = order.at(g);   // g = step * global_batch + place in the batch
#pragma once

#include <cstdint>
#include <span>
#include <string_view>
#include <vector>

#include "trainer/data_source.hpp"

namespace longhaul::trainer {

inline constexpr std::uint64_t kShuffleBlockBytes = 8U << 20;

struct OrderOptions {
  std::uint64_t seed = 1;
  std::uint64_t sequence = 1024;    // tokens a sample trains on
  std::uint64_t window_blocks = 2;  // 16 MiB: what must arrive before the first batch
  std::uint64_t block_bytes = kShuffleBlockBytes;  // smaller in tests
  // The first epoch takes the blocks in the order of the shards, which is that of an upload: who
  // trains while it runs then waits for what comes next, not for what comes last.
  bool first_epoch_in_order = false;
  bool arrival = false;  // the first epoch's blocks as take() says; later epochs are shuffled
};

void shuffle(std::span<std::uint32_t> values, std::uint64_t seed, std::string_view purpose);

class SampleOrder {
 public:
  // kUsage when no block holds a whole sample.
  static Result<SampleOrder> make(std::span<const ShardInfo> shards, const OrderOptions& options);
  std::size_t window_blocks() const { return static_cast<std::size_t>(options_.window_blocks); }
  std::uint64_t samples_per_epoch() const { return samples_; }
  std::uint64_t epoch_of(std::uint64_t index) const { return index / samples_; }
  TokenRange at(std::uint64_t index);  // `sequence` + 1 tokens; of one that is known
  // The first index of the window that `index` lies in: until its blocks are here, none of its
  // samples is sure to be.
  std::uint64_t window_begin(std::uint64_t index);
  // The blocks that samples from `index` on touch, in the order of first use, at most `most`: what
  // should cross the link first.
  std::vector<TokenRange> blocks_from(std::uint64_t index, std::size_t most);

  // Of `arrival`; else all is known and nothing to be taken.
  bool knows(std::uint64_t index) const { return index >= samples_ || index < samples_taken_; }
  std::size_t turns() const { return turns_.size(); }
  const std::vector<TokenRange>& blocks() const { return blocks_; }
  bool is_taken(std::uint32_t block) const { return taken_[block]; }
  // The next turn's blocks. kMalformed, and nothing taken, if one is none or was taken before.
  Result<> take(std::span<const std::uint32_t> blocks);

 private:
  SampleOrder() = default;
  struct Window {
    std::size_t first_block;  // in shuffled_
    std::uint64_t begin;      // its first place
  };
  void enter(std::uint64_t epoch);
  void append_windows(std::span<const std::uint32_t> blocks);
  void enter_window(std::size_t window);
  std::size_t window_of(std::uint64_t place) const;

  OrderOptions options_;
  std::vector<TokenRange> blocks_;  // in the order of the shards
  std::uint64_t samples_ = 0;
  std::vector<std::vector<std::uint32_t>> turns_;
  std::vector<bool> taken_;
  std::uint64_t samples_taken_ = 0;  // all, but for `arrival`
  // The epoch and window looked at last.
  std::uint64_t epoch_ = ~std::uint64_t{0};
  std::vector<std::uint32_t> shuffled_;  // blocks, in this epoch's order
  std::vector<Window> windows_;          // and one that is the end
  std::size_t window_ = ~std::size_t{0};
  std::vector<std::uint64_t> places_;     // of this window: place -> sample within the window
  std::vector<std::uint64_t> block_end_;  // of this window: samples up to each block's end
};

}  // namespace longhaul::trainer
