// Pacer: turns a rate into times at which packets may leave. A sender that wakes late catches up at
// most 2 ms of the rate, so that a scheduler's pause does not become a burst in the bottleneck.
#pragma once

#include <cstdint>

#include "lib/base/units.hpp"

namespace longhaul::datagram {

class Pacer {
 public:
  static constexpr Duration kCatchUpMax = std::chrono::milliseconds(2);
  static constexpr Duration kBatch = std::chrono::milliseconds(1);
  static constexpr std::uint32_t kBatchPacketsMin = 2;

  Pacer(Time now, std::uint32_t packet_bytes) : next_(now), packet_bytes_(packet_bytes) {}
  void set_rate(Time now, BytesPerSecond rate);  // what waits is re-timed; rate > 0
  void on_sent(Time now, std::uint32_t bytes);
  Time next() const { return next_; }  // when the next packet may leave; maybe past
  // The next packet is overdue by more than what is caught up.
  bool late(Time now) const { return now - next_ > kCatchUpMax; }
  // At `now`, how many bytes may leave together; zero before next().
  ByteCount burst(Time now) const;

 private:
  BytesPerSecond rate_;
  Time next_;
  std::uint32_t packet_bytes_;
};

}  // namespace longhaul::datagram
