#include "proxy/debounce.hpp"

#include <gtest/gtest.h>

namespace longhaul::proxy {
namespace {

const Time kStart{1000s};
constexpr DebounceTimes kTimes{1s, 15s, 60s};

// One that has had its first round, which ended at kStart and whose walk took no time.
Debounce settled() {
  Debounce debounce(kStart, kTimes);
  debounce.begin();
  debounce.end(kStart, {}, true);
  return debounce;
}

TEST(Debounce, TheFirstRoundIsDueAtOnce) {
  EXPECT_EQ(Debounce(kStart, kTimes).next_round(), kStart);
}

TEST(Debounce, ARoundBeginsOnceNothingHasChangedForAWhile) {
  Debounce debounce = settled();
  debounce.on_change(kStart + 5s);
  EXPECT_EQ(debounce.next_round(), kStart + 6s);
  debounce.on_change(kStart + 5900ms);
  EXPECT_EQ(debounce.next_round(), kStart + 6900ms);
}

TEST(Debounce, ChangesThatNeverStopDoNotPutItOffForEver) {
  Debounce debounce = settled();
  for (Duration at = 1s; at < 100s; at += 500ms) debounce.on_change(kStart + at);
  EXPECT_EQ(debounce.next_round(), kStart + 1s + kTimes.most);
}

TEST(Debounce, WhatChangesDuringARoundIsForTheNext) {
  Debounce debounce = settled();
  debounce.on_change(kStart + 1s);
  debounce.begin();
  debounce.on_change(kStart + 3s);
  debounce.end(kStart + 10s, {}, true);
  EXPECT_EQ(debounce.next_round(), kStart + 10s);  // it has been quiet for long enough
}

TEST(Debounce, WithoutChangesItWalksNowAndThen) {
  EXPECT_EQ(settled().next_round(), kStart + 60s);
  Debounce polling = settled();
  polling.set_patrol(2s);
  polling.begin();
  polling.end(kStart, {}, true);
  EXPECT_EQ(polling.next_round(), kStart + 2s);
}

TEST(Debounce, WalkingTakesAFifthOfTheTimeAtMost) {
  Debounce debounce(kStart, kTimes);
  debounce.begin();
  debounce.end(kStart + 10s, 10s, true);
  EXPECT_EQ(debounce.next_round(), kStart + 10s + 490s);  // a patrol: a fiftieth
  debounce.on_change(kStart + 11s);
  EXPECT_EQ(debounce.next_round(), kStart + 10s + 40s);
}

TEST(Debounce, AFailedRoundIsTriedAgainAfterPausesThatDouble) {
  Debounce debounce = settled();
  Time now = kStart;
  for (const Duration pause : {1s, 2s, 4s, 8s, 16s, 32s, 60s, 60s}) {
    debounce.begin();
    debounce.end(now, {}, false);
    EXPECT_TRUE(debounce.failed());
    EXPECT_EQ(debounce.next_round(), now + pause);
    now += pause;
  }
  debounce.begin();
  debounce.end(now, {}, true);
  EXPECT_FALSE(debounce.failed());
  EXPECT_EQ(debounce.next_round(), now + 60s);
  debounce.begin();
  debounce.end(now, {}, false);
  EXPECT_EQ(debounce.next_round(), now + 1s);  // it begins anew
}

TEST(Debounce, ChangesDoNotHurryAFailedRound) {
  Debounce debounce = settled();
  for (int i = 0; i < 3; ++i) {
    debounce.begin();
    debounce.end(kStart, {}, false);
  }
  debounce.on_change(kStart);
  EXPECT_EQ(debounce.next_round(), kStart + 4s);
}

}  // namespace
}  // namespace longhaul::proxy
