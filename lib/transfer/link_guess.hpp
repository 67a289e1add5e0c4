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
  void on_block(Time now, Stage limit, BytesPerSecond leaving) {
    if (limit == Stage::kLink || limit == Stage::kRateCap) {
      if (leaving.value() > 0) rate_ = leaving;
    } else {
      rate_ = std::max(rate_, leaving);
    }
    if (limit != Stage::kCpu) {
      raise_at_ = Time::max();
      return;
    }
    // The link waits: it is faster than that, nobody knows how much. Not at once, as any link's
    // buffers take the first blocks.
    raise_at_ = std::min(raise_at_, now + kPause);
    if (now < raise_at_) return;
    raise_at_ = now + kPause;
    const std::uint64_t more = std::max(rate_.value(), kLeast) / 4 * 5;
    rate_ = BytesPerSecond(std::min(more, kMost));
  }
  BytesPerSecond rate() const { return rate_; }

 private:
  static constexpr std::uint64_t kLeast = 1'000'000, kMost = 100'000'000'000;
  static constexpr Duration kPause = 100ms;
  BytesPerSecond rate_;
  Time raise_at_ = Time::max();  // while the codec holds the transfer up
};

}  // namespace longhaul::transfer
