// RateControl, whose the queue and the loss are.
#include <algorithm>

#include "lib/datagram/rate_control.hpp"
#include "lib/datagram/rate_limits.hpp"

namespace longhaul::datagram {

void RateControl::on_test_trial(Time now, const Trial& trial) {
  if (!testing_ || trial.id < test_first_) return;
  if (trial.id == test_first_) {
    const std::uint32_t last = trial.id > trials_.first_id() ? trial.id - 1 : trial.id;
    const Window window = look_back(last, interval(), 100);
    const Duration delay = mean_delay(last, kRough < noise_ ? 4 : 1).value_or(trial.delay());
    before_ = {
        window.delivered,    window.sent, queue_of(trial.begin, delay), delay, window.loss_ppm,
        window.all_loss_ppm, window.loss};
  }
  if (trial.id < test_first_ + 3) return;
  const Duration length = trial.end - trials_[test_first_ - trials_.first_id()].begin;
  const Window window = look_back(trial.id, length * 2 / 3, 4);
  const bool rough = noise_ > kRough;
  const Duration delay = rough ? mean_delay(trial.id, 2).value_or(trial.delay()) : trial.delay();
  judge_test(now,
             {window.delivered, window.sent, rough ? queue_of(trial.begin, delay) : queue_end_,
              delay, window.loss_ppm, window.all_loss_ppm, window.loss},
             length);
}

void RateControl::judge_test(Time now, const Evidence& during, Duration length) {
  testing_ = false;
  next_test_ = now + std::max<Duration>({4 * interval(), 4 * length, 500ms});
  high_ = false;
  const BytesPerSecond arriving = permille(test_pace_, (1'000'000 - during.loss_ppm) / 1000);
  const std::uint64_t less = before_.delivered > arriving
                                 ? before_.delivered.value() - arriving.value()
                                 : std::uint64_t{0};
  if (judge_queue(now, during, share_of(length, less, before_.delivered.value()))) return;
  if (others_ != RatePhase::kSteady) return;
  if (before_.loss_ppm <= random_ppm_ * 3 / 2 + kLossFreePpm) return;
  switch (judge_losses(during)) {
    case Losses::kOurs:
      congestion_ppm_ = before_.loss_ppm - std::min(before_.loss_ppm, during.loss_ppm);
      capacity_ = std::min(capacity_, before_.delivered);
      random_ppm_ = std::min(during.loss_ppm, kRandomMaxPpm);
      return find_shallow(now);
    case Losses::kRandom:
      congestion_ppm_ = 0;
      random_ppm_ = std::min((before_.loss_ppm + during.loss_ppm) / 2, kRandomMaxPpm);
      next_test_ = now + 5s;
      return;
    case Losses::kUnclear:
      if (loss_less_.packets < 30) return;
      random_ppm_ = static_cast<std::uint32_t>(
          std::min<std::uint64_t>(kRandomMaxPpm, loss_less_.lost * 1'000'000 / loss_less_.packets));
      return;
  }
}

// True: the queue was the matter, and something was done about it.
bool RateControl::judge_queue(Time now, const Evidence& during, Duration expected_fall) {
  const Duration little = queue_target() + 2ms + 2 * packet_time(capacity_);
  const bool still_full = during.delivered >= permille(before_.delivered, 920);
  const bool alone = during.queue < little || still_full;
  // A longer route, or jitter, delays all phases alike and lets through just what is sent; a queue
  // that we leave alone for a while lets through more.
  const Duration fall = before_.delay - during.delay;
  const Duration even =
      std::max<Duration>(1ms, std::min(expected_fall, before_.queue) / 8) + 2 * noise_;
  const bool steady = others_ == RatePhase::kSteady;
  if (steady && before_.queue < queue_target() + kQueueStays) return false;
  // A queue that somebody else keeps full drops, and stands as still as a longer route.
  const bool lossless =
      during.all_loss_ppm <= std::min(random_ppm_, kRouteLossPpm) * 3 / 2 + kLossFreePpm;
  if (steady && noise_ > kRough && !still_full && lossless &&
      fall < std::min(expected_fall, before_.queue) / 2 &&
      during.delivered <= permille(during.sent, 1100)) {
    suspected_ = 0;
    held_ += during.queue;
    queue_ = queue_end_ = queue_mean_ = Duration{};
    return true;
  }
  if (!still_full && during.queue >= little && std::chrono::abs(fall) < even && lossless &&
      during.delivered <= permille(during.sent, 1030)) {
    base_.restart(now, std::min(during.delay, before_.delay));
    queue_ = queue_end_ = Duration{};
    rtt_min_ = std::max(rtt_min_, rtt_smooth_ - 2 * noise_);
    if (!steady) go_steady(now, before_.delivered);
    return true;
  }
  if (!steady) {
    if (!alone) measure_share(before_.sent, before_.delivered, during.sent, during.delivered);
    strikes_ = alone ? strikes_ + 1 : 0;
    if (strikes_ < 2) {
      next_test_ = now + (strikes_ == 0 ? compete_pause() : interval());
      return true;
    }
    if (!still_full) not_elastic_until_ = now + 5s;
    go_steady(now, during.queue < little ? before_.delivered : during.delivered);
    return true;
  }
  if (during.queue < little) {  // ours, or of those who do not fill what we leave
    suspected_ = 0;
    next_test_ = now + 3s;
    return false;
  }
  if (still_full) {
    capacity_ = link_ = during.delivered;
    return true;
  }
  // Jitter may have looked like others once; hardly three times in a row.
  if (noise_ > kRough && ++suspected_ < 3) {
    next_test_ = now + 2 * interval();
    return true;
  }
  suspected_ = 0;
  enter_others(now);
  return true;
}

}  // namespace longhaul::datagram
