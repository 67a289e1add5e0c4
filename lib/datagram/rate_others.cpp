// RateControl, how others are seen and what is done beside them.
#include <algorithm>

#include "lib/datagram/rate_control.hpp"
#include "lib/datagram/rate_limits.hpp"

namespace longhaul::datagram {

// While a queue stands, what comes out of it does not depend on what we put in, unless others put
// in as well: then it is our share. That shows only once we sent less, and must last a round trip:
// two of ours that meet both send less, and their queue is gone by then.
bool RateControl::see_others(Time now, const Window& window) {
  if (noise_ > kRough) return false;  // jitter lasts as long: only tests, three in a row, tell
  if (queue_ < queue_target() + kQueueStays || window.delivered.value() == 0) {
    full_ = {};
    return false;
  }
  if (window.sent > full_.sent || full_.delivered.value() == 0) {
    full_ = {window.sent, window.delivered, queue_, now};
    return false;
  }
  const std::uint64_t less = window.sent.value() * 1000 / full_.sent.value();
  const std::uint64_t out = window.delivered.value() * 1000 / full_.delivered.value();
  if (less > 800 || out > (1000 + less) / 2 || now < not_elastic_until_) {
    full_.since = now;
    return false;
  }
  if (now - full_.since < interval()) return false;
  // A queue that grew though we sent less: they send more than they did, so nothing can be told.
  if (queue_ <= full_.queue)
    measure_share(full_.sent, full_.delivered, window.sent, window.delivered);
  delivered_ = full_.delivered;
  enter_others(now);
  return true;
}

// Of a full queue each gets its share of what is put in: x = C a / (a + R) of a, beside R of
// others. So 1/x = 1/C + (R/C) / a, and two rates a with their x tell the link's C.
void RateControl::measure_share(BytesPerSecond sent_full, BytesPerSecond out_full,
                                BytesPerSecond sent_less, BytesPerSecond out_less) {
  if (sent_full.value() == 0 || out_full.value() == 0) return;
  const std::uint64_t less = sent_less.value() * 1000 / sent_full.value();
  const std::uint64_t out = out_less.value() * 1000 / out_full.value();
  if (less > 900 || out > 990) return;
  const std::uint64_t share = out > less ? (out - less) * 1'000'000 / (out * (1000 - less)) : 0;
  const BytesPerSecond most = permille(link_, 1500);
  if (share < kShareSeen) {
    link_ = std::max(link_, std::min(BytesPerSecond(4 * out_full.value()), most));
    return;
  }
  const BytesPerSecond link =
      std::clamp(BytesPerSecond(out_full.value() * 1000 / share), permille(link_, 600), most);
  link_ = BytesPerSecond(link_.value() / 2 + link.value() / 2);
}

void RateControl::enter_others(Time now) {
  others_seen_ = 0;
  strikes_ = 0;
  full_ = {};
  testing_ = test_wanted_ = false;
  others_ = options_.mode == RateMode::kBackground ? RatePhase::kYield : RatePhase::kCompete;
  next_test_ = now + std::max<Duration>(8 * interval(), 3s);
  compete_ = {};
  compete_.rounds[0] = delivered_;
  compete_.excess_permille = kExcessMost;
  compete_.round_end = compete_.queue_seen = now;
  open_trial(now);
}

// `max` presses as `fair` does, and stops at the link and not at half of it. Content with a little
// more than what came out lately it had less than `fair` beside a CUBIC flow with a long queue.
void RateControl::open_compete(Time now) {
  const bool all = options_.mode == RateMode::kMax;
  const BytesPerSecond more = permille(compete_.most(), 1000 + compete_.excess_permille);
  const BytesPerSecond most = all ? link_ : permille(link_, kHalfPermille);
  open(now, RatePhase::kCompete, to_send(std::min(most, more)), Duration{});
}

void RateControl::on_compete_trial(Time now, const Trial& trial) {
  if (press(now, trial) && now >= next_test_ && !testing_) test_wanted_ = true;
}

// A little more than the most that came out lately, up to what open_compete() allows: who does not
// keep what it has is pushed aside by BBR, and who takes more takes from all. False: nobody is
// there.
bool RateControl::press(Time now, const Trial& trial) {
  const Duration round = std::max(interval(), rtt_smooth_);
  const BytesPerSecond got = look_back(trial.id, round, 32).delivered;
  Compete& c = compete_;
  if (now >= c.round_end) {
    const bool flat = got > permille(c.round_got, 985) && got < permille(c.round_got, 1015);
    c.excess_permille = flat ? std::max(c.excess_permille / 2, kExcessLeast)
                             : std::min(c.excess_permille * 2, kExcessMost);
    c.round_got = got;
    c.round_end = now + round;
    c.round = (c.round + 1) % c.rounds.size();
    c.rounds[c.round] = {};
  }
  c.rounds[c.round] = std::max(c.rounds[c.round], got);
  if (queue_ >= queue_target() + 2ms + 2 * packet_time(got)) c.queue_seen = now;
  if (now - c.queue_seen <= std::max<Duration>(6 * interval(), 1s)) return true;
  go_steady(now, got);
  next_probe_ = now;
  return false;
}

// Until the next test beside others: sooner while little is left to us.
Duration RateControl::compete_pause() const {
  const bool little = before_.delivered < permille(link_, 350);
  return little ? std::max<Duration>(8 * interval(), 3s) : std::max<Duration>(16 * interval(), 6s);
}

void RateControl::on_yield_trial(Time now, const Trial&) {
  if (queue_ > queue_target() + 4ms + 4 * packet_time(capacity_)) {
    next_test_ = now + std::max<Duration>(2 * interval(), 500ms);
  } else if (now >= next_test_) {
    go_steady(now, BytesPerSecond(pacing_.value() * 2));
    next_probe_ = now;
  }
}

}  // namespace longhaul::datagram
