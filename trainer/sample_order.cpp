#include "trainer/sample_order.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <numeric>

#include "lib/base/rng.hpp"

namespace longhaul::trainer {
namespace {

constexpr std::uint64_t kMaxWindowSamples = 1U << 27;  // 1 GiB of places
constexpr std::size_t kNoWindow = ~std::size_t{0};

std::uint64_t samples_of(const TokenRange& block, std::uint64_t sequence) {
  return block.count == 0 ? 0 : (block.count - 1) / sequence;
}

template <class Values>
void shuffle(Values& values, Rng& rng) {  // Fisher-Yates
  for (std::size_t i = values.size(); i > 1; --i) std::swap(values[i - 1], values[rng.below(i)]);
}

}  // namespace

void shuffle(std::span<std::uint32_t> values, std::uint64_t seed, std::string_view purpose) {
  Rng rng(seed, purpose);
  shuffle(values, rng);
}

Result<SampleOrder> SampleOrder::make(std::span<const ShardInfo> shards,
                                      const OrderOptions& options) {
  const auto refuse = [](std::string why) {
    return fail(Kind::kUsage, "order the samples", std::move(why));
  };
  if (options.sequence == 0 || options.window_blocks == 0)
    return refuse("empty samples or windows");
  SampleOrder order;
  order.options_ = options;
  std::uint64_t most = 0;
  for (std::size_t shard = 0; shard < shards.size(); ++shard) {
    const std::uint64_t tokens_a_block = options.block_bytes / shards[shard].token_bytes;
    for (std::uint64_t first = 0; first < shards[shard].tokens; first += tokens_a_block) {
      const TokenRange block{static_cast<std::uint32_t>(shard), first,
                             std::min(tokens_a_block, shards[shard].tokens - first)};
      const std::uint64_t samples = samples_of(block, options.sequence);
      if (samples == 0) continue;
      order.blocks_.push_back(block);
      order.samples_ += samples;
      most = std::max(most, samples);
    }
  }
  if (order.samples_ == 0)
    return fail(Error(Kind::kUsage, "order the samples",
                      fmt::format("no shard holds {} tokens in a row", options.sequence + 1))
                    .advise("take a smaller --sequence, or more text in a shard"));
  if (options.window_blocks > kMaxWindowSamples / most) return refuse("the window is too large");
  order.taken_.resize(order.blocks_.size());
  order.samples_taken_ = options.arrival ? 0 : order.samples_;
  return order;
}

Result<> SampleOrder::take(std::span<const std::uint32_t> blocks) {
  const auto refuse = [this] {
    return fail(Kind::kMalformed, fmt::format("order the samples, turn {}", turns_.size()),
                "it takes a block twice, or one that is none");
  };
  std::vector<bool> taken = taken_;
  for (const std::uint32_t block : blocks) {
    if (block >= blocks_.size() || taken[block]) return refuse();
    taken[block] = true;
  }
  taken_ = std::move(taken);
  turns_.emplace_back(blocks.begin(), blocks.end());
  for (const std::uint32_t block : blocks)
    samples_taken_ += samples_of(blocks_[block], options_.sequence);
  if (epoch_ == 0) append_windows(turns_.back());
  return {};
}

// Windows end with the turn, so that a block may be read as soon as it alone is here.
void SampleOrder::append_windows(std::span<const std::uint32_t> blocks) {
  std::uint64_t at = windows_.back().begin;
  for (std::size_t i = 0; i < blocks.size(); ++i) {
    shuffled_.push_back(blocks[i]);
    at += samples_of(blocks_[blocks[i]], options_.sequence);
    if ((i + 1) % options_.window_blocks == 0 || i + 1 == blocks.size())
      windows_.push_back({shuffled_.size(), at});
  }
}

void SampleOrder::enter(std::uint64_t epoch) {
  if (epoch == epoch_) return;
  epoch_ = epoch;
  window_ = kNoWindow;
  shuffled_.clear();
  windows_.assign(1, {0, 0});
  if (epoch == 0 && options_.arrival) {
    for (const std::vector<std::uint32_t>& turn : turns_) append_windows(turn);
    return;
  }
  std::vector<std::uint32_t> blocks(blocks_.size());
  std::iota(blocks.begin(), blocks.end(), 0U);
  if (epoch > 0 || !options_.first_epoch_in_order)
    shuffle(blocks, options_.seed, fmt::format("order.blocks.{}", epoch));
  append_windows(blocks);
}

std::size_t SampleOrder::window_of(std::uint64_t place) const {
  const auto after =
      std::upper_bound(windows_.begin(), windows_.end(), place,
                       [](std::uint64_t at, const Window& window) { return at < window.begin; });
  return static_cast<std::size_t>(after - windows_.begin()) - 1;
}

void SampleOrder::enter_window(std::size_t window) {
  if (window == window_) return;
  window_ = window;
  places_.resize(windows_[window + 1].begin - windows_[window].begin);
  std::iota(places_.begin(), places_.end(), std::uint64_t{0});
  Rng rng(options_.seed, fmt::format("order.samples.{}.{}", epoch_, window));
  shuffle(places_, rng);
  block_end_.clear();
  std::uint64_t at = 0;
  for (std::size_t i = windows_[window].first_block; i < windows_[window + 1].first_block; ++i)
    block_end_.push_back(at += samples_of(blocks_[shuffled_[i]], options_.sequence));
}

TokenRange SampleOrder::at(std::uint64_t index) {
  ASSERT(knows(index));
  enter(index / samples_);
  const std::uint64_t place = index % samples_;
  enter_window(window_of(place));
  const std::uint64_t sample = places_[place - windows_[window_].begin];
  const auto in = static_cast<std::size_t>(
      std::upper_bound(block_end_.begin(), block_end_.end(), sample) - block_end_.begin());
  const TokenRange& block = blocks_[shuffled_[windows_[window_].first_block + in]];
  const std::uint64_t before = in == 0 ? 0 : block_end_[in - 1];
  return {block.shard, block.first + (sample - before) * options_.sequence, options_.sequence + 1};
}

std::uint64_t SampleOrder::window_begin(std::uint64_t index) {
  const std::uint64_t place = index % samples_;
  enter(index / samples_);
  return index - place + windows_[window_of(place)].begin;
}

std::vector<TokenRange> SampleOrder::blocks_from(std::uint64_t index, std::size_t most) {
  std::vector<TokenRange> out;
  std::uint64_t epoch = index / samples_;
  enter(epoch);
  std::size_t block = windows_[window_of(index % samples_)].first_block;
  while (out.size() < std::min(most, blocks_.size())) {
    if (block == shuffled_.size()) {
      if (!knows(index - index % samples_ + samples_ - 1)) break;  // the epoch's rest
      enter(++epoch);
      block = 0;
    }
    out.push_back(blocks_[shuffled_[block++]]);
  }
  return out;
}

}  // namespace longhaul::trainer
