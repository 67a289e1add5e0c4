// RateControl, what a trial showed.
#include <algorithm>

#include "lib/datagram/rate_control.hpp"
#include "lib/datagram/rate_limits.hpp"

namespace longhaul::datagram {

void RateControl::take_trials(Time now) {
  while (next_trial_ < trials_.next_id()) {
    Trial& trial = trials_[next_trial_ - trials_.first_id()];
    // Two trials later, what is missing is not late any more.
    if (!trial.closed || (!trial.settled() && newest_acked_ < trial.id + 2)) break;
    ++next_trial_;
    if (trial.id < ignored_before_ || trial.acked_packets == 0) continue;
    on_trial(now, trial);
  }
  if (slice_.value() == 0) on_collapse(now);
}

RateControl::Window RateControl::look_back(std::uint32_t last, Duration span,
                                           std::uint32_t packets_min) const {
  Window window;
  std::uint64_t bytes = 0, sent = 0, first_bytes = 0;
  std::uint32_t packets = 0, fair_packets = 0, lost = 0, events = 0, dropped = 0, all_lost = 0;
  const Time until = trials_[last - trials_.first_id()].end;
  Duration sent_for{}, first = Duration::max(), newest = Duration::min();
  window.queue_least = Duration::max();
  for (std::uint32_t id = last + 1; id-- > std::max(trials_.first_id(), ignored_before_);) {
    const Trial& t = trials_[id - trials_.first_id()];
    packets += t.acked_packets;
    dropped += t.dropped_packets;
    all_lost += t.lost_packets;
    if (!t.overflow && t.kind != RatePhase::kStart) {
      lost += t.lost_packets;
      events += t.loss_events;
      fair_packets += t.acked_packets;
    }
    sent += t.sent_bytes;
    sent_for += t.end - t.begin;
    if (t.acked_packets > 0) {
      bytes += t.acked_bytes;
      if (t.first_received < first) {
        first = t.first_received;
        first_bytes = t.first_bytes;
      }
      newest = std::max(newest, t.last_received);
      window.queue_least = std::min(window.queue_least, t.queue);
    }
    if (until - t.begin >= span && packets >= packets_min) break;
  }
  if (packets >= 2 && newest > first)
    window.delivered = rate_of(bytes - first_bytes, newest - first);
  window.sent = rate_of(sent, sent_for);
  window.loss = {events, lost, fair_packets + lost};
  if (packets + all_lost > 0)
    window.all_loss_ppm =
        static_cast<std::uint32_t>(std::uint64_t{all_lost} * 1'000'000 / (packets + all_lost));
  if (packets + dropped > 0)
    window.dropped_ppm =
        static_cast<std::uint32_t>(std::uint64_t{dropped} * 1'000'000 / (packets + dropped));
  if (fair_packets + lost > 0)
    window.loss_ppm =
        static_cast<std::uint32_t>(std::uint64_t{lost} * 1'000'000 / (fair_packets + lost));
  return window;
}

void RateControl::on_trial(Time now, Trial& trial) {
  const Duration delay = trial.delay();
  // The few packets of a pulse have a lower quartile that jitter moves.
  const bool counts = others_ == RatePhase::kSteady && !trial.pulse;
  if (counts || base_.queue(trial.begin, delay) == Duration{}) base_.add(trial.begin, delay);
  note_held(now, base_.queue(trial.begin, delay));
  queue_ = queue_of(trial.begin, delay);
  queue_end_ = trial.stalled ? queue_ : queue_of(trial.end, trial.delay_end());
  queue_mean_ += (queue_ - queue_mean_) / 4;
  trial.queue = queue_;
  const Duration much = queue_target() + 2 * kQueueMuch + 8 * packet_time(capacity_);
  trial.overflow = std::max(queue_, queue_end_) > much || phase_ == RatePhase::kStart;
  delivered_ = look_back(trial.id, interval() / 2, 32).delivered;
  loss_ppm_ = loss_ppm_ - loss_ppm_ / 16 + trial.loss_ppm() / 16;
  note_noise(trial);
  if (slice_.value() > 0) return;
  watch_receiver(now);
  if (trial.kind == RatePhase::kTest) return on_test_trial(now, trial);
  if (phase_ == RatePhase::kStart || phase_ == RatePhase::kResume)
    return on_start_trial(now, trial);
  if (others_ == RatePhase::kCompete) return on_compete_trial(now, trial);
  if (others_ == RatePhase::kYield) return on_yield_trial(now, trial);
  on_steady_trial(now, trial);
}

void RateControl::watch_receiver(Time now) {
  if (now - receiver_step_ < interval()) return;
  const Window window = look_back(next_trial_ - 1, interval(), 100);
  if (window.dropped_ppm > kReceiverDropsPpm) {
    receiver_ = std::max(window.delivered, kRateMin);
    receiver_step_ = now + interval();  // what is on its way knows nothing of it
  } else if (receiver_.value() > 0) {
    receiver_ = BytesPerSecond(receiver_.value() + receiver_.value() / 16);
    if (receiver_.value() > 2 * capacity_.value()) receiver_ = {};
    receiver_step_ = now;
  }
}

void RateControl::on_start_trial(Time now, const Trial& trial) {
  if (trial.pulse) return on_start_pulse(now, trial);
  if (pulse_out_ && trial.id > pulse_id_) {  // nothing of it came
    pulse_out_ = false;
    pulse_due_ = true;
  }
  const Duration much = std::max(kQueueMuch, packet_time(trial.pace) * 6) + 2 * noise_;
  const bool late = queue_ > much;
  const std::uint32_t loss = trial.loss_ppm();
  const BytesPerSecond arriving = permille(trial.pace, (1'000'000 - trial.missing_ppm()) / 1000);
  const bool measured = trial.acked_packets >= 8 && !trial.app_limited;
  const bool slow = measured && trial.delivered() < permille(arriving, 950);
  const bool heavy = trial.acked_packets + trial.lost_packets >= 8 && loss > kHeavyLossPpm;
  const bool rough = noise_ > kRough;  // a trial's ends may come any time
  const Window window = look_back(trial.id, rough ? 8 * noise_ : Duration{}, 8);
  const bool flat = measured && (rough ? window.delivered < permille(window.sent, 700)
                                       : trial.delivered() < permille(arriving, 700));
  // Delay alone may be jitter: what queues comes out slower than it went in.
  strikes_ = (late && (slow || flat)) || heavy ? strikes_ + 1 : 0;
  if (strikes_ >= (rough ? 4U : 2U) || (slow && queue_ > 4 * much)) return leave_start(now);
  if (strikes_ > 0 || trial.app_limited) return;
  if (late && trial.delivered() < permille(arriving, 980)) return;
  if (phase_ == RatePhase::kResume && trial.pace >= permille(options_.known.rate, 450))
    return go_steady(now, options_.known.rate);
  // What a pulse said of the link was not trusted; to go far beyond it unasked would be to trust
  // the opposite: a round trip at twice the link's rate fills the longest queue.
  BytesPerSecond next(2 * trial.pace.value());
  if (pulse_failed_) {
    const BytesPerSecond beyond = permille(pulse_delivered_, 1100);
    if (trial.pace < beyond)
      next = std::min(next, beyond);
    else if (look_back(trial.id, interval() / 2, 32).delivered < permille(pulse_delivered_, 1050))
      return;
  }
  if (noise_ > kUnquiet) {  // one trial may look well by chance
    const Window many = look_back(trial.id, interval() / 4, 32);
    if (many.delivered < permille(many.sent, 970)) return;
  }
  if (pulsing() || next <= pacing_) return;
  start_pace_ = next;
  open(now, phase_, start_pace_, Duration{});
}

// Packets that went in faster than the bottleneck serves come out at its rate, each a little later
// than the one before. Spread out but not late is jitter.
void RateControl::on_start_pulse(Time now, const Trial& trial) {
  pulse_out_ = false;
  const std::size_t place = trial.id - trials_.first_id();
  const Duration before = place > 0 ? trials_[place - 1].queue : Duration{};
  const BytesPerSecond sent =
      std::min(trial.pace, rate_of(trial.sent_bytes, trial.end - trial.begin));
  const BytesPerSecond arriving = permille(sent, (1'000'000 - trial.missing_ppm()) / 1000);
  const BytesPerSecond delivered = trial.delivered();
  if (noise_ > kPulseLength / 2) {  // it would hide what a pulse shows
    if (pulse_failed_) start_pace_ = pulse_base_;
    return open(now, phase_, start_pace_, Duration{});
  }
  const bool stumbled = trial.dropped_packets > trial.acked_packets / 8;  // the receiver
  if (trial.app_limited || stumbled || trial.acked_packets < 8 || delivered.value() == 0) {
    pulse_due_ = true;
    return;
  }
  const std::uint64_t less =
      arriving > delivered ? arriving.value() - delivered.value() : std::uint64_t{0};
  const Duration expected = share_of(trial.end - trial.begin, less, delivered.value());
  const bool slow = delivered < permille(arriving, 950) && queue_end_ - before > expected / 2;
  if (!slow && sent <= start_pace_) return;  // a limit of the user's: nothing more to find
  if (slow && pulse_failed_) {
    const bool agree =
        delivered > permille(pulse_delivered_, 930) && delivered < permille(pulse_delivered_, 1070);
    if (agree && trial.acked_packets >= 64 && trial.loss_ppm() <= kPulseLossPpm) {
      go_steady(now, delivered);
      next_probe_ = now + 2 * interval();
      return;
    }
    // Jitter, or a queue too short for a pulse: longer trials must tell.
    start_pace_ = pulse_base_;
    return open(now, phase_, start_pace_, Duration{});
  }
  pulse_base_ = start_pace_;
  start_pace_ = slow ? permille(delivered, 950) : sent;
  pulse_failed_ = slow;
  pulse_delivered_ = delivered;
  pulse_due_ = true;
  open_start(now);
}

void RateControl::leave_start(Time now) {
  // The fastest of the last trials that came out as a stream, not in a lump.
  BytesPerSecond best = look_back(next_trial_ - 1, interval() / 2, 64).delivered;
  if (best.value() == 0) best = permille(pacing_, 500);
  go_steady(now, best);
  next_probe_ = now + 2 * interval();
}

void RateControl::go_steady(Time now, BytesPerSecond capacity) {
  capacity_ = std::max(capacity, kRateMin);
  others_ = RatePhase::kSteady;
  high_ = starved_ = false;
  strikes_ = 0;
  probe_gain_ = kProbeGainMin;
  next_probe_ = now + probe_pause();
  open(now, RatePhase::kSteady, steady_pace(now), Duration{});
}

void RateControl::on_steady_trial(Time now, const Trial& trial) {
  update_capacity(now, trial);
  if (others_ != RatePhase::kSteady) return;
  if (trial.kind == RatePhase::kProbe) on_probe_trial(now, trial);
  if (others_ != RatePhase::kSteady) return;
  watch_loss(now);
  watch_queue(now);
  if (trial.kind == RatePhase::kProbe && next_probe_ == Time::max())
    next_probe_ =
        probe_gain_ > kProbeGainMin ? now : now + std::clamp<Duration>(6 * interval(), 500ms, 4s);
}

void RateControl::update_capacity(Time now, const Trial& trial) {
  const Duration span = std::max<Duration>({interval() / 2, 20ms, 8 * noise_});
  Window window = look_back(trial.id, span, 32);
  const Duration full = std::max<Duration>(700us, packet_time(capacity_) * 3 / 2) + noise_;
  const std::uint32_t missing = std::min(window.loss_ppm + window.dropped_ppm, 1'000'000U);
  const BytesPerSecond arrived = permille(window.sent, (1'000'000 - missing) / 1000);
  // What a radio or a host held back and let go of at once comes as fast as that, which is no rate
  // of the link. One that became faster is followed in steps.
  window.delivered = std::min(window.delivered, std::max(permille(arrived, kStepMost), capacity_));
  // Of what a busy host sent too little, less comes out than the link carries: only a queue that
  // stood all the while shows that it was the link.
  const bool enough = window.sent >= permille(capacity_, 950);
  const Duration stood = enough ? full : std::max<Duration>(full, queue_target() + 1ms);
  const bool saturated = !trial.app_limited && window.queue_least > stood;
  if (saturated && see_others(now, window)) return;
  if (saturated && window.delivered.value() > 0) {
    // Less than capacity came out: because the link carries less, or because less was sent?
    const bool less = window.delivered < permille(arrived, 985 - rough_permille(span));
    if (window.delivered > capacity_ || less)
      capacity_ = noise_ > kRough
                      ? BytesPerSecond((capacity_.value() * 3 + window.delivered.value()) / 4)
                      : window.delivered;
    else if (others_seen_ > 0 && window.queue_least > queue_target())
      capacity_ =
          BytesPerSecond(capacity_.value() - (capacity_.value() - window.delivered.value()) / 8);
  } else {
    capacity_ = std::max(capacity_, std::min(window.delivered, arrived));
  }
  if (now < shallow_until_ && trial.overflow) shallow_until_ = now;  // a queue there is after all
  if (now < shallow_until_) follow_losses(now, window);
  capacity_ = std::max(capacity_, kRateMin);
  link_ = std::max(link_, capacity_);
  // The queue is gone though what was sent should have kept it: the link carries more.
  const bool empty = queue_ < full && !trial.app_limited && trial.kind == RatePhase::kSteady &&
                     now >= shallow_until_;
  if (empty && !starved_) starved_since_ = now;
  starved_ = empty;
  if (starved_ && now - starved_since_ > interval() && next_probe_ != Time::max())
    next_probe_ = std::min(next_probe_, now);
}

void RateControl::on_probe_trial(Time now, const Trial& trial) {
  const Duration span = trial.end - trial.begin;
  const BytesPerSecond sent = rate_of(trial.sent_bytes, span);
  const BytesPerSecond arriving = permille(sent, (1'000'000 - random_ppm_) / 1000);
  const std::uint64_t extra =
      arriving > capacity_ ? arriving.value() - capacity_.value() : std::uint64_t{0};
  const Duration added = share_of(span, extra, capacity_.value());
  const bool no_queue = noise_ > kRough ? queue_ < queue_target() + added / 2
                                        : queue_end_ < std::max(added / 3, kTargetLow / 4) + noise_;
  const bool no_loss = trial.loss_ppm() <= random_ppm_ * 2 + 4 * kLossFreePpm;
  const BytesPerSecond delivered = trial.delivered();
  // What came first or last may have been held back by the jitter, the rest not.
  const bool passed = delivered.bytes_in(span + noise_) >= permille(arriving, 900).bytes_in(span);
  const bool clean = no_queue && no_loss && passed;
  if (extra == 0 || trial.app_limited) return;
  if (clean) {
    capacity_ = std::min(arriving, delivered);
    // Twice of it passes: far below the link, as at the start.
    if (probe_gain_ == kProbeGainMax && now >= shallow_until_ && others_ == RatePhase::kSteady)
      return begin_start(now, RatePhase::kStart, capacity_);
    probe_gain_ = now < shallow_until_ ? kProbeGainMin : std::min(probe_gain_ * 2, kProbeGainMax);
    last_growth_ = now;
    others_seen_ = 0;
    return;
  }
  probe_gain_ = kProbeGainMin;
  // Alone behind a queue, sending more brings nothing more; beside others it takes from them.
  if (no_queue) return;
  const bool nothing_more = delivered < permille(capacity_, 1000 + probe_gain_ / 6);
  alone_seen_ = nothing_more ? alone_seen_ + 1 : 0;
  if (nothing_more) {
    others_seen_ = 0;
    if (alone_seen_ >= 2) link_ = capacity_;
  } else if (delivered > permille(capacity_, 1000 + probe_gain_ / 3)) {
    ++others_seen_;
  }
  const std::uint64_t share = options_.mode == RateMode::kFair         ? kSharePermille
                              : options_.mode == RateMode::kBackground ? 900
                                                                       : 800;
  if (others_seen_ >= 2 && now >= not_elastic_until_ && capacity_ < permille(link_, share))
    enter_others(now);
}

// A queue that what we send cannot explain, for longer than we needed to drain it.
void RateControl::watch_queue(Time now) {
  if (testing_) return;
  const Duration queue = noise_ > kRough ? queue_mean_ : queue_;
  const bool high = queue > queue_target() + std::max(others_seen_ > 0 ? kQueueMuch : kQueueStays,
                                                      4 * packet_time(capacity_));
  if (!high) {
    // Jitter dips at times: what stays above the target is high all the same.
    if (noise_ <= kRough || queue <= queue_target()) high_ = false;
    return;
  }
  if (!high_) {
    high_ = true;
    high_since_ = now;
    high_most_ = {};
  }
  high_most_ = std::max(high_most_, queue_);
  if (now - high_since_ > 2 * interval() + high_most_ * 5 / 2 && now >= next_test_)
    test_wanted_ = true;
}

Duration RateControl::probe_pause() const {
  const Duration pause = std::clamp<Duration>(6 * interval(), 500ms, 4s);
  return pause * (1 << failed_growths_);
}

}  // namespace longhaul::datagram
