#include "netsim/rate_clock.hpp"

#include <algorithm>

namespace netsim {

Time RateClock::finish(Time start, std::uint64_t bytes, std::uint32_t packets) {
  if (const auto* rate = std::get_if<ConstantRate>(&config_))
    return finish_constant(*rate, start, bytes, packets);
  if (const auto* trace = std::get_if<TraceRate>(&config_))
    return finish_trace(*trace, start, bytes);
  return start;
}

void RateClock::reconfigure(Time now, const RateConfig& config) {
  if (config == config_) return;
  config_ = config;
  epoch_ = now;
  carry_ = 0;
  cycle_ = 0;
  index_ = 0;
  left_ = kOpportunityBytes;
}

Time RateClock::finish_constant(const ConstantRate& rate, Time start, std::uint64_t bytes,
                                std::uint32_t packets) {
  if (start > free_at_) carry_ = 0;  // the line was idle: nothing is owed
  bytes += std::uint64_t{rate.overhead_bytes} * packets;
  const std::uint64_t bytes_per_second = rate.rate.value();
  const std::uint64_t parts = bytes * 1'000'000'000U + carry_;  // a batch is far below 2^64 / 1e9
  carry_ = parts % bytes_per_second;
  free_at_ = start + Duration(static_cast<std::int64_t>(parts / bytes_per_second));
  return free_at_;
}

Time RateClock::opportunity(const TraceRate& trace) const {
  return epoch_ + trace.period * cycle_ + trace.opportunities[index_];
}

void RateClock::step(const TraceRate& trace) {
  left_ = kOpportunityBytes;
  if (++index_ < trace.opportunities.size()) return;
  index_ = 0;
  ++cycle_;
}

// The first opportunity at or after `start`, the one in use included.
void RateClock::seek(const TraceRate& trace, Time start) {
  if (opportunity(trace) >= start) return;
  const Duration since = start - epoch_;
  const std::int64_t cycle = since / trace.period;
  if (cycle > cycle_ + 1) {  // long idle: leap over the repetitions between
    cycle_ = cycle - 1;
    index_ = 0;
    left_ = kOpportunityBytes;
  }
  while (opportunity(trace) < start) {
    const auto& times = trace.opportunities;
    const Duration within = start - epoch_ - trace.period * cycle_;
    const auto from = times.begin() + static_cast<std::ptrdiff_t>(index_);
    const auto found = std::lower_bound(from, times.end(), within);
    left_ = kOpportunityBytes;
    index_ = static_cast<std::size_t>(found - times.begin());
    if (found != times.end()) return;
    index_ = 0;
    ++cycle_;
  }
}

Time RateClock::finish_trace(const TraceRate& trace, Time start, std::uint64_t bytes) {
  seek(trace, start);
  for (;;) {
    if (left_ == 0) step(trace);
    const auto sent = static_cast<std::uint32_t>(std::min<std::uint64_t>(bytes, left_));
    left_ -= sent;
    bytes -= sent;
    if (bytes == 0) return opportunity(trace);
  }
}

}  // namespace netsim
