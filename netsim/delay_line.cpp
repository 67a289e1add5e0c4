#include "netsim/delay_line.hpp"

#include <algorithm>
#include <vector>

namespace netsim {

DelayLine::DelayLine(const DirectionConfig& config, const longhaul::Rng& rng)
    : jitter_(config.delay, rng.stream("jitter")),
      reorder_rng_(rng.stream("reorder")),
      corrupt_rng_(rng.stream("corrupt")),
      duplicate_rng_(rng.stream("duplicate")),
      may_reorder_(config.delay.may_reorder),
      reorder_(config.reorder),
      corrupt_(config.corrupt),
      duplicate_(config.duplicate) {}

void DelayLine::reconfigure(const DirectionConfig& config) {
  jitter_.reconfigure(config.delay);
  may_reorder_ = config.delay.may_reorder;
  reorder_ = config.reorder;
  corrupt_ = config.corrupt;
  duplicate_ = config.duplicate;
}

void DelayLine::push(Time exit, std::uint64_t cookie, bool marked, PipeCounters& counters) {
  Time at = exit + jitter_.draw();
  if (!may_reorder_) at = std::max(at, last_);
  const bool held_back = reorder_.p > 0 && reorder_rng_.chance(reorder_.p);
  if (held_back)
    at += reorder_.extra;
  else
    last_ = std::max(last_, at);
  std::uint8_t flags = marked ? kMarked : 0;
  if (corrupt_.p > 0 && corrupt_rng_.chance(corrupt_.p)) flags |= kCorrupt;
  const bool copy = duplicate_ > 0 && duplicate_rng_.chance(duplicate_);
  if (copy) put(at, cookie, static_cast<std::uint8_t>(flags | kDuplicate), held_back);
  put(at, cookie, flags, held_back);
  counters.held_back += held_back ? 1 : 0;
  counters.marked += marked ? 1 : 0;
  counters.corrupted += (flags & kCorrupt) != 0 ? 1 : 0;
  counters.duplicated += copy ? 1 : 0;
}

void DelayLine::put(Time at, std::uint64_t cookie, std::uint8_t flags, bool held_back) {
  const std::uint64_t sequence = sequence_++;
  // One held back would push the ring's end far out and send all that follow to the heap.
  if (!held_back && (in_order_.empty() || in_order_.back().at <= at))
    in_order_.push(Flight{at, cookie, sequence & 0xff'ffff'ffff'ffffU, flags});
  else
    out_of_order_.push(at, sequence, Late{cookie, flags});
}

bool DelayLine::ring_is_next() const {
  if (in_order_.empty() || out_of_order_.empty()) return !in_order_.empty();
  const auto& a = in_order_.front();
  const auto& b = out_of_order_.front();
  return a.at != b.at ? a.at < b.at : a.sequence < b.sequence;
}

std::optional<Time> DelayLine::next_delivery() const {
  if (ring_is_next()) return in_order_.front().at;
  if (!out_of_order_.empty()) return out_of_order_.front().at;
  return std::nullopt;
}

std::optional<Delivery> DelayLine::pop(Time now) {
  const auto delivery = [](Time at, std::uint64_t cookie, std::uint64_t flags) {
    return Delivery{at, cookie, (flags & kMarked) != 0, (flags & kCorrupt) != 0,
                    (flags & kDuplicate) != 0};
  };
  if (ring_is_next()) {
    if (in_order_.front().at > now) return std::nullopt;
    const Flight flight = in_order_.pop();
    return delivery(flight.at, flight.cookie, flight.flags);
  }
  if (out_of_order_.empty() || out_of_order_.front().at > now) return std::nullopt;
  const auto late = out_of_order_.pop();
  return delivery(late.at, late.value.cookie, late.value.flags);
}

void DelayLine::flush(Time now, Ring<Drop>& drops) {
  const auto lose = [&](std::uint64_t cookie, std::uint64_t flags) {
    if ((flags & kDuplicate) == 0) drops.push({cookie, DropReason::kOutage});
  };
  std::size_t kept = in_order_.size();
  while (kept > 0 && in_order_[kept - 1].at > now) --kept;
  for (std::size_t i = kept; i < in_order_.size(); ++i)
    lose(in_order_[i].cookie, in_order_[i].flags);
  in_order_.truncate(kept);
  TimeQueue<Late> still_due;
  while (!out_of_order_.empty()) {
    const auto late = out_of_order_.pop();
    if (late.at <= now)
      still_due.push(late.at, late.sequence, late.value);
    else
      lose(late.value.cookie, late.value.flags);
  }
  out_of_order_ = std::move(still_due);
  last_ = now;
}

}  // namespace netsim
