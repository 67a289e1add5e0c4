#include "netsim/pipe.hpp"

#include <algorithm>
#include <numeric>

namespace netsim {

std::string_view name_of(DropReason why) {
  constexpr std::array<std::string_view, kDropReasons> kNames = {
      "loss", "queue-full", "aqm", "policer", "too-big", "black-hole", "outage"};
  return kNames[static_cast<std::size_t>(why)];
}

std::uint64_t PipeCounters::dropped_total() const {
  return std::accumulate(dropped.begin(), dropped.end(), std::uint64_t{0});
}

Pipe::Pipe(const DirectionConfig& config, const longhaul::Rng& rng, Time start)
    : config_(config),
      loss_(config.loss, rng.stream("loss")),
      bottleneck_(config, rng.stream("aqm"), start),
      line_(config, rng),
      last_push_(start) {
  if (config.policer) policer_.emplace(*config.policer, start);
}

std::optional<DropReason> Pipe::refuse(Time now, const Packet& packet) {
  if (packet.bytes > config_.mtu_bytes)
    return config_.pmtu_reply ? DropReason::kTooBig : DropReason::kBlackHole;
  if (cut_) return DropReason::kOutage;
  if (policer_ && !policer_->admit(now, packet.bytes)) return DropReason::kPolicer;
  if (loss_.lose()) return DropReason::kLoss;
  return std::nullopt;
}

void Pipe::push(Time now, const Packet& packet) {
  now = std::max(now, last_push_);
  last_push_ = now;
  advance(now);
  ++counters_.packets_in;
  counters_.bytes_in += packet.bytes;
  if (const auto why = refuse(now, packet)) {
    drops_.push({packet.cookie, *why});
    return;
  }
  bottleneck_.push(now, packet, drops_);
  counters_.queue_bytes_max = std::max(counters_.queue_bytes_max, bottleneck_.queue_bytes());
}

void Pipe::advance(Time until) {
  while (const auto exit = bottleneck_.advance(until, drops_))
    line_.push(exit->at, exit->cookie, exit->marked, counters_);
}

std::optional<Delivery> Pipe::pop(Time now) {
  advance(now);
  auto delivery = line_.pop(now);
  if (delivery) ++counters_.delivered;
  return delivery;
}

std::optional<Drop> Pipe::pop_drop() {
  if (drops_.empty()) return std::nullopt;
  const Drop drop = drops_.pop();
  ++counters_.dropped[static_cast<std::size_t>(drop.why)];
  return drop;
}

std::optional<Time> Pipe::next_deadline() const {
  const auto due = line_.next_delivery();
  const auto event = bottleneck_.next_event();
  if (!event) return due;
  const Time soonest = *event + line_.least_delay();
  return due ? std::min(*due, soonest) : soonest;
}

void Pipe::reconfigure(Time now, const DirectionConfig& config) {
  advance(now);
  if (config.policer && policer_)
    policer_->reconfigure(now, *config.policer);
  else if (config.policer)
    policer_.emplace(*config.policer, now);
  else
    policer_.reset();
  if (config.loss != config_.loss) loss_.reconfigure(config.loss);
  bottleneck_.reconfigure(now, config);
  line_.reconfigure(config);
  config_ = config;
}

void Pipe::cut(Time now) {
  advance(now);
  bottleneck_.flush(now, drops_);
  line_.flush(now, drops_);
  cut_ = true;
}

void Pipe::mend(Time now) {
  advance(now);
  cut_ = false;
}

void Pipe::check() const {
  bottleneck_.check();
  const std::uint64_t dropped = counters_.dropped_total() + drops_.size();
  // Copies of packets that an outage took are neither delivered nor dropped, hence the inequality.
  ASSERT(counters_.packets_in + counters_.duplicated >=
         counters_.delivered + dropped + packets_inside());
  ASSERT(counters_.packets_in <= counters_.delivered + dropped + packets_inside());
}

}  // namespace netsim
