#include "lib/datagram/trial.hpp"

#include <algorithm>

namespace longhaul::datagram {

void Trial::add(const AckedPacket& acked) {
  const Duration delay = acked.received - acked.packet.sent.time_since_epoch();
  acked_bytes += acked.packet.bytes;
  ++acked_packets;
  app_limited = app_limited || acked.guessed;  // as little evidence of what the link carries
  if (acked.was_lost && lost_packets > 0) {
    --lost_packets;
    loss_events = std::min(loss_events, lost_packets);
    lost_bytes -= std::min<std::uint64_t>(lost_bytes, acked.packet.bytes);
  }
  if (acked.received < first_received) {
    first_received = acked.received;
    first_bytes = acked.packet.bytes;
  }
  if (acked.packet.number >= last_number) {
    last_number = acked.packet.number;
    last_received = acked.received;
  }
  low_ = std::min(low_, delay);
  high_ = std::max(high_, delay);
  rise_ = std::max(rise_, delay - low_);
  fall_ = std::max(fall_, high_ - delay);
  last_[seen_ % kEnd] = delay;
  if (seen_ % stride_ == 0) {
    if (sampled_ == kSamples) {  // full: keep every second one, and take half as many from now on
      for (std::size_t i = 0; i < kSamples / 2; ++i) samples_[i] = samples_[2 * i];
      sampled_ = kSamples / 2;
      stride_ *= 2;
    }
    samples_[sampled_++] = delay;
  }
  ++seen_;
}

void Trial::add_lost(const SentPacket& packet) {
  ++lost_packets;
  lost_bytes += packet.bytes;
  if (packet.number != newest_lost_.value_or(packet.number) + 1) ++loss_events;
  newest_lost_ = packet.number;
}

Duration Trial::delay() const {
  ASSERT(sampled_ > 0);
  std::array<Duration, kSamples> sorted = samples_;
  const auto nth = static_cast<std::ptrdiff_t>(sampled_ / 4);
  std::nth_element(sorted.begin(), sorted.begin() + nth,
                   sorted.begin() + static_cast<std::ptrdiff_t>(sampled_));
  return sorted[static_cast<std::size_t>(nth)];
}

Duration Trial::delay_end() const {
  ASSERT(seen_ > 0);
  std::array<Duration, kEnd> sorted = last_;
  const auto count = static_cast<std::ptrdiff_t>(std::min<std::uint32_t>(seen_, kEnd));
  std::nth_element(sorted.begin(), sorted.begin() + count / 4, sorted.begin() + count);
  return sorted[static_cast<std::size_t>(count / 4)];
}

BytesPerSecond Trial::delivered() const {
  if (acked_packets < 2 || last_received <= first_received) return {};
  const auto micros = static_cast<std::uint64_t>((last_received - first_received).count() / 1000);
  return BytesPerSecond((acked_bytes - first_bytes) * 1'000'000 /
                        std::max<std::uint64_t>(micros, 1));
}

std::uint32_t Trial::loss_ppm() const {
  const std::uint64_t all = std::uint64_t{acked_packets} + lost_packets;
  return all == 0 ? 0 : static_cast<std::uint32_t>(std::uint64_t{lost_packets} * 1'000'000 / all);
}

std::uint32_t Trial::missing_ppm() const {
  const std::uint64_t missing = std::uint64_t{lost_packets} + dropped_packets;
  const std::uint64_t all = acked_packets + missing;
  return all == 0 ? 0 : static_cast<std::uint32_t>(missing * 1'000'000 / all);
}

Trial& TrialLog::open(Time now, RatePhase kind, BytesPerSecond pace) {
  if (!ring_.empty()) {
    ring_.back().closed = true;
    ring_.back().end = now;
  }
  if (ring_.size() == kMax) {
    ring_.pop();
    ++first_;
  }
  Trial trial;
  trial.id = next_id();
  trial.kind = kind;
  trial.pace = pace;
  trial.begin = now;
  ring_.push(trial);
  return ring_.back();
}

Trial* TrialLog::find(std::uint32_t id) {
  return id < first_ || id >= next_id() ? nullptr : &ring_[id - first_];
}

}  // namespace longhaul::datagram
