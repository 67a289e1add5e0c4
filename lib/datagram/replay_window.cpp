#include "lib/datagram/replay_window.hpp"

#include "lib/base/assert.hpp"

namespace longhaul::datagram {

bool ReplayWindow::is_fresh(PacketNumber number) const {
  if (number >= next_) return true;
  if (next_ - number > kSpan) return false;
  return (taken_[number % kSpan / 64] >> (number % 64) & 1U) == 0;
}

void ReplayWindow::take(PacketNumber number) {
  ASSERT(is_fresh(number));
  if (number >= next_) {
    if (number - next_ >= kSpan) {
      taken_.fill(0);
    } else {
      for (PacketNumber n = next_; n < number; ++n) {
        taken_[n % kSpan / 64] &= ~(std::uint64_t{1} << (n % 64));
      }
    }
    next_ = number + 1;
  }
  taken_[number % kSpan / 64] |= std::uint64_t{1} << (number % 64);
}

}  // namespace longhaul::datagram
