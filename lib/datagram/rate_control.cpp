#include "lib/datagram/rate_control.hpp"

#include <algorithm>

#include "lib/datagram/rate_limits.hpp"

namespace longhaul::datagram {

RateControl::RateControl(Time now, const RateOptions& options)
    : options_(options),
      pacer_(now, options.packet_bytes),
      phase_(RatePhase::kStart),
      last_heard_(now),
      probe_gain_(kProbeGainMin) {
  const BytesPerSecond first = rate_of(kFirstFlightPackets * options.packet_bytes, rtt_or_guess());
  const Duration known = options.known.rtt_min, seen = options.handshake_rtt;
  // The same way as before? A quarter more or less than remembered may be load or a detour.
  const bool same = options.known.rate > first && seen >= known * 3 / 4 && seen <= known * 3 / 2;
  if (same) phase_ = RatePhase::kResume;
  begin_start(now, phase_, same ? permille(options.known.rate, 500) : first);
}

Duration RateControl::rtt_or_guess() const {
  if (rtt_min_ > Duration{}) return rtt_min_;
  return options_.handshake_rtt > Duration{} ? options_.handshake_rtt : kRttGuess;
}

// The time scale of decisions: the round trip, but no less than a few trials.
Duration RateControl::interval() const {
  return std::max(rtt_or_guess(), 2 * kTrialMin);
}

void RateControl::size_window() {
  if (phase_ == RatePhase::kOutage) {
    window_ = ByteCount(0);
    return;
  }
  Duration span = 2 * rtt_or_guess() + 20ms;
  if (others_ == RatePhase::kCompete) span += rtt_smooth_;
  ByteCount wanted = std::max(pacing_, capacity_).bytes_in(span);
  window_ = std::clamp(wanted, ByteCount(kWindowPacketsMin * options_.packet_bytes), kWindowMax);
}

SentPacket RateControl::on_sent(Time now, std::uint64_t number, std::uint32_t bytes,
                                bool app_limited) {
  if (in_flight_ == ByteCount(0)) last_heard_ = now;
  if (pacer_.late(now)) trials_.newest().stalled = trials_.newest().app_limited = true;
  if (now >= trial_end_ && phase_ != RatePhase::kOutage) open_trial(now);
  pacer_.on_sent(now, bytes);
  in_flight_ += ByteCount(bytes);
  Trial& trial = trials_.newest();
  trial.sent_bytes += bytes;
  ++trial.sent_packets;
  trial.app_limited = trial.app_limited || app_limited;
  return SentPacket{number, now, bytes, trial.id, app_limited};
}

void RateControl::on_acked(Time now, std::span<const AckedPacket> packets, Duration ack_delay) {
  if (packets.empty()) return;
  last_heard_ = now;
  Time newest{};
  for (const AckedPacket& acked : packets) {
    const SentPacket& packet = acked.packet;
    if (!acked.was_lost) in_flight_ -= ByteCount(packet.bytes);
    acked_bytes_ += packet.bytes;
    newest = std::max(newest, packet.sent);
    newest_acked_ = std::max(newest_acked_, packet.trial);
    if (Trial* trial = trials_.find(packet.trial)) trial->add(acked);
  }
  const Duration rtt = std::max<Duration>(now - newest - ack_delay, 10us);
  rtt_min_ = rtt_min_ > Duration{} ? std::min(rtt_min_, rtt) : rtt;
  rtt_smooth_ = rtt_smooth_ > Duration{} ? rtt_smooth_ + (rtt - rtt_smooth_) / 8 : rtt;
  on_alive(now);
  take_trials(now);
  if (now >= trial_end_) open_trial(now);
  size_window();
}

void RateControl::on_alive(Time now) {
  if (phase_ != RatePhase::kOutage) return;
  last_heard_ = now;
  const BytesPerSecond known = std::max(capacity_, permille(link_, 500));
  options_.known = {known, rtt_min_};
  ignored_before_ = trials_.next_id();
  others_ = RatePhase::kSteady;
  testing_ = test_wanted_ = false;
  // A session that never had enough to say knows nothing of the link's rate: it begins as one does.
  // Half of nothing, the least rate, was kept for half a minute: a minute's points took 28 s.
  if (known.value() == 0) {
    phase_ = RatePhase::kStart;
    return begin_start(now, phase_,
                       rate_of(kFirstFlightPackets * options_.packet_bytes, rtt_or_guess()));
  }
  phase_ = RatePhase::kResume;
  begin_start(now, phase_, permille(known, 500));
}

void RateControl::on_lost(Time, std::span<const SentPacket> packets) {
  for (const SentPacket& packet : packets) {
    in_flight_ -= ByteCount(packet.bytes);
    lost_bytes_ += packet.bytes;
    if (Trial* trial = trials_.find(packet.trial)) trial->add_lost(packet);
  }
}

void RateControl::on_dropped_there(std::span<const SentPacket> packets) {
  for (const SentPacket& packet : packets) {
    in_flight_ -= ByteCount(packet.bytes);
    lost_bytes_ += packet.bytes;
    Trial* trial = trials_.find(packet.trial);
    if (trial == nullptr) continue;
    ++trial->dropped_packets;
  }
}

void RateControl::on_forgotten(std::span<const SentPacket> packets) {
  for (const SentPacket& packet : packets) in_flight_ -= ByteCount(packet.bytes);
}

void RateControl::on_path_change(Time now) {
  options_.known = {};
  rtt_min_ = rtt_smooth_ = options_.handshake_rtt = Duration{};
  base_ = DelayBase{};
  capacity_ = link_ = {};
  others_ = RatePhase::kSteady;
  testing_ = test_wanted_ = high_ = starved_ = false;
  noise_ = moved_ = wobble_ = held_ = last_delay_ = Duration{};
  over_most_ = {};
  ignored_before_ = trials_.next_id();
  phase_ = RatePhase::kStart;
  begin_start(now, phase_, rate_of(kFirstFlightPackets * options_.packet_bytes, kRttGuess));
}

// No start: its doubling would fill a link whose rate is known. But what carried less than a start
// does has told nothing.
void RateControl::take_over(Time now, BytesPerSecond rate, BytesPerSecond slice) {
  slice_ = slice;
  if (phase_ == RatePhase::kOutage) return;
  link_ = receiver_ = {};
  testing_ = test_wanted_ = false;
  full_ = {};
  others_seen_ = alone_seen_ = 0;
  ignored_before_ = trials_.next_id();
  const BytesPerSecond first = rate_of(kFirstFlightPackets * options_.packet_bytes, rtt_or_guess());
  const BytesPerSecond known = rate.value() > 0 ? rate : capacity_;
  if (slice_.value() > 0 || known >= first) return go_steady(now, known);
  others_ = RatePhase::kSteady;
  phase_ = RatePhase::kStart;
  begin_start(now, phase_, first);
}

void RateControl::on_deadline(Time now) {
  const auto due = next_deadline();
  if (!due || now < *due || phase_ == RatePhase::kOutage) return;
  phase_ = RatePhase::kOutage;
  size_window();
}

std::optional<Time> RateControl::next_deadline() const {
  if (in_flight_ == ByteCount(0) || phase_ == RatePhase::kOutage) return std::nullopt;
  return last_heard_ + std::max(kSilenceMin, 3 * std::max(rtt_or_guess(), rtt_smooth_));
}

bool RateControl::may_send(Time now) const {
  return in_flight_ < window_ && now >= pacer_.next();
}

std::optional<Time> RateControl::next_send() const {
  if (in_flight_ >= window_) return std::nullopt;
  return pacer_.next();
}

ByteCount RateControl::burst(Time now) const {
  if (!may_send(now)) return ByteCount(0);
  // One packet may stand over the edge of the window: a window is no multiple of packets.
  const ByteCount room = window_ - in_flight_ + ByteCount(options_.packet_bytes);
  // A short queue, or one kept full by a sender that is clocked by acks, has no room for batches.
  const bool small = others_ == RatePhase::kCompete || now < shallow_until_;
  const ByteCount most = small ? ByteCount(options_.packet_bytes) : room;
  return std::min({pacer_.burst(now), room, most});
}

RateState RateControl::state() const {
  RateState s;
  s.mode = options_.mode;
  s.phase = phase_;
  s.pacing = pacing_;
  s.delivered = delivered_;
  s.capacity = capacity_;
  s.window = window_;
  s.in_flight = in_flight_;
  s.rtt_min = rtt_min_;
  s.rtt_smooth = rtt_smooth_;
  s.queue = queue_;
  s.queue_target = queue_target();
  s.loss_ppm = loss_ppm_;
  s.congestion_loss_ppm = congestion_ppm_;
  s.skew_ppb = base_.skew_ppb();
  s.trials = trials_.next_id();
  s.acked_bytes = acked_bytes_;
  s.lost_bytes = lost_bytes_;
  return s;
}

KnownLink RateControl::learned() const {
  return {std::max(link_, capacity_), rtt_min_};
}

void RateControl::check() const {
  ASSERT(pacing_.value() > 0);
  ASSERT(window_ <= kWindowMax);
  ASSERT(next_trial_ <= trials_.next_id());
}

}  // namespace longhaul::datagram
