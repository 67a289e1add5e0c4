#include "lib/datagram/rate_control.hpp"

#include <algorithm>

namespace longhaul::datagram {
namespace {

constexpr std::uint64_t kFirstFlightPackets = 128;
constexpr Duration kRttGuess = 200ms;
constexpr Duration kQueueHigh = 5ms;
constexpr BytesPerSecond kRateMin(12'500);  // 100 kbit/s: a link this slow still hears of itself
constexpr ByteCount kWindowMax = ByteCount(128'000'000);
constexpr Duration kSilenceMin = 1s;

BytesPerSecond scaled(BytesPerSecond rate, std::uint64_t percent) {
  return BytesPerSecond(rate.value() * percent / 100);
}

}  // namespace

RateControl::RateControl(Time now, const RateOptions& options)
    : options_(options),
      pacer_(now, options.packet_bytes),
      phase_(options.known.rate.value() > 0 ? RatePhase::kResume : RatePhase::kStart),
      round_start_(now),
      last_heard_(now) {
  const std::uint64_t flight = kFirstFlightPackets * options.packet_bytes;
  const auto first = BytesPerSecond(flight * 1'000'000 /
                                    static_cast<std::uint64_t>(rtt_or_guess().count() / 1000 + 1));
  set_pacing(now, std::max(first, scaled(options.known.rate, 50)));
}

Duration RateControl::rtt_or_guess() const {
  if (rtt_min_ > Duration{}) return rtt_min_;
  return options_.handshake_rtt > Duration{} ? options_.handshake_rtt : kRttGuess;
}

void RateControl::set_pacing(Time now, BytesPerSecond rate) {
  if (options_.limit.value() > 0) rate = std::min(rate, options_.limit);
  pacing_ = std::max(rate, kRateMin);
  pacer_.set_rate(now, pacing_);
  const ByteCount two_bdp = pacing_.bytes_in(2 * rtt_or_guess() + 10ms);
  window_ = std::clamp(two_bdp, ByteCount(std::uint64_t{16} * options_.packet_bytes), kWindowMax);
}

SentPacket RateControl::on_sent(Time now, std::uint64_t number, std::uint32_t bytes,
                                bool app_limited) {
  if (in_flight_ == ByteCount(0)) last_heard_ = now;
  pacer_.on_sent(now, bytes);
  in_flight_ += ByteCount(bytes);
  round_limited_ = round_limited_ || app_limited;
  return SentPacket{number, now, bytes, round_, app_limited};
}

void RateControl::on_acked(Time now, std::span<const AckedPacket> packets, Duration ack_delay) {
  bool round_over = false;
  Duration rtt = Duration::max();
  for (const AckedPacket& acked : packets) {
    const SentPacket& packet = acked.packet;
    if (!acked.was_lost) in_flight_ -= ByteCount(packet.bytes);
    acked_bytes_ += packet.bytes;
    rtt = std::min(rtt, now - packet.sent - ack_delay);
    const Duration delay = acked.received - packet.sent.time_since_epoch();
    base_ = std::min(base_, delay);
    round_delay_ = std::min(round_delay_, delay);
    if (round_bytes_ == 0) first_received_ = acked.received;
    last_received_ = std::max(last_received_, acked.received);
    round_bytes_ += packet.bytes;
    round_over = round_over || packet.round == round_;
  }
  if (packets.empty()) return;
  last_heard_ = now;
  if (phase_ == RatePhase::kOutage) phase_ = RatePhase::kResume;
  rtt = std::max(rtt, Duration(1000));
  rtt_min_ = rtt_min_ > Duration{} ? std::min(rtt_min_, rtt) : rtt;
  rtt_smooth_ = rtt_smooth_ > Duration{} ? rtt_smooth_ + (rtt - rtt_smooth_) / 8 : rtt;
  if (round_over) end_round(now);
}

void RateControl::on_lost(Time, std::span<const SentPacket> packets) {
  for (const SentPacket& packet : packets) {
    in_flight_ -= ByteCount(packet.bytes);
    lost_bytes_ += packet.bytes;
    round_lost_ += packet.bytes;
  }
}

void RateControl::on_forgotten(std::span<const SentPacket> packets) {
  for (const SentPacket& packet : packets) in_flight_ -= ByteCount(packet.bytes);
}

void RateControl::on_path_change(Time now) {
  phase_ = RatePhase::kResume;
  rtt_min_ = rtt_smooth_ = Duration{};
  base_ = Duration::max();
  const BytesPerSecond before = capacity();
  rates_.fill(0);
  set_pacing(now, scaled(before, 50));
}

BytesPerSecond RateControl::capacity() const {
  return BytesPerSecond(*std::max_element(rates_.begin(), rates_.end()));
}

void RateControl::end_round(Time now) {
  const Duration span = last_received_ - first_received_;
  if (span > Duration{})
    delivered_ = BytesPerSecond(round_bytes_ * 1'000'000 /
                                static_cast<std::uint64_t>(span.count() / 1000 + 1));
  const BytesPerSecond before = capacity();
  rates_[round_ % kRateRounds] = delivered_.value();
  queue_ = std::max(Duration{}, round_delay_ - base_);
  const std::uint64_t all = round_bytes_ + round_lost_;
  const auto lost_ppm =
      all > 0 ? static_cast<std::uint32_t>(round_lost_ * 1'000'000 / all) : std::uint32_t{0};
  loss_ppm_ = loss_ppm_ - loss_ppm_ / 8 + lost_ppm / 8;
  const bool high = queue_ > kQueueHigh;
  if (phase_ == RatePhase::kStart || phase_ == RatePhase::kResume) {
    const bool flat = !round_limited_ && capacity() < scaled(before, 115);
    flat_rounds_ = flat ? flat_rounds_ + 1 : 0;
    if (high || flat_rounds_ >= 3)
      phase_ = RatePhase::kDrain;
    else if (!round_limited_)
      set_pacing(now, scaled(pacing_, 200));
  }
  if (phase_ == RatePhase::kDrain) {
    if (!high) phase_ = RatePhase::kSteady;
    set_pacing(now, scaled(capacity(), 75));
  } else if (phase_ == RatePhase::kSteady && !round_limited_) {
    set_pacing(now, scaled(capacity(), high ? 90 : 104));
  }
  ++round_;
  round_start_ = now;
  round_bytes_ = round_lost_ = 0;
  round_delay_ = Duration::max();
  round_limited_ = false;
}

void RateControl::on_deadline(Time now) {
  const auto due = next_deadline();
  if (!due || now < *due) return;
  phase_ = RatePhase::kOutage;
  last_heard_ = now;
  set_pacing(now, std::max(scaled(pacing_, 50), kRateMin));
}

std::optional<Time> RateControl::next_deadline() const {
  if (in_flight_ == ByteCount(0)) return std::nullopt;
  return last_heard_ + std::max(kSilenceMin, 3 * rtt_or_guess());
}

bool RateControl::may_send(Time now) const {
  return in_flight_ < window_ && now >= pacer_.next();
}

std::optional<Time> RateControl::next_send() const {
  if (in_flight_ >= window_) return std::nullopt;
  return pacer_.next();
}

ByteCount RateControl::burst(Time now) const {
  return may_send(now) ? std::min(pacer_.burst(now), window_ - in_flight_) : ByteCount(0);
}

RateState RateControl::state() const {
  RateState s;
  s.phase = phase_;
  s.pacing = pacing_;
  s.delivered = delivered_;
  s.capacity = capacity();
  s.window = window_;
  s.in_flight = in_flight_;
  s.rtt_min = rtt_min_;
  s.rtt_smooth = rtt_smooth_;
  s.queue = queue_;
  s.queue_target = kQueueHigh;
  s.loss_ppm = loss_ppm_;
  s.rounds = round_;
  s.acked_bytes = acked_bytes_;
  s.lost_bytes = lost_bytes_;
  return s;
}

KnownLink RateControl::learned() const {
  return {capacity(), rtt_min_};
}

void RateControl::check() const {
  ASSERT(pacing_ >= kRateMin || options_.limit.value() > 0);
  ASSERT(window_ <= kWindowMax);
}

}  // namespace longhaul::datagram
