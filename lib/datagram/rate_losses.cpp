// RateControl, what losses show: overload, or a link that loses whatever is sent.
#include <algorithm>

#include "lib/datagram/rate_control.hpp"
#include "lib/datagram/rate_limits.hpp"

namespace longhaul::datagram {
namespace {

// More than chance makes of so many (in thousandths), but for one in forty.
bool exceeds(std::uint64_t events, std::uint64_t expected_milli) {
  if (events * 1000 <= expected_milli) return false;
  const std::uint64_t over = events * 1000 - expected_milli;
  return over * over > 4 * 1000 * expected_milli;
}

}  // namespace

void RateControl::watch_loss(Time now) {
  const Window window = look_back(next_trial_ - 1, interval(), 100);
  if (window.loss_ppm > kHeavyLossPpm &&
      window.loss.events >= kLossEventsMin) {  // more than we repair: whatever it is, send less
    capacity_ = std::min(capacity_, window.delivered);
    congestion_ppm_ = window.loss_ppm;
    return find_shallow(now);
  }
  if (now >= shallow_until_) failed_growths_ = 0;
  if (window.loss_ppm <= std::max(random_ppm_ * 3 / 2 + kLossFreePpm, kLossFreePpm)) {
    random_ppm_ = random_ppm_ - random_ppm_ / 32 + window.loss_ppm / 32;
    return;
  }
  if (!testing_ && window.loss.events >= kLossEventsMin && now >= next_test_) test_wanted_ = true;
}

// A test's losses beside those of the time before it. Few are seen in one test, and it is called
// when many happen to be lost: what several of them saw together tells.
RateControl::Losses RateControl::judge_losses(const Evidence& during) {
  const auto add = [](LossCount& old, const LossCount& more) {
    old = {old.events / 2 + more.events, old.lost / 2 + more.lost, old.packets / 2 + more.packets};
  };
  add(loss_full_, before_.loss);
  add(loss_less_, during.loss);
  const LossCount &full = loss_full_, &less = loss_less_;
  if (full.packets == 0 || less.packets == 0) return Losses::kUnclear;
  const std::uint64_t events = less.events,
                      at_full_pace = full.events * 1000 * less.packets / full.packets;
  if (events * 2000 >= at_full_pace) return Losses::kRandom;
  const std::uint64_t fewer = at_full_pace - events * 1000;
  return fewer * fewer > 4 * 1000 * (at_full_pace + events * 1000) ? Losses::kOurs
                                                                   : Losses::kUnclear;
}

// Where losses show overload: down to what came through, and up again in small steps, in larger
// ones below where it went well before.
void RateControl::follow_losses(Time now, const Window& window) {
  const Duration step = std::max<Duration>(interval(), 50ms);
  if (now - shallow_step_ < step) return;
  const std::uint64_t random =
      std::uint64_t{window.loss.packets} * (random_ppm_ + 2 * kLossFreePpm);
  const bool more = window.loss_ppm > random_ppm_ + 4 * kLossFreePpm;
  if (more && exceeds(window.loss.events, random / 1000)) {
    shallow_peak_ = capacity_;
    capacity_ = std::clamp(window.delivered, permille(capacity_, 850), capacity_);
    find_shallow(now);
  } else if (window.loss_ppm <= random_ppm_ + 2 * kLossFreePpm && queue_ < queue_target()) {
    const bool below = capacity_ < permille(shallow_peak_, 970);
    capacity_ = BytesPerSecond(capacity_.value() + capacity_.value() / (below ? 32 : 128));
  }
  shallow_step_ = now;
}

// Losses show overload here, not delay. A pulse that passed because a policer had saved up for it
// must not be tried again soon.
void RateControl::find_shallow(Time now) {
  const bool again = now < shallow_until_ + 2 * shallow_for_;
  if (now >= shallow_until_) shallow_for_ = again ? std::min<Duration>(2 * shallow_for_, 60s) : 10s;
  shallow_until_ = now + shallow_for_;
  probe_gain_ = kProbeGainMin;
  if (last_growth_ == Time{} || now - last_growth_ > 4 * interval() + 2s) return;
  last_growth_ = Time{};
  failed_growths_ = std::min(failed_growths_ + 1, 3U);
  if (next_probe_ != Time::max()) next_probe_ = now + probe_pause();
}

}  // namespace longhaul::datagram
