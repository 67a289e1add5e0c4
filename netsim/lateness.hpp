// Lateness: how much later than scheduled packets left, as a histogram with steps of 1/16 (6 %),
// and the rule by which a run is valid. Pure.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <string>

#include "netsim/config.hpp"

namespace netsim {

class Lateness {
 public:
  void add(Duration late, std::uint64_t packets = 1);
  std::uint64_t count() const { return count_; }
  Duration max() const { return Duration(static_cast<std::int64_t>(max_ns_)); }
  Duration mean() const;
  Duration quantile(double p) const;  // upper edge of the step it falls into; 0 without packets
  void merge(const Lateness& other);

 private:
  static constexpr std::size_t kSub = 16, kExponents = 40;
  static std::size_t index_of(std::uint64_t ns);
  static std::uint64_t upper_edge(std::size_t index);

  std::array<std::uint64_t, kSub * kExponents> counts_{};
  std::uint64_t count_ = 0, sum_ns_ = 0, max_ns_ = 0;
};

inline constexpr Duration kP99Floor = std::chrono::microseconds(200);
inline constexpr Duration kLateMax = std::chrono::milliseconds(10);

// Why a run with this round-trip time is not to be believed; nullopt: it is valid. The p99 may be
// up to max(0.2 ms, 1 % of the RTT), no packet may be over 10 ms late.
std::optional<std::string> invalid_because(const Lateness& lateness, Duration rtt);

}  // namespace netsim
