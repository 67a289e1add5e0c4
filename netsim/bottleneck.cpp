#include "netsim/bottleneck.hpp"

#include <algorithm>

namespace netsim {

Bottleneck::Bottleneck(const DirectionConfig& config, const longhaul::Rng& rng, Time start)
    : aggregation_(config.aggregation),
      queue_(config.queue, rng, start),
      rate_(config.rate, start),
      free_from_(start) {}

void Bottleneck::push(Time now, const Packet& packet, Ring<Drop>& drops) {
  queue_.push(now, packet, drops);
  if (phase_ == Phase::kIdle) next_round(std::max(now, free_from_), drops);
}

void Bottleneck::next_round(Time now, Ring<Drop>& drops) {
  phase_ = Phase::kIdle;
  free_from_ = now;
  if (queue_.empty()) return;
  if (!aggregation_) return take_batch(now, 1, drops);
  phase_ = Phase::kWaitingForMedium;
  next_ = now + aggregation_->pause;
}

void Bottleneck::take_batch(Time now, std::uint32_t packets_max, Ring<Drop>& drops) {
  batch_.clear();
  sent_ = 0;
  std::uint64_t bytes = 0;
  while (batch_.size() < packets_max) {
    const auto entry = queue_.pop(now, drops);
    if (!entry) break;
    bytes += entry->bytes;
    batch_.push_back(*entry);
  }
  free_from_ = now;
  phase_ = batch_.empty() ? Phase::kIdle : Phase::kSending;  // CoDel may have dropped them all
  if (phase_ == Phase::kSending)
    next_ = rate_.finish(now, bytes, static_cast<std::uint32_t>(batch_.size()));
}

std::optional<Bottleneck::Exit> Bottleneck::advance(Time until, Ring<Drop>& drops) {
  while (phase_ != Phase::kIdle && next_ <= until) {
    if (phase_ == Phase::kWaitingForMedium) {
      take_batch(next_, aggregation_ ? aggregation_->packets_max : 1, drops);
      continue;
    }
    const auto& entry = batch_[sent_];
    const Exit exit{next_, entry.cookie, entry.marked};
    if (++sent_ == batch_.size()) {
      batch_.clear();
      sent_ = 0;
      next_round(next_, drops);
    }
    return exit;
  }
  return std::nullopt;
}

std::optional<Time> Bottleneck::next_event() const {
  return phase_ == Phase::kIdle ? std::nullopt : std::optional(next_);
}

void Bottleneck::reconfigure(Time now, const DirectionConfig& config) {
  aggregation_ = config.aggregation;
  queue_.reconfigure(now, config.queue);
  rate_.reconfigure(now, config.rate);
}

void Bottleneck::flush(Time now, Ring<Drop>& drops) {
  for (; sent_ < batch_.size(); ++sent_) drops.push({batch_[sent_].cookie, DropReason::kOutage});
  batch_.clear();
  sent_ = 0;
  queue_.flush(drops);
  phase_ = Phase::kIdle;
  free_from_ = now;
}

}  // namespace netsim
