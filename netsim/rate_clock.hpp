// RateClock: when a bottleneck has sent so many bytes. Exact: the fraction of a nanosecond that one
// packet leaves over is charged to the next, so that back-to-back packets take floor(bytes / rate)
// in sum and the long-run rate error is zero. Traces follow mahimahi: an opportunity carries 1504
// bytes, several packets may share one, a packet may span several, and what nobody waits for is
// gone.
#pragma once

#include <cstddef>
#include <cstdint>

#include "netsim/config.hpp"

namespace netsim {

constexpr std::uint32_t kOpportunityBytes = 1504;

class RateClock {
 public:
  RateClock(const RateConfig& config, Time start) : config_(config), epoch_(start) {}
  // Sends `bytes` in `packets` packets, the first bit at `start` or later (not before the last
  // result).
  Time finish(Time start, std::uint64_t bytes, std::uint32_t packets = 1);
  void reconfigure(Time now, const RateConfig& config);  // a trace starts at its beginning

 private:
  Time finish_constant(const ConstantRate& rate, Time start, std::uint64_t bytes,
                       std::uint32_t packets);
  Time finish_trace(const TraceRate& trace, Time start, std::uint64_t bytes);
  Time opportunity(const TraceRate& trace) const;
  void seek(const TraceRate& trace, Time start);
  void step(const TraceRate& trace);

  RateConfig config_;
  Time epoch_;
  Time free_at_{};           // constant: end of the last transmission
  std::uint64_t carry_ = 0;  // constant: fraction of a nanosecond owed, in units of 1/rate
  std::int64_t cycle_ = 0;   // trace: which repetition,
  std::size_t index_ = 0;    // which opportunity in it,
  std::uint32_t left_ = kOpportunityBytes;  // and what it can still carry
};

}  // namespace netsim
