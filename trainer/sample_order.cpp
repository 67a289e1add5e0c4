#include "trainer/sample_order.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <numeric>

#include "lib/base/rng.hpp"

namespace longhaul::trainer {
namespace {

constexpr std::uint64_t kMaxWindowSamples = 1U << 27;  // 1 GiB of places

std::uint64_t samples_of(const TokenRange& block, std::uint64_t sequence) {
  return block.count == 0 ? 0 : (block.count - 1) / sequence;
}

template <class Value>
void shuffle(std::vector<Value>& values, Rng& rng) {  // Fisher-Yates
  for (std::size_t i = values.size(); i > 1; --i) std::swap(values[i - 1], values[rng.below(i)]);
}

}  // namespace

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
    return refuse(fmt::format("no shard holds {} tokens in a row", options.sequence + 1));
  if (options.window_blocks > kMaxWindowSamples / most) return refuse("the window is too large");
  return order;
}

void SampleOrder::enter(std::uint64_t epoch) {
  if (epoch == epoch_) return;
  epoch_ = epoch;
  window_ = ~std::size_t{0};
  shuffled_.resize(blocks_.size());
  std::iota(shuffled_.begin(), shuffled_.end(), 0U);
  Rng rng(options_.seed, fmt::format("order.blocks.{}", epoch));
  if (epoch > 0 || !options_.first_epoch_in_order) shuffle(shuffled_, rng);
  window_begin_.assign(1, 0);
  std::uint64_t at = 0;
  for (std::size_t i = 0; i < shuffled_.size(); ++i) {
    at += samples_of(blocks_[shuffled_[i]], options_.sequence);
    if ((i + 1) % options_.window_blocks == 0 || i + 1 == shuffled_.size())
      window_begin_.push_back(at);
  }
}

std::size_t SampleOrder::window_of(std::uint64_t place) const {
  const auto after = std::upper_bound(window_begin_.begin(), window_begin_.end(), place);
  return static_cast<std::size_t>(after - window_begin_.begin()) - 1;
}

void SampleOrder::enter_window(std::size_t window) {
  if (window == window_) return;
  window_ = window;
  places_.resize(window_begin_[window + 1] - window_begin_[window]);
  std::iota(places_.begin(), places_.end(), std::uint64_t{0});
  Rng rng(options_.seed, fmt::format("order.samples.{}.{}", epoch_, window));
  shuffle(places_, rng);
  block_end_.clear();
  std::uint64_t at = 0;
  const std::size_t first = window * options_.window_blocks;
  const std::size_t end = std::min<std::size_t>(first + options_.window_blocks, shuffled_.size());
  for (std::size_t i = first; i < end; ++i)
    block_end_.push_back(at += samples_of(blocks_[shuffled_[i]], options_.sequence));
}

TokenRange SampleOrder::at(std::uint64_t index) {
  enter(index / samples_);
  const std::uint64_t place = index % samples_;
  enter_window(window_of(place));
  const std::uint64_t sample = places_[place - window_begin_[window_]];
  const auto in = static_cast<std::size_t>(
      std::upper_bound(block_end_.begin(), block_end_.end(), sample) - block_end_.begin());
  const TokenRange& block = blocks_[shuffled_[window_ * options_.window_blocks + in]];
  const std::uint64_t before = in == 0 ? 0 : block_end_[in - 1];
  return {block.shard, block.first + (sample - before) * options_.sequence, options_.sequence + 1};
}

std::uint64_t SampleOrder::window_begin(std::uint64_t index) {
  const std::uint64_t place = index % samples_;
  enter(index / samples_);
  return index - place + window_begin_[window_of(place)];
}

std::vector<TokenRange> SampleOrder::blocks_from(std::uint64_t index, std::size_t most) {
  std::vector<TokenRange> out;
  std::uint64_t epoch = index / samples_;
  enter(epoch);
  std::size_t block = window_of(index % samples_) * options_.window_blocks;
  while (out.size() < std::min(most, blocks_.size())) {
    if (block == shuffled_.size()) {
      enter(++epoch);
      block = 0;
    }
    out.push_back(blocks_[shuffled_[block++]]);
  }
  return out;
}

}  // namespace longhaul::trainer
