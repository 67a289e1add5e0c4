// LinkGuess: how fast the link would be, for the choice of a codec. What leaves is the link's rate
// only while the link is what holds it up; a sender that is held up by its own compressing would
// take its own pace for the link's, and compress the harder the slower it is. A value of the
// session's strand.
#pragma once

#include <algorithm>

#include "lib/transfer/progress.hpp"

namespace longhaul::transfer {

class LinkGuess {
 public:
  explicit LinkGuess(BytesPerSecond known) : rate_(known) {}  // zero: nothing is

  // Before a block is encoded: what holds the transfer up, and what leaves just now.
  void on_block(Stage limit, BytesPerSecond leaving) {
    if (limit == Stage::kLink || limit == Stage::kRateCap) {
      if (leaving.value() > 0) rate_ = leaving;
      return;
    }
    rate_ = std::max(rate_, leaving);
    if (limit == Stage::kCpu) {  // the link waits: it is faster than that, nobody knows how much
      const std::uint64_t more = std::max(rate_.value(), kLeast) / 4 * 5;
      rate_ = BytesPerSecond(std::min(more, kMost));
    }
  }
  BytesPerSecond rate() const { return rate_; }

 private:
  static constexpr std::uint64_t kLeast = 1'000'000, kMost = 100'000'000'000;
  BytesPerSecond rate_;
};

}  // namespace longhaul::transfer
