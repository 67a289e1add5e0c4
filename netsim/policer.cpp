#include "netsim/policer.hpp"

#include <algorithm>

namespace netsim {

Policer::Policer(const PolicerConfig& config, Time start)
    : config_(config), last_(start), tokens_(full()) {}

void Policer::refill(Time now) {
  if (now <= last_) return;
  const auto span = static_cast<std::uint64_t>((now - last_).count());
  last_ = now;
  const std::uint64_t missing = full() - tokens_;
  // Compared before multiplying: after a long pause span * rate would not fit.
  tokens_ = span > missing / config_.rate.value() ? full() : tokens_ + span * config_.rate.value();
}

bool Policer::admit(Time now, std::uint32_t bytes) {
  refill(now);
  const std::uint64_t cost = std::uint64_t{bytes} * 1'000'000'000U;
  if (cost > tokens_) return false;
  tokens_ -= cost;
  return true;
}

void Policer::reconfigure(Time now, const PolicerConfig& config) {
  refill(now);
  config_ = config;
  tokens_ = std::min(tokens_, full());
}

}  // namespace netsim
