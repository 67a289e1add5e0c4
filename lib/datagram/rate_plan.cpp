// RateControl, what to try next: how fast, for how long.
#include <algorithm>
#include <bit>

#include "lib/datagram/rate_control.hpp"
#include "lib/datagram/rate_limits.hpp"

namespace longhaul::datagram {

Duration RateControl::packet_time(BytesPerSecond rate) const {
  return std::max(rate, kRateMin).time_for(ByteCount(options_.packet_bytes));
}

// A little lower for the faster: of two that share a link, the slower one climbs.
Duration RateControl::queue_target() const {
  const std::uint64_t times = capacity_.value() / kTargetRate + 1;
  const auto doublings = static_cast<std::int64_t>(std::bit_width(times) - 1);
  // Between two powers of two, in a straight line.
  const std::uint64_t low = std::uint64_t{1} << doublings;
  const auto part = static_cast<std::int64_t>((times - low) * 1000 / low);
  Duration target = kTargetHigh - kTargetStep * doublings - kTargetStep * part / 1000;
  if (options_.mode == RateMode::kBackground) target /= 2;
  target = std::max(target, kTargetLow);
  target = std::min(target, rtt_or_guess() / 2);  // on a short way that would be a standing queue
  return std::max<Duration>(target, packet_time(capacity_) * 5 / 2) + noise_;
}

BytesPerSecond RateControl::to_send(BytesPerSecond arriving) const {
  return BytesPerSecond(arriving.value() * 1'000'000 / (1'000'000 - random_ppm_));
}

Duration RateControl::trial_length(BytesPerSecond pace) const {
  const Duration length = std::clamp(rtt_or_guess() / 4, kTrialMin, kTrialMax);
  return std::max(length, packet_time(pace) * static_cast<std::int64_t>(kTrialPacketsMin));
}

// What was measured, and what the trials on their way will add to it or take from it.
Duration RateControl::predicted_queue(Time now) const {
  Duration queue = queue_end_;
  for (std::uint32_t id = std::max(next_trial_, ignored_before_); id < trials_.next_id(); ++id) {
    const Trial& trial = trials_[id - trials_.first_id()];
    const Duration span = (trial.closed ? trial.end : now) - trial.begin;
    const std::uint64_t arriving = trial.sent_bytes * (1'000'000 - random_ppm_) / 1'000'000;
    const Duration served = std::max(capacity_, kRateMin).time_for(ByteCount(arriving));
    queue = std::max(Duration{}, queue + served - span);
  }
  return queue;
}

BytesPerSecond RateControl::steady_pace(Time now) const {
  const Duration queue = predicted_queue(now);
  const Duration over = std::max<Duration>(rtt_or_guess() / 2, 20ms);
  const std::uint64_t floor = queue > rtt_or_guess() ? 50 : 300;
  const auto permilles = static_cast<std::int64_t>(1000) +
                         (queue_target() - queue).count() / 1000 * 1000 / (over.count() / 1000);
  std::uint64_t share = static_cast<std::uint64_t>(std::max<std::int64_t>(permilles, 0));
  share = std::clamp(share, floor, kClimbPermille);
  if (now < shallow_until_) share = std::min<std::uint64_t>(share, 990);
  return to_send(permille(capacity_, share));
}

void RateControl::open(Time now, RatePhase kind, BytesPerSecond pace, Duration length) {
  if (options_.limit.value() > 0) pace = std::min(pace, options_.limit);
  if (receiver_.value() > 0) pace = std::min(pace, receiver_);
  if (slice_.value() > 0) pace = std::min(pace, slice_);
  pacing_ = std::max(pace, kRateMin);
  if (options_.limit.value() > 0) pacing_ = std::min(pacing_, options_.limit);
  pacer_.set_rate(now, pacing_);
  trials_.open(now, kind, pacing_);
  if (next_trial_ < trials_.first_id()) next_trial_ = trials_.first_id();
  trial_end_ = now + std::max(length, trial_length(pacing_));
  phase_ = kind;
  size_window();
}

void RateControl::begin_start(Time now, RatePhase phase, BytesPerSecond pace) {
  start_pace_ = pace;
  pulse_failed_ = pulse_out_ = false;
  pulse_due_ = phase == RatePhase::kStart && rtt_or_guess() >= 4 * kPulseLength;
  open(now, phase, pace, Duration{});
  // A few packets tell the way's own delay; the first pulse need not wait for more.
  if (pulse_due_)
    trial_end_ = now + packet_time(pace) * static_cast<std::int64_t>(2 * kTrialPacketsMin);
}

// A pulse shows what the link takes before a whole round trip is sent at that rate.
void RateControl::open_start(Time now) {
  if (!pulse_due_) return open(now, phase_, start_pace_, Duration{});
  pulse_due_ = false;
  pulse_out_ = true;
  const BytesPerSecond pace(start_pace_.value() * (pulse_failed_ ? 2 : kPulseGrowth));
  open(now, phase_, pace, Duration{});
  trials_.newest().pulse = true;
  pulse_id_ = trials_.newest().id;
  trial_end_ = now + std::max(kPulseLength,
                              packet_time(pacing_) * static_cast<std::int64_t>(kProbePacketsMin));
}

void RateControl::open_trial(Time now) {
  if (slice_.value() > 0) return open(now, RatePhase::kSteady, slice_, Duration{});
  switch (phase_) {
    case RatePhase::kStart:
    case RatePhase::kResume:
      return open_start(now);
    case RatePhase::kDip:
      if (sequel_ == Sequel::kProbe) return open_probe(now);
      break;
    case RatePhase::kTest:
      if (test_trials_ < 4) return open_test(now);
      break;
    default:
      break;
  }
  if (test_wanted_ && !testing_) {
    test_wanted_ = false;
    testing_ = true;
    test_trials_ = test_seen_ = 0;
    // Of what comes out, not of capacity: beside others, or draining, less than that was sent.
    test_pace_ = permille(to_send(std::min(capacity_, delivered_)), kTestPermille);
    if (others_ != RatePhase::kSteady) test_pace_ = permille(to_send(delivered_), kTestPermille);
    return open_test(now);
  }
  if (others_ == RatePhase::kCompete) return open_compete(now);
  if (others_ == RatePhase::kYield)
    return open(now, RatePhase::kYield, permille(learned().rate, 30), Duration{});
  if (now >= next_probe_ && !testing_) return open_dip(now);
  open(now, RatePhase::kSteady, steady_pace(now), Duration{});
}

// Long enough to empty the queue and to see a millisecond of the way without it.
void RateControl::open_dip(Time now) {
  sequel_ = Sequel::kProbe;
  const Duration queue = predicted_queue(now) + 1ms + packet_time(capacity_);
  next_probe_ = Time::max();  // until the probe has told
  if (queue > 4 * queue_target()) {
    next_probe_ = now + rtt_or_guess();
    return open(now, RatePhase::kSteady, steady_pace(now), Duration{});
  }
  open(now, RatePhase::kDip, to_send(permille(capacity_, kDipPermille)), 5 * queue);
}

void RateControl::open_probe(Time now) {
  sequel_ = Sequel::kNone;
  const BytesPerSecond pace = to_send(permille(capacity_, 1000 + probe_gain_));
  const bool rough = noise_ > kRough;
  const Duration length =
      rough ? interval() : std::min(kProbeQueue * 1000 / probe_gain_, interval());
  open(now, RatePhase::kProbe, pace,
       std::max(length, packet_time(pace) * static_cast<std::int64_t>(kProbePacketsMin)));
}

void RateControl::open_test(Time now) {
  if (test_trials_++ == 0) test_first_ = trials_.next_id();
  open(now, RatePhase::kTest, test_pace_, std::max<Duration>(interval() / 4, 10ms));
}

}  // namespace longhaul::datagram
