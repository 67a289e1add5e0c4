// RateControl, what jitter hides: how strong it is, what of a delay it explains, and when a link is
// believed to be slower all the same.
#include <algorithm>

#include "lib/datagram/rate_control.hpp"
#include "lib/datagram/rate_limits.hpp"

namespace longhaul::datagram {

// How much the delay of one trial differs from that of the one before beyond what their paces
// explain: slow jitter.
void RateControl::note_noise(const Trial& trial) {
  const Duration delay = trial.delay();
  if (last_delay_ != Duration{} && trial.kind == RatePhase::kSteady &&
      queue_ < 2 * queue_target()) {
    const Duration moved = std::chrono::abs(delay - last_delay_);
    moved_ += (std::min<Duration>(moved, 20ms) - moved_) / 16;
  }
  last_delay_ = delay;
  const Duration ours = 1500us + 2 * packet_time(std::max(capacity_, trial.pace));  // by batches
  const Duration wobble =
      std::clamp(trial.wobble() - ours, Duration{}, std::min<Duration>(kNoiseMax, interval() / 2));
  if (trial.acked_packets >= kTrialPacketsMin)
    wobble_ += (wobble - wobble_) / (phase_ == RatePhase::kStart && wobble > wobble_ ? 2 : 8);
  noise_ = std::max(moved_, wobble_);
}

// How much the rate of what came in such a span may be wrong by jitter at its ends.
std::uint64_t RateControl::rough_permille(Duration span) const {
  if (noise_ <= kRough) return 0;
  return static_cast<std::uint64_t>(
      std::min<std::int64_t>(1000 * noise_.count() / span.count(), 500));
}

Duration RateControl::queue_of(Time now, Duration delay) const {
  return std::max(Duration{}, base_.queue(now, delay) - held_);
}

// What no trial shows any more is not held up any more. Nor is what we fill up ourselves believing
// it is: jitter that has ended leaves a queue of ours in its place, which every trial shows. So
// what is held fades where nothing but it speaks of jitter; a test finds it again.
void RateControl::note_held(Time now, Duration over) {
  if (now - over_step_ >= kHeldFor) {
    over_most_ = {over_most_[1], over};
    over_step_ = now;
  }
  over_most_[1] = std::max(over_most_[1], over);
  held_ = std::min(held_, std::max(over_most_[0], over_most_[1]));
  if (noise_ <= kRough) held_ -= held_ / 8;
}

// Of the trials up to this one. Jitter that holds all packets back makes single ones differ.
std::optional<Duration> RateControl::mean_delay(std::uint32_t last, std::uint32_t trials) const {
  Duration sum{};
  std::int64_t count = 0;
  for (std::uint32_t id = last + 1; id-- > trials_.first_id() && last - id < trials;) {
    const Trial& trial = trials_[id - trials_.first_id()];
    if (trial.acked_packets == 0) continue;
    sum += trial.delay();
    ++count;
  }
  return count > 0 ? std::optional(sum / count) : std::nullopt;
}

// The link lost most of its rate: a trial sent before takes seconds to come through. What has come
// of it is enough to know; where jitter holds packets back, once it has looked so for a while.
void RateControl::on_collapse(Time now) {
  const auto left = what_is_left();
  if (!left) {
    collapse_since_.reset();
    return;
  }
  if (!collapse_since_) collapse_since_ = now;
  if (noise_ > kRough && now - *collapse_since_ < interval() / 2) return;
  const Trial& trial = trials_[next_trial_ - trials_.first_id()];
  queue_end_ = queue_of(trial.begin, trial.delay_end());
  if (full_.sent.value() == 0) full_ = {trial.pace, *left, queue_end_, now};
  capacity_ = std::max(*left, kRateMin);
  open(now, RatePhase::kSteady, steady_pace(now), Duration{});
}

// The rate at which the oldest trial under way comes through, if that is far below capacity.
std::optional<BytesPerSecond> RateControl::what_is_left() const {
  if (phase_ == RatePhase::kStart || phase_ == RatePhase::kResume) return std::nullopt;
  if (others_ != RatePhase::kSteady || next_trial_ >= trials_.next_id()) return std::nullopt;
  const Trial& trial = trials_[next_trial_ - trials_.first_id()];
  if (trial.id < ignored_before_ || trial.acked_packets < 16 || trial.stalled) return std::nullopt;
  // Sixteen packets of a fast link come within the jitter of any host.
  if (trial.last_received - trial.first_received < kCollapseSpan) return std::nullopt;
  const bool rough = noise_ > kRough;
  const Duration queue = queue_of(trial.begin, trial.delay_end());
  const BytesPerSecond delivered =
      rough ? look_back(trial.id, 8 * noise_, 16).delivered : trial.delivered();
  const Duration much = queue_target() + 2 * kQueueMuch + 8 * packet_time(capacity_) +
                        (rough ? 2 * noise_ : Duration{});
  if (queue < much || delivered >= permille(std::min(capacity_, trial.pace), 700))
    return std::nullopt;
  return delivered;
}

}  // namespace longhaul::datagram
