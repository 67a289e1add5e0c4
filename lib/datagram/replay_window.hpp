// ReplayWindow: which packet numbers were taken, of the newest 2^16. What is older counts as taken:
// a packet that late is useless, and an attacker's copy of it must do nothing. Not thread-safe.
#pragma once

#include <array>
#include <cstdint>
#include <optional>

#include "lib/datagram/packet_number.hpp"

namespace longhaul::datagram {

class ReplayWindow {
 public:
  static constexpr std::uint64_t kSpan = 1U << 16;

  bool is_fresh(PacketNumber number) const;
  // Call once a fresh number's packet has been authenticated; before that nothing may change.
  void take(PacketNumber number);
  std::optional<PacketNumber> largest() const {
    return next_ == 0 ? std::nullopt : std::optional(next_ - 1);
  }

 private:
  std::array<std::uint64_t, kSpan / 64> taken_{};  // a ring; bit n % kSpan
  PacketNumber next_ = 0;                          // one above the highest taken
};

}  // namespace longhaul::datagram
