#include "netsim/relay/lateness.hpp"

#include <algorithm>
#include <bit>

namespace netsim::relay {

void Lateness::add(Duration late) {
  const auto ns = static_cast<std::uint64_t>(std::max<std::int64_t>(late.count(), 0));
  max_ = std::max(max_, late);
  ++count_;
  // Below 16 each value has its step; above, 16 steps to a power of two.
  const auto shift = ns < kSub ? 0U : static_cast<unsigned>(std::bit_width(ns)) - 5;
  const std::size_t step = ns < kSub ? ns : (shift + 1) * kSub + ((ns >> shift) - kSub);
  ++steps_[std::min(step, steps_.size() - 1)];
}

Duration Lateness::quantile(double p) const {
  const auto wanted = static_cast<std::uint64_t>(p * static_cast<double>(count_));
  std::uint64_t seen = 0;
  for (std::size_t i = 0; i < steps_.size(); ++i) {
    seen += steps_[i];
    if (seen <= wanted && i + 1 < steps_.size()) continue;
    const std::size_t shift = i < kSub ? 0 : i / kSub - 1;
    const std::uint64_t edge = i < kSub ? i : ((kSub + i % kSub + 1) << shift) - 1;
    return std::min(max_, Duration(static_cast<std::int64_t>(edge)));
  }
  return max_;
}

Lateness::Verdict Lateness::verdict(Duration rtt) const {
  const Duration p99_most = std::max<Duration>(std::chrono::microseconds(200), rtt / 100);
  const bool fits = quantile(0.99) <= p99_most && max_ <= std::chrono::milliseconds(10);
  return fits ? Verdict::kValid : Verdict::kInvalid;
}

}  // namespace netsim::relay
