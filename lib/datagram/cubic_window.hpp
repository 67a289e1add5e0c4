// CubicWindow: the window of RFC 9438, in integers, for the time beside loss-based TCP: one more
// CUBIC flow is what such a flow shares with fairly.
#pragma once

#include <cstdint>

#include "lib/base/units.hpp"

namespace longhaul::datagram {

class CubicWindow {
 public:
  explicit CubicWindow(std::uint32_t packet_bytes) : packet_bytes_(packet_bytes) {}
  void restart(Time now, ByteCount window, ByteCount peak);  // grows from `window` towards `peak`
  void on_acked(Time now, std::uint64_t bytes, Duration rtt);
  void on_loss(Time now);  // at most once per round trip
  ByteCount window() const { return ByteCount(window_); }

 private:
  std::uint64_t target(Duration since) const;
  void open_epoch(Time now);

  std::uint32_t packet_bytes_;
  std::uint64_t window_ = 0, peak_ = 0, reno_ = 0;
  Time epoch_{};
  std::int64_t k_ms_ = 0;  // from the epoch until the window is back at its peak
};

// floor of the cube root
std::uint64_t cube_root(std::uint64_t x);

}  // namespace longhaul::datagram
