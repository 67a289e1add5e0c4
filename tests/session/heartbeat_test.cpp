// When a path counts as silent. rtt 180 ms unless said otherwise; the interval is then a second.
#include "lib/session/heartbeat.hpp"

#include <gtest/gtest.h>

namespace longhaul::session {
namespace {

using namespace std::chrono_literals;

constexpr Time kBegan = Time{} + 100s;

TEST(Heartbeat, WithoutAWordForTwoIntervalsItIsSilent) {
  Heartbeat heart(kBegan);
  EXPECT_FALSE(heart.silent(kBegan + 1999ms));
  EXPECT_TRUE(heart.silent(kBegan + 2s));
}

TEST(Heartbeat, APingWithoutAnAnswerIsWaitedForLess) {
  Heartbeat heart(kBegan);
  heart.on_heard(kBegan + 1s);
  heart.ping(kBegan + 1s);
  EXPECT_FALSE(heart.silent(kBegan + 2499ms));
  EXPECT_TRUE(heart.silent(kBegan + 2500ms));
}

TEST(Heartbeat, WhatGetsThereIsASignOfLife) {
  Heartbeat heart(kBegan);
  heart.ping(kBegan);
  heart.on_progress(kBegan + 1s, 180ms);
  heart.on_heard(kBegan + 1s);
  EXPECT_FALSE(heart.silent(kBegan + 2400ms));
  EXPECT_TRUE(heart.silent(kBegan + 2500ms));
}

// 64 kB before a link of 0.5 Mbit/s are a second: its connections were given up one after the
// other, before one had answered a ping, and all they carried was sent again.
TEST(Heartbeat, BehindALongQueueTheKernelsRoundTripIsPatienceEnough) {
  Heartbeat heart(kBegan);
  heart.ping(kBegan);
  heart.on_progress(kBegan + 1s, 1200ms);
  EXPECT_EQ(heart.interval(), 3600ms);
  EXPECT_FALSE(heart.silent(kBegan + 6s));
  EXPECT_TRUE(heart.silent(kBegan + 7200ms));
  heart.on_progress(kBegan + 2s, Duration{});  // not known: as before
  EXPECT_EQ(heart.interval(), 3600ms);
  heart.on_progress(kBegan + 3s, 180ms);  // the queue is gone
  EXPECT_EQ(heart.interval(), kHeartbeatLeast);
}

TEST(Heartbeat, AHandshakeBehindAQueueTellsOfIt) {
  EXPECT_EQ(Heartbeat(kBegan, 1s).interval(), 3s);
  EXPECT_EQ(Heartbeat(kBegan, 60s).interval(), kHeartbeatMost);
}

}  // namespace
}  // namespace longhaul::session
