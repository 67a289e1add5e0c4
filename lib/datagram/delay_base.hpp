// DelayBase: what the one-way delay is without a queue. Two clocks that are set and run differently
// are compared, so a line is fitted under the delays of the last minute: its slope is the clocks'
// skew, its height the way itself. Nothing is forgotten while the caller knows a queue to stand.
#pragma once

#include <array>
#include <cstdint>

#include "lib/base/units.hpp"

namespace longhaul::datagram {

class DelayBase {
 public:
  void add(Time now, Duration delay);  // of a trial
  bool known() const { return count_ > 0; }
  // How far `delay` lies above the line at `now`; never below zero.
  Duration queue(Time now, Duration delay) const;
  void restart(Time now, Duration delay);  // the way changed: this is it
  std::int32_t skew_ppb() const { return static_cast<std::int32_t>(skew_ppb_); }

 private:
  static constexpr std::size_t kBuckets = 64;
  static constexpr Duration kBucket = std::chrono::seconds(1);
  static constexpr std::size_t kFitBuckets = 8;  // fewer say nothing about skew
  static constexpr std::int64_t kSkewMaxPpb = 200'000;
  struct Point {
    Time at{};
    Duration delay{};
  };
  const Point& point(std::size_t i) const { return points_[(first_ + i) % kBuckets]; }
  void fit();
  Duration line(Time now) const;

  std::array<Point, kBuckets> points_{};  // the least delay of each second, a ring
  std::size_t first_ = 0, count_ = 0;
  std::int64_t skew_ppb_ = 0;
  Point floor_{};  // the point the line goes through
};

}  // namespace longhaul::datagram
