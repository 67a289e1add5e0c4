#include "netsim/scheduler.hpp"

namespace netsim {

using longhaul::Time;

TimerId Scheduler::at(Time when, Callback callback) {
  if (free_.empty()) {
    free_.push_back(static_cast<std::uint32_t>(slots_.size()));
    slots_.emplace_back();
  }
  const std::uint32_t slot = free_.back();
  free_.pop_back();
  slots_[slot].callback = std::move(callback);
  const std::uint32_t generation = slots_[slot].generation;
  queue_.push(std::max(when, now_), Entry{slot, generation});
  ++pending_;
  return TimerId((std::uint64_t{generation} << 32) | slot);
}

void Scheduler::release(std::uint32_t slot) {
  ++slots_[slot].generation;
  free_.push_back(slot);
  --pending_;
}

void Scheduler::cancel(TimerId timer) {
  const auto slot = static_cast<std::uint32_t>(timer.value());
  const auto generation = static_cast<std::uint32_t>(timer.value() >> 32);
  if (generation == 0 || slots_[slot].generation != generation) return;
  Callback dropped = std::move(slots_[slot].callback);  // its destructor may call back into us
  release(slot);
  skip_cancelled();
}

void Scheduler::skip_cancelled() {
  while (!queue_.empty() && stale(queue_.front().value)) queue_.pop();
}

bool Scheduler::step() {
  if (queue_.empty()) return false;
  const auto entry = queue_.pop();
  now_ = entry.at;
  Callback callback = std::move(slots_[entry.value.slot].callback);
  release(entry.value.slot);
  skip_cancelled();
  callback();
  return true;
}

std::optional<Time> Scheduler::next() const {
  if (queue_.empty()) return std::nullopt;
  return queue_.front().at;
}

void Scheduler::advance_to(Time when) {
  ASSERT(when >= now_ && (queue_.empty() || queue_.front().at >= when));
  now_ = when;
}

}  // namespace netsim
