#include "lib/session/rate.hpp"

#include <gtest/gtest.h>

#include <algorithm>

#include "lib/base/rng.hpp"
#include "lib/session/k_search.hpp"

namespace longhaul::test {
namespace {

using namespace session;

// A link with a queue, seen once per RTT.
struct Pipe {
  std::uint64_t capacity = 10'000'000;  // bytes per second
  Duration base = 160ms;
  std::uint64_t queue = 0;  // bytes
  std::uint32_t random_loss_ppm = 0;
  std::uint64_t sent_bytes = 0, lost_bytes = 0;
  bool policer = false;  // no queue: what is too much is lost
  int seen_late = 1;     // delay is seen as an average over about so many rounds
  Duration seen{};

  void step(RateModel& model, Time& now, std::uint64_t wish) {
    const std::uint64_t cap = model.cap().value();
    const std::uint64_t rate = cap == 0 ? wish : std::min(cap, wish);
    const auto ms = static_cast<std::uint64_t>(base / 1ms);
    const std::uint64_t in = rate * ms / 1000, most = capacity * ms / 1000;
    std::uint64_t out = std::min(in + queue, most), lost = 0;
    queue = in + queue - out;
    if (policer) lost = std::exchange(queue, 0);
    sent_bytes += in;
    lost_bytes += lost;
    now += base;
    Round round;
    round.length = base;
    round.delivered_bytes = out;
    const Duration rtt =
        base + Duration(static_cast<std::int64_t>(queue * 1'000'000'000 / capacity));
    seen = seen == Duration{} ? rtt : seen + (rtt - seen) / seen_late;
    round.rtt = seen;
    round.resent_ppm = random_loss_ppm + static_cast<std::uint32_t>(lost * 1'000'000 /
                                                                    std::max<std::uint64_t>(1, in));
    round.limited_by_link = true;
    model.on_round(now, round);
  }
};

TEST(RateModel, HoldsBelowCapacityWithAnEmptyQueue) {
  RateModel model;
  Pipe pipe;
  Time now{};
  for (int i = 0; i < 40; ++i) pipe.step(model, now, 12'000'000);
  EXPECT_EQ(model.mode(), RateModel::Mode::kHold);
  EXPECT_GE(model.cap().value(), 9'000'000U);
  EXPECT_LE(model.cap().value(), 10'000'000U);
  EXPECT_EQ(pipe.queue, 0U);
}

TEST(RateModel, FindsCapacityThatGrew) {
  RateModel model;
  Pipe pipe;
  Time now{};
  for (int i = 0; i < 40; ++i) pipe.step(model, now, 50'000'000);
  pipe.capacity = 30'000'000;
  for (int i = 0; i < 400; ++i) pipe.step(model, now, 50'000'000);
  EXPECT_GE(model.capacity().value(), 27'000'000U);
}

// What is found to be full is not filled further: a step of 6 % of which nothing comes out ends it.
TEST(RateModel, AFullLinkIsProbedByOneStep) {
  RateModel model;
  Pipe pipe;
  pipe.seen_late = 4;
  Time now{};
  for (int i = 0; i < 100; ++i) pipe.step(model, now, 12'000'000);
  std::uint64_t most = 0, probes = 0;
  for (int i = 0; i < 400; ++i) {
    pipe.step(model, now, 12'000'000);
    most = std::max(most, pipe.queue);
    if (model.mode() == RateModel::Mode::kProbe) ++probes;
  }
  EXPECT_GE(probes, 10U);
  EXPECT_LE(most, pipe.capacity * 40 / 1000);
}

// The kernel's figure of the delay is an average: a queue is longer than it looks when it is seen,
// and shorter than it looks when it ends. It was our own all the same.
TEST(RateModel, AQueueThatIsSeenLateIsDrained) {
  RateModel model;
  Pipe pipe;
  pipe.seen_late = 4;
  Time now{};
  for (int i = 0; i < 100; ++i) pipe.step(model, now, 12'000'000);
  ASSERT_NE(model.mode(), RateModel::Mode::kOpen);
  pipe.capacity = 8'000'000;
  bool drained = false;
  for (int i = 0; i < 60; ++i) {
    pipe.step(model, now, 12'000'000);
    drained = drained || model.mode() == RateModel::Mode::kDrain;
    EXPECT_NE(model.mode(), RateModel::Mode::kOpen) << i;
  }
  EXPECT_TRUE(drained);
  EXPECT_EQ(model.mode(), RateModel::Mode::kHold);
  EXPECT_LE(pipe.queue, pipe.capacity / 100);
}

// Of a queue that was drained some stays, as of a way that became longer meanwhile: no queue of
// ours, and nothing to wait for.
TEST(RateModel, WhatStaysOfADrainedQueueIsALongerWay) {
  RateModel model;
  Pipe pipe;
  Time now{};
  for (int i = 0; i < 100; ++i) pipe.step(model, now, 12'000'000);
  ASSERT_EQ(model.mode(), RateModel::Mode::kHold);
  pipe.queue = pipe.capacity / 10;
  pipe.step(model, now, 12'000'000);
  pipe.base += 20ms;
  int drains = 0;
  for (int i = 0; i < 200; ++i) {
    pipe.step(model, now, 12'000'000);
    drains = model.mode() == RateModel::Mode::kDrain ? drains + 1 : 0;
    EXPECT_LE(drains, 60) << i;
  }
}

TEST(RateModel, FollowsCapacityThatShrank) {
  RateModel model;
  Pipe pipe;
  Time now{};
  for (int i = 0; i < 40; ++i) pipe.step(model, now, 50'000'000);
  pipe.capacity = 2'000'000;
  for (int i = 0; i < 100; ++i) pipe.step(model, now, 50'000'000);
  EXPECT_LE(model.cap().value(), 2'000'000U);
  EXPECT_GE(model.cap().value(), 1'490'000U);
}

// Large packets vanish, pings pass: what comes out says nothing of the link.
TEST(RateModel, ALinkThatCarriesOnlyPingsIsBrokenAndNotSlow) {
  RateModel model;
  Pipe pipe;
  Time now{};
  for (int i = 0; i < 40; ++i) pipe.step(model, now, 12'000'000);
  for (int i = 0; i < 40; ++i) {
    Round silent;
    silent.length = pipe.base;
    silent.rtt = pipe.base + (i < 3 ? Duration(100ms) : Duration{});
    silent.limited_by_link = true;
    now += pipe.base;
    model.on_round(now, silent);
  }
  for (int i = 0; i < 40; ++i) pipe.step(model, now, 12'000'000);
  EXPECT_GE(model.cap().value(), 9'000'000U);
}

// A few bytes get through a hole in the path: halving and halving again ends in no cap, not in one
// that the first packets over the mended path could never lift.
TEST(RateModel, WhatABrokenLinkDeliversIsNoCap) {
  RateModel model;
  Pipe pipe;
  Time now{};
  for (int i = 0; i < 40; ++i) pipe.step(model, now, 12'000'000);
  BytesPerSecond least = model.cap();
  for (int i = 0; i < 120; ++i) {
    Round trickle;
    trickle.length = pipe.base;
    trickle.delivered_bytes = 16;
    trickle.rtt = pipe.base + Duration(100ms);
    trickle.limited_by_link = true;
    now += pipe.base;
    model.on_round(now, trickle);
    if (model.cap().value() > 0) least = std::min(least, model.cap());
  }
  EXPECT_GE(least.value(), 8'192U);  // half of the least rate that is believed
}

TEST(RateModel, RandomLossCostsNoRate) {
  RateModel model;
  Pipe pipe;
  pipe.random_loss_ppm = 10'000;
  Time now{};
  for (int i = 0; i < 60; ++i) pipe.step(model, now, 8'000'000);  // what the kernels manage
  EXPECT_EQ(model.cap().value(), 0U);
}

// A queue of a fraction of the round trip is never seen standing; what overran it is.
TEST(RateModel, AShortQueueThatOverflowsIsTheLinksLimit) {
  RateModel model;
  Time now{};
  const auto round = [&](std::uint64_t rate, std::uint32_t resent_ppm) {
    now += 160ms;
    Round seen;
    seen.length = 160ms;
    seen.delivered_bytes = rate * 160 / 1000;
    seen.rtt = 165ms;
    seen.resent_ppm = resent_ppm;
    seen.limited_by_link = true;
    model.on_round(now, seen);
  };
  for (std::uint64_t rate : {1U, 2U, 4U, 8U}) round(rate * 1'000'000, 0);
  round(16'000'000, 80'000);  // it still doubles: some connection's loss
  EXPECT_EQ(model.mode(), RateModel::Mode::kOpen);
  round(17'000'000, 80'000);
  EXPECT_EQ(model.mode(), RateModel::Mode::kHold);
  EXPECT_GE(model.cap().value(), 13'000'000U);
  EXPECT_LE(model.cap().value(), 17'000'000U);
}

TEST(RateModel, OverloadShowsAsLossThatFallsWhenWeSlowDown) {
  RateModel model;
  Pipe pipe;
  pipe.policer = true;
  Time now{};
  for (int i = 0; i < 40; ++i) pipe.step(model, now, 11'000'000);
  EXPECT_GT(model.cap().value(), 0U);
  const std::uint64_t sent = pipe.sent_bytes, lost = pipe.lost_bytes;
  for (int i = 0; i < 200; ++i) pipe.step(model, now, 11'000'000);
  // A tenth of what is wished for does not fit; probes may lose a little of it.
  EXPECT_LE((pipe.lost_bytes - lost) * 100, (pipe.sent_bytes - sent) * 2);
}

Epoch epoch(std::uint64_t sum, std::uint32_t open, bool full = false) {
  return Epoch{
      .sum = BytesPerSecond(sum), .open = open, .limited_by_link = true, .link_full = full};
}

TEST(KSearch, DoublesWhileTheSumRisesAndGoesBack) {
  KSearch search(62, kStartPaths, 0);
  EXPECT_EQ(search.first().to, kStartPaths);
  std::vector<KReason> reasons;
  for (int i = 0; i < 60; ++i) {
    const std::uint64_t useful = std::min<std::uint64_t>(search.wanted(), 16);
    if (const auto change = search.on_epoch(epoch(useful * 1'000'000, search.wanted()))) {
      reasons.push_back(change->reason);
    }
  }
  EXPECT_EQ(search.wanted(), 16U);
  EXPECT_EQ(reasons.back(), KReason::kSumFlat);
}

TEST(KSearch, RestsWhenTheLinkIsFullAndStartsAgainWhenTheRateFalls) {
  KSearch search(62, kStartPaths, 0);
  const auto change = search.on_epoch(epoch(10'000'000, 2, true));
  ASSERT_TRUE(change.has_value());
  EXPECT_EQ(change->reason, KReason::kLinkFull);
  for (int i = 0; i < 10; ++i) EXPECT_FALSE(search.on_epoch(epoch(10'000'000, 2, true)));
  std::optional<KChanged> again;
  for (int i = 0; i < 5 && !again; ++i) again = search.on_epoch(epoch(3'000'000, 2));
  ASSERT_TRUE(again.has_value());
  EXPECT_EQ(again->reason, KReason::kRateFell);
  EXPECT_EQ(search.wanted(), 4U);
}

TEST(KSearch, ASenderWithoutWorkLearnsNothing) {
  KSearch search(62, kStartPaths, 0);
  for (int i = 0; i < 50; ++i) {
    EXPECT_FALSE(search.on_epoch(Epoch{.sum = BytesPerSecond(1'000'000), .open = 2}));
  }
  EXPECT_EQ(search.wanted(), kStartPaths);
}

TEST(KSearch, RandomLossThatConnectionsYieldToNeedsNoProof) {
  KSearch search(62, kStartPathsBulk, 0);
  std::vector<std::uint32_t> steps;
  for (int i = 0; i < 12; ++i) {
    Epoch now = epoch(search.wanted() * 100'000ULL, search.wanted());
    now.loss_limited = true;
    if (const auto change = search.on_epoch(now)) {
      EXPECT_EQ(change->reason, change->from == 62 ? KReason::kMost : KReason::kLossLimited);
      steps.push_back(change->to);
    }
  }
  EXPECT_EQ(steps, (std::vector<std::uint32_t>{28, 56, 62, 62}));
}

// Thirty-two were asked for and five live: twice as many would only be more handshakes.
TEST(KSearch, ConnectionsThatDoNotStayAreNotDoubled) {
  KSearch search(62, 32, 0);
  std::vector<KReason> reasons;
  for (int i = 0; i < 40; ++i) {
    Epoch now = epoch(500'000, 5);
    now.loss_limited = true;
    if (const auto change = search.on_epoch(now)) reasons.push_back(change->reason);
  }
  EXPECT_EQ(reasons, std::vector{KReason::kFewStay});
  EXPECT_EQ(search.wanted(), 32U);
}

// A listing before a push found that two connections served it.
TEST(KSearch, WhatIsRememberedOnlyAdds) {
  EXPECT_EQ(KSearch(62, kStartPathsBulk, kStartPaths).wanted(), kStartPathsBulk);
  EXPECT_EQ(KSearch(62, kStartPathsBulk, kStartPaths).first().reason, KReason::kStart);
  EXPECT_EQ(KSearch(62, kStartPaths, 40).wanted(), 40U);
  EXPECT_EQ(KSearch(62, kStartPaths, 40).first().reason, KReason::kRemembered);
}

// 1 Mbit/s and 180 ms are 15 packets: fourteen connections have one each, and fill the queue.
TEST(KSearch, ALinkWithoutTwoPacketsForEachGetsFewer) {
  KSearch search(62, kStartPathsBulk, 0);
  std::vector<KReason> reasons;
  std::uint32_t least = kStartPathsBulk;
  for (int i = 0; i < 40; ++i) {
    Epoch now = epoch(120'000, search.wanted());
    now.rtt_min = 180ms;
    now.loss_limited = true;  // of its own queue: twice as many would lose more
    if (const auto change = search.on_epoch(now)) reasons.push_back(change->reason);
    least = std::min(least, search.wanted());
  }
  EXPECT_EQ(reasons.front(), KReason::kThin);
  EXPECT_GE(least, kStartPaths);
  EXPECT_LE(search.wanted(), 7U);
}

// An outage looks like it; afterwards their number rises as on any link.
TEST(KSearch, AfterAThinTimeTheSearchGoesOn) {
  KSearch search(62, kStartPathsBulk, 0);
  const auto after = [&search](std::uint64_t each, int epochs) {
    for (int i = 0; i < epochs; ++i) {
      Epoch now = epoch(each * std::min(search.wanted(), 16U), search.wanted());
      now.rtt_min = 180ms;
      search.on_epoch(now);
      search.check();
    }
    return search.wanted();
  };
  EXPECT_EQ(after(0, 3), kStartPaths);
  EXPECT_EQ(after(1'000'000, 60), 16U);
}

// A short way's fourteen connections have their turn soon, however little is on its way.
TEST(KSearch, AShortWayIsNotThin) {
  KSearch search(62, kStartPathsBulk, 0);
  for (int i = 0; i < 20; ++i) {
    Epoch now = epoch(2'500'000, search.wanted(), true);
    now.rtt_min = 1ms;
    EXPECT_NE(search.on_epoch(now).value_or(KChanged{}).reason, KReason::kThin);
  }
}

// The overshoot of a slow start is one epoch's loss.
TEST(KSearch, OneEpochOfLossIsNoReason) {
  KSearch search(62, kStartPathsBulk, 0);
  for (int i = 0; i < 8; ++i) {
    Epoch now = epoch(1'000'000ULL << i, search.wanted());
    now.loss_limited = i == 3;
    EXPECT_FALSE(search.on_epoch(now)) << i;
  }
}

TEST(KSearch, StaysWithinTheMostAndThePeersLimit) {
  KSearch search(6, kStartPaths, 0);
  for (int i = 0; i < 60; ++i)
    search.on_epoch(epoch(search.wanted() * 1'000'000ULL, search.wanted()));
  EXPECT_EQ(search.wanted(), 6U);
  const auto refused = search.on_refused(3);
  ASSERT_TRUE(refused.has_value());
  EXPECT_EQ(search.wanted(), 3U);
}

TEST(KSearch, HoldsWhateverComes) {
  for (std::uint64_t seed = 1; seed <= 20; ++seed) {
    SCOPED_TRACE(seed);
    Rng rng(seed, "k");
    KSearch search(62, kStartPaths, static_cast<std::uint32_t>(rng.below(100)));
    for (int i = 0; i < 5'000; ++i) {
      const std::uint32_t open = static_cast<std::uint32_t>(rng.below(search.wanted() + 1));
      Epoch now = epoch(rng.below(search.wanted() * 1'000'000ULL), open, rng.below(30) == 0);
      now.limited_by_link = rng.below(20) != 0;
      now.loss_limited = rng.below(3) == 0;
      search.on_epoch(now);
      search.check();
      if (rng.below(500) == 0) search.on_refused(open);
      search.check();
    }
  }
}

}  // namespace
}  // namespace longhaul::test
