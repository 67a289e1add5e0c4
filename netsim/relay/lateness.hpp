// How late scheduled things were done: a histogram with steps of 1/16, and whether a run may be
// believed. Pure.
#pragma once

#include <array>
#include <cstdint>

#include "netsim/config.hpp"

namespace netsim::relay {

class Lateness {
 public:
  void add(Duration late);
  std::uint64_t count() const { return count_; }
  Duration max() const { return max_; }
  Duration quantile(
      double p) const;  // upper edge of its step, at most max(); 0 if nothing was timed
  // p99 up to max(0.2 ms, 1 % of the RTT), and nothing over 10 ms late.
  enum class Verdict : bool { kInvalid, kValid };
  Verdict verdict(Duration rtt) const;

 private:
  static constexpr std::size_t kSub = 16;
  std::array<std::uint64_t, kSub * 42> steps_{};
  std::uint64_t count_ = 0;
  Duration max_{};
};

}  // namespace netsim::relay
