#include "proxy/debounce.hpp"

#include <algorithm>

namespace longhaul::proxy {
namespace {

constexpr Duration kFirstPause = 1s;
constexpr Duration kLongestPause = 60s;
constexpr int kRestPerWalk = 4;     // walking: a fifth of the time
constexpr int kRestPerPatrol = 49;  // nothing told of a change: a fiftieth

}  // namespace

void Debounce::on_change(Time now) {
  if (!first_) first_ = now;
  last_ = now;
}

void Debounce::begin() {
  first_.reset();
  last_.reset();
}

void Debounce::end(Time now, Duration walk_took, bool succeeded) {
  not_before_ = now + kRestPerWalk * walk_took;
  patrol_at_ = now + std::max(times_.patrol, kRestPerPatrol * walk_took);
  if (succeeded) {
    retry_pause_ = {};
    return;
  }
  retry_pause_ = std::clamp(2 * retry_pause_, kFirstPause, kLongestPause);
  not_before_ = std::max(not_before_, now + retry_pause_);
}

Time Debounce::next_round() const {
  Time due = patrol_at_;
  if (failed()) due = not_before_;
  if (first_) due = std::min({due, *last_ + times_.quiet, *first_ + times_.most});
  return std::max(due, not_before_);
}

}  // namespace longhaul::proxy
