// PieState: the controller of RFC 8033 with per-packet timestamps for the queueing delay (its
// section 5.1's alternative to measuring the departure rate). Every `update` it moves a drop
// probability by the delay's distance from `target` and its trend; arrivals are dropped (or marked)
// with that probability.
#pragma once

#include <cstdint>

#include "lib/base/rng.hpp"
#include "netsim/config.hpp"

namespace netsim {

class PieState {
 public:
  PieState(const Pie& config, Time start);
  void reconfigure(const Pie& config) { config_ = config; }
  enum class Verdict : std::uint8_t { kPass, kMark, kDrop };
  // A packet arrives at a queue of backlog_bytes. can_mark: it is ECN-capable and the queue marks.
  Verdict on_arrival(Time now, std::uint64_t backlog_bytes, bool can_mark, longhaul::Rng& rng);
  void on_departure(Time now, Duration sojourn);  // a packet left the queue after `sojourn`
  void on_empty(Time now);
  double probability() const { return probability_; }

 private:
  void catch_up(Time now);
  void update();

  Pie config_;
  Time next_update_;
  Duration delay_{}, delay_before_{}, burst_left_;
  double probability_ = 0, accumulated_ = 0;
};

}  // namespace netsim
