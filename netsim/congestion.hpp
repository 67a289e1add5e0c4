// CongestionWindow: how many bytes a simulated TCP sender keeps in flight. CUBIC by RFC 9438, Reno
// by RFC 5681, or a fixed window. Slow start ends early when the round-trip time rises (as Linux
// does), or it would lose half a window each time. Plain IEEE arithmetic: the same on every
// machine.
#pragma once

#include <cstdint>

#include "lib/base/units.hpp"

namespace netsim {

enum class Congestion : std::uint8_t { kCubic, kReno, kFixed };

class CongestionWindow {
 public:
  // fixed_bytes: the window of kFixed; mss_bytes: payload of a full segment.
  CongestionWindow(Congestion kind, std::uint32_t mss_bytes, std::uint64_t fixed_bytes);
  std::uint64_t bytes() const { return static_cast<std::uint64_t>(window_); }
  bool in_slow_start() const { return window_ < threshold_; }
  // limited: the window, not the application or the receiver, kept the sender from sending more.
  void on_ack(longhaul::Time now, std::uint64_t bytes, longhaul::Duration rtt, bool limited);
  void on_loss();  // once per round trip
  void on_timeout();
  void set_mss(std::uint32_t mss_bytes) { mss_ = mss_bytes; }

 private:
  void grow_cubic(longhaul::Time now, double acked, longhaul::Duration rtt);
  void end_slow_start_if_late(longhaul::Time now, longhaul::Duration rtt);
  void reduce();

  Congestion kind_;
  double mss_, window_, threshold_;
  longhaul::Duration rtt_min_ = longhaul::Duration::max();
  longhaul::Duration round_min_ = longhaul::Duration::max();
  longhaul::Time round_end_{};
  int samples_ = 0;          // of this round
  bool epoch_open_ = false;  // CUBIC: growth since the last reduction
  longhaul::Time epoch_{};
  double window_max_ = 0, reno_window_ = 0;
  double k_seconds_ = 0;
};

}  // namespace netsim
