#include "netsim/link.hpp"

#include <algorithm>

namespace netsim {

Link::Link(const LinkConfig& config, const longhaul::Rng& rng, Time start)
    : config_(config),
      pipes_{Pipe(config.up, rng.stream("up"), start),
             Pipe(config.down, rng.stream("down"), start)} {
  schedule_events(start);
}

void Link::schedule_events(Time from) {
  for (std::size_t i = 0; i < config_.events.size(); ++i)
    timeline_.push(from + config_.events[i].at, Pending{Change::kEvent, Direction::kUp, i});
}

void Link::advance(Time now) {
  while (!timeline_.empty() && timeline_.front().at <= now) {
    const auto entry = timeline_.pop();
    run(entry.at, entry.value);
  }
}

void Link::run(Time at, const Pending& pending) {
  switch (pending.change) {
    case Change::kEvent: {
      const Event& event = config_.events[pending.event];
      if (event.every) timeline_.push(at + *event.every, pending);
      const EventKind what = event.what;
      return act(at, what);
    }
    case Change::kMend:  // unless a longer outage has begun since
      if (at >= cut_until_[index(pending.direction)]) own_pipe(pending.direction).mend(at);
      return;
    case Change::kRestoreMtu:
      if (at < hole_until_) return;
      hole_mtu_.reset();
      for (const Direction d : kBothWays) refresh(at, d);
      return;
  }
}

void Link::cut(Time now, Direction direction, Duration length) {
  Time& until = cut_until_[index(direction)];
  until = std::max(until, now + length);
  own_pipe(direction).cut(now);
  timeline_.push(now + length, Pending{Change::kMend, direction, 0});
}

void Link::refresh(Time now, Direction direction) {
  DirectionConfig effective = config_[direction];
  if (hole_mtu_ && *hole_mtu_ < effective.mtu_bytes) {
    effective.mtu_bytes = *hole_mtu_;
    effective.pmtu_reply = false;
  }
  own_pipe(direction).reconfigure(now, effective);
}

void Link::apply(Time now, const EventKind& what) {
  advance(now);
  act(now, what);
}

void Link::act(Time now, const EventKind& what) {
  if (const auto* outage = std::get_if<Outage>(&what)) {
    for (const Direction d : kBothWays) cut(now, d, outage->length);
  } else if (const auto* partition = std::get_if<Partition>(&what)) {
    cut(now, partition->direction, partition->length);
  } else if (const auto* route = std::get_if<RouteStep>(&what)) {
    for (const Direction d : kBothWays) {
      Duration& base = config_[d].delay.base;
      base = std::max(Duration{}, base + route->change);
      refresh(now, d);
    }
  } else if (const auto* rate = std::get_if<RateStep>(&what)) {
    config_[rate->direction].rate = rate->rate;
    refresh(now, rate->direction);
  } else if (const auto* loss = std::get_if<LossStep>(&what)) {
    config_[loss->direction].loss = loss->loss;
    refresh(now, loss->direction);
  } else if (const auto* hole = std::get_if<PmtuDrop>(&what)) {
    hole_mtu_ = hole->mtu_bytes;
    hole_until_ = std::max(hole_until_, now + hole->length);
    for (const Direction d : kBothWays) refresh(now, d);
    timeline_.push(now + hole->length, Pending{Change::kRestoreMtu, Direction::kUp, 0});
  } else if (const auto* rebind = std::get_if<Rebind>(&what)) {
    rebinds_.push(Rebound{now, rebind->address_too});
  }
}

void Link::reconfigure(Time now, const LinkConfig& config) {
  advance(now);
  const bool new_events = config.events != config_.events;
  config_ = config;
  for (const Direction d : kBothWays) refresh(now, d);
  if (!new_events) return;
  TimeQueue<Pending> ends;  // an outage under way still ends
  while (!timeline_.empty()) {
    const auto entry = timeline_.pop();
    if (entry.value.change != Change::kEvent) ends.push(entry.at, entry.value);
  }
  timeline_ = std::move(ends);
  schedule_events(now);
}

void Link::push(Time now, Direction direction, const Packet& packet) {
  advance(now);
  own_pipe(direction).push(now, packet);
}

std::optional<Delivery> Link::pop(Time now, Direction direction) {
  advance(now);
  return own_pipe(direction).pop(now);
}

std::optional<Drop> Link::pop_drop(Direction direction) {
  return own_pipe(direction).pop_drop();
}

std::optional<Link::Rebound> Link::pop_rebind() {
  if (rebinds_.empty()) return std::nullopt;
  return rebinds_.pop();
}

std::optional<Time> Link::next_delivery() const {
  std::optional<Time> next;
  for (const Pipe& pipe : pipes_)
    if (const auto due = pipe.next_deadline()) next = next ? std::min(*next, *due) : *due;
  // An event may shorten the way of what is inside, so ask again then.
  if (next && !timeline_.empty()) next = std::min(*next, timeline_.front().at);
  return next;
}

std::optional<Time> Link::next_deadline() const {
  const auto due = next_delivery();
  if (due || timeline_.empty()) return due;
  return timeline_.front().at;
}

void Link::check() const {
  for (const Pipe& pipe : pipes_) pipe.check();
}

}  // namespace netsim
