#include "lib/session/rate.hpp"

#include <algorithm>

namespace longhaul::session {

namespace {
constexpr std::uint64_t kHoldPercent = 97;
// As fast as the queue needs: over about two rounds, which is how late its end is seen. Draining a
// short one faster leaves the link idle (at 75 % always: 15 MB less in the first seconds of 256).
constexpr std::uint64_t kDrainPercentLeast = 75;
constexpr std::uint64_t kDrainPercentMost = 92;
constexpr std::uint64_t kDrainRounds = 2;
constexpr std::uint64_t kGrowsPercent = 125;  // over the rounds before: connections still ramp up
constexpr std::uint64_t kTestPercent = 90;
constexpr std::uint64_t kProbeFirstPercent =
    3;  // adds 3 % of two RTT to the queue: 11 ms at 180 ms
constexpr std::uint64_t kProbeMostPercent = 25;
constexpr std::uint64_t kFollowPercent = 96;  // of a raised cap, delivered: the link follows
constexpr std::uint64_t kStepShare = 6;       // one in so many of what a step added must come out
constexpr Duration kQueueLow = 5ms;
constexpr Duration kQueueHighLeast = 10ms;
constexpr Duration kQueueSurely = 60ms;  // whatever else; a delayed acknowledgement adds up to 40
constexpr Duration kHoldForMost = 8s;
constexpr Duration kRttMinWindow = 60s;
constexpr Duration kTestPauseMost = 10min;
constexpr std::uint32_t kLossySuspectPpm = 5000;  // random loss on the model link is below 1 %
// No link we know loses so much by itself, but a short queue that a slow start overruns does (a
// tenth to a half of a round), without ever standing long enough to be seen.
constexpr std::uint32_t kLossySurelyPpm = 50'000;
constexpr std::uint32_t kRoundsToBelieve = 2;
constexpr std::uint32_t kIdleRounds = 6;
constexpr std::uint32_t kTestRounds = 6;  // the first two are the old rate's
constexpr std::uint32_t kTestSettles = 2;
// Where less than that was delivered the link was broken, not slow: large packets vanished while
// pings passed. A cap of what comes out then is kept for ever, for it is always used up.
constexpr BytesPerSecond kCapacityLeast(16'384);

std::uint64_t rate_of(const std::pair<std::uint64_t, std::uint64_t>& bytes_and_us) {
  return bytes_and_us.first * 1'000'000 / std::max<std::uint64_t>(1, bytes_and_us.second);
}
}  // namespace

Duration RateModel::queue_high() const {
  return std::max<Duration>(kQueueHighLeast, rtt_min_ / 16);
}

BytesPerSecond RateModel::part(std::uint64_t percent) const {
  return BytesPerSecond(std::max<std::uint64_t>(1, capacity_.value() / 100 * percent));
}

BytesPerSecond RateModel::recent(std::size_t rounds) const {
  std::uint64_t most = 0;
  for (std::size_t i = 0; i < std::min<std::uint64_t>(rounds, rounds_); ++i) {
    most = std::max(most, rates_[(rounds_ - 1 - i) % kRounds]);
  }
  return BytesPerSecond(most);
}

BytesPerSecond RateModel::capacity() const {
  return std::max(capacity_, recent(kRounds));
}

// The kernels' windows still grow: what was delivered so far says nothing of the link, and a queue
// or a loss of one connection little.
bool RateModel::ramps() const {
  std::uint64_t before = 0;
  for (std::uint64_t i = kRampRounds; i < std::min<std::uint64_t>(2 * kRampRounds, rounds_); ++i) {
    before = std::max(before, rates_[(rounds_ - 1 - i) % kRounds]);
  }
  return recent(kRampRounds).value() > before / 100 * kGrowsPercent;
}

BytesPerSecond RateModel::newest() const {
  return BytesPerSecond(rate_of(lately_[0]));
}

std::uint64_t RateModel::drain_percent() const {
  const std::uint64_t rtt_us =
      static_cast<std::uint64_t>(std::max<std::int64_t>(1, rtt_min_ / 1us));
  const std::uint64_t excess =
      static_cast<std::uint64_t>(queue_ / 1us) * 100 / (kDrainRounds * rtt_us);
  return std::clamp(100 - std::min<std::uint64_t>(excess, 100), kDrainPercentLeast,
                    kDrainPercentMost);
}

void RateModel::enter(Time now, Mode mode, std::uint64_t percent) {
  if (percent != 0 && capacity_ < kCapacityLeast) {
    mode = Mode::kOpen;
    percent = 0;
  }
  mode_ = mode;
  since_ = now;
  rounds_in_mode_ = 0;
  idle_cap_rounds_ = 0;
  high_rounds_ = 0;
  lossy_rounds_ = 0;
  drained_from_ = {};
  cap_ = percent == 0 ? BytesPerSecond() : part(percent);
}

void RateModel::drain(Time now, std::size_t rounds) {
  // At most by half at a time: a few silent rounds say that the link broke, not how fast it is.
  // The newest round alone may be the first at the link's rate: too much of it costs a round.
  capacity_ = std::max({recent(rounds), BytesPerSecond(capacity_.value() / 2), newest()});
  enter(now, Mode::kDrain, drain_percent());
}

void RateModel::note(Time now, const Round& round) {
  const auto ns = static_cast<std::uint64_t>(std::max<std::int64_t>(1, round.length.count()));
  // Over three rounds: a program that is 30 ms late makes one a sixth too large, and a stream that
  // waited for a lost packet hands over two rounds' bytes at once.
  for (std::size_t i = kSmooth - 1; i > 0; --i) lately_[i] = lately_[i - 1];
  lately_[0] = {round.delivered_bytes, ns / 1000};
  std::uint64_t bytes = 0, us = 1;
  for (const auto& [some_bytes, some_us] : lately_) {
    bytes += some_bytes;
    us += some_us;
  }
  clean_rounds_ = round.resent_ppm == 0 ? clean_rounds_ + 1 : 0;
  rates_[rounds_++ % kRounds] = bytes * 1'000'000 / us;
  if (round.rtt > Duration{}) {
    if (rtt_min_ == Duration{} || round.rtt <= rtt_min_ || now - rtt_min_at_ > kRttMinWindow) {
      // After the window the least may be a new route's; while we hold below capacity there is no
      // queue of ours in it.
      if (round.rtt <= rtt_min_ || rtt_min_ == Duration{} || mode_ == Mode::kHold) {
        rtt_min_ = round.rtt;
        rtt_min_at_ = now;
      }
    }
    queue_ = round.rtt - rtt_min_;
  }
  loss_ppm_ = (loss_ppm_ * 7 + round.resent_ppm) / 8;
  high_rounds_ = queue_ > queue_high() ? high_rounds_ + 1 : 0;
  lossy_rounds_ = round.resent_ppm > kLossySuspectPpm ? lossy_rounds_ + 1 : 0;
  ++rounds_in_mode_;
}

void RateModel::on_link_up(Time now) {
  enter(now, Mode::kOpen, 0);
  queue_ = {};
  hold_for_ = kHoldForLeast;
  clean_rounds_ = 0;
}

void RateModel::on_round(Time now, const Round& round) {
  note(now, round);
  switch (mode_) {
    case Mode::kOpen:
      return on_open(now, round);
    case Mode::kDrain:
      return on_drain(now);
    case Mode::kTest:
      return on_test(now, round);
    case Mode::kHold:
      return on_hold(now, round);
    case Mode::kProbe:
      return on_probe(now, round);
  }
}

// Resends crowd out what is new, so the link's capacity is the most of the rounds before.
bool RateModel::overflows(const Round& round) const {
  const std::uint64_t before = rate_of(lately_[1]);
  return round.resent_ppm > kLossySurelyPpm && newest().value() <= before / 100 * kGrowsPercent;
}

void RateModel::on_open(Time now, const Round& round) {
  if (!round.limited_by_link || rounds_ < kRoundsToBelieve) return;
  if (overflows(round)) {
    capacity_ = recent(kSmooth);
    return enter(now, Mode::kHold, kHoldPercent);
  }
  if (queue_ > std::max<Duration>(kQueueSurely, rtt_min_ / 3)) return drain(now, kRounds);
  if (ramps()) return;
  if (high_rounds_ >= kRoundsToBelieve) return drain(now, kRounds);
  if (lossy_rounds_ > kRoundsToBelieve && now >= no_test_before_) {
    capacity_ = recent(kRounds);
    loss_before_ = std::max(loss_ppm_, kLossySuspectPpm);
    enter(now, Mode::kTest, kTestPercent);
  }
}

// A queue that our own slowness does not empty is somebody else's, or a longer way: then it is the
// new minimum and the kernel's congestion control competes as it always does.
void RateModel::on_drain(Time now) {
  // Or less comes out than goes in: the link has become slower than we thought.
  if (rounds_in_mode_ > kSmooth && queue_ > kQueueLow && recent(2).value() > 0 &&
      recent(2).value() < cap_.value() / 100 * 90) {
    return drain(now, 2);
  }
  if (queue_ <= kQueueLow && rounds_in_mode_ >= kRoundsToBelieve) {
    // The link was busy as long as there was a queue, so its capacity is what came out of it.
    capacity_ = recent(kSmooth);
    return enter(now, Mode::kHold, kHoldPercent);
  }
  // What was on its way when it was seen made it longer: slower then, or it stands for seconds and
  // looks like somebody else's.
  drained_from_ = std::max(drained_from_, queue_);
  cap_ = std::min(cap_, part(drain_percent()));
  const Duration enough = drained_from_ * 8 + 6 * rtt_min_;
  if (now - since_ <= enough || rounds_in_mode_ <= kTestRounds) return;
  if (queue_ <= drained_from_ / 2) {  // it falls; until it does not
    drained_from_ = queue_;
    since_ = now;
  } else {
    rtt_min_ += queue_;
    rtt_min_at_ = now;
    queue_ = {};
    enter(now, Mode::kOpen, 0);
  }
}

void RateModel::on_test(Time now, const Round& round) {
  if (high_rounds_ >= kRoundsToBelieve) return drain(now, kTestRounds);
  if (rounds_in_mode_ <= kTestSettles) {
    loss_ppm_ = round.resent_ppm;  // of the old rate; forget it
    return;
  }
  if (rounds_in_mode_ < kTestRounds) return;
  if (loss_ppm_ < loss_before_ / 10 * 6) return enter(now, Mode::kHold, kHoldPercent);
  enter(now, Mode::kOpen, 0);
  no_test_before_ = now + test_pause_;
  test_pause_ = std::min<Duration>(test_pause_ * 2, kTestPauseMost);
}

void RateModel::on_hold(Time now, const Round& round) {
  if (high_rounds_ >= kRoundsToBelieve) return drain(now, kRoundsToBelieve + 1);
  const bool used = round.limited_by_link && recent(4).value() >= cap_.value() / 10 * 8;
  // Something else is the limit by now, loss or another's traffic: then this is no cap.
  idle_cap_rounds_ = round.limited_by_link && !used ? idle_cap_rounds_ + 1 : 0;
  if (idle_cap_rounds_ >= kIdleRounds) return enter(now, Mode::kOpen, 0);
  if (used && now - since_ > hold_for_) {
    hold_for_ = std::min<Duration>(hold_for_ * 2, kHoldForMost);
    probe_step_ = kProbeFirstPercent;
    loss_before_ = loss_ppm_;
    enter(now, Mode::kProbe, kHoldPercent + probe_step_);
  }
}

void RateModel::on_probe(Time now, const Round& round) {
  // Of loss only what the probe added is ours.
  const bool overload = lossy_rounds_ >= kRoundsToBelieve &&
                        loss_ppm_ > loss_before_ + loss_before_ / 2 + kLossySuspectPpm;
  if (queue_ > kQueueLow && high_rounds_ == 0 && !overload) return;  // wait and see
  if (high_rounds_ > 0 || overload) return drain(now, 4);
  // A round until it shows, and what the average looks back on.
  if (rounds_in_mode_ < kRoundsToBelieve + (steady() ? 1 : kSmooth)) return;
  if (!round.limited_by_link) return enter(now, Mode::kHold, kHoldPercent);
  // What comes out lags a round behind what goes in, so that in a steady one the average of three
  // still holds a round of the rate before: a step of 25 % never looked as if the link followed.
  // And some of the step must come: 96 % of the whole rate come of 6 % more into a full link, too.
  const std::uint64_t step = cap_.value() - std::min(cap_.value(), capacity_.value());
  const std::uint64_t expected =
      (cap_.value() - (steady() ? step / kSmooth : 0)) / 100 * kFollowPercent;
  const std::uint64_t least = capacity_.value() + step / kStepShare;
  if (recent(kRoundsToBelieve).value() < (step == 0 ? expected : std::max(expected, least))) {
    capacity_ = std::max(capacity_, recent(4));  // the kernel's windows are the limit, not the cap
    return enter(now, Mode::kHold, kHoldPercent);
  }
  // Each clean step doubles the next.
  capacity_ = std::max(capacity_, cap_);
  probe_step_ = std::min(probe_step_ * 2, kProbeMostPercent);
  const Time since = since_;
  enter(now, Mode::kProbe, 100 + probe_step_);
  since_ = since;
}

}  // namespace longhaul::session
