// Policer: a token bucket without a queue, as carriers put in front of a sold rate. A packet that
// finds too few tokens is dropped at once. Tokens are counted in byte-nanoseconds: nothing is
// rounded.
#pragma once

#include <cstdint>

#include "netsim/config.hpp"

namespace netsim {

class Policer {
 public:
  Policer(const PolicerConfig& config, Time start);  // starts full
  bool admit(Time now, std::uint32_t bytes);
  void reconfigure(Time now, const PolicerConfig& config);  // keeps the tokens, up to the new burst

 private:
  void refill(Time now);
  std::uint64_t full() const { return config_.burst.value() * 1'000'000'000U; }
  PolicerConfig config_;
  Time last_;
  std::uint64_t tokens_;  // bytes * 1e9; a burst is at most kQueueBytesMax, so this fits
};

}  // namespace netsim
