#include "trainer/lookahead.hpp"

#include <algorithm>
#include <chrono>
#include <cmath>

namespace longhaul::trainer {
namespace {

// Named beyond the window at hand: 128 MiB to 1 GiB, which is what a feed tells.
constexpr double kLeast = 16, kMost = 128;

}  // namespace

std::optional<std::vector<TokenRange>> Lookahead::due(SampleOrder& order, std::uint64_t index,
                                                      Time now) {
  const std::uint64_t window = order.window_begin(index);
  if (window_ == window) return std::nullopt;
  if (!window_) began_ = now;
  window_ = window;
  const double spent = std::max(1.0, std::chrono::duration<double>(now - began_).count());
  const auto read = static_cast<double>((index - options_.first_index) * options_.sample_bytes);
  const double blocks = std::ceil(static_cast<double>(options_.prefetch_seconds) * read / spent /
                                  static_cast<double>(options_.block_bytes));
  reach_.reset();
  if (blocks > kMost)
    reach_ =
        static_cast<std::uint64_t>(static_cast<double>(options_.prefetch_seconds) * kMost / blocks);
  return order.blocks_from(
      index, order.window_blocks() + static_cast<std::size_t>(std::clamp(blocks, kLeast, kMost)));
}

}  // namespace longhaul::trainer
