#include "lib/session/path_choice.hpp"

#include <gtest/gtest.h>

#include "lib/base/rng.hpp"

namespace longhaul::session {
namespace {

constexpr std::uint64_t kMb = 1'000'000;

// A second at a time; a test of the other way takes four of them.
struct Link {
  PathChoice choice;
  Time now{};
  Link() {
    choice.on_begin(now);
    choice.on_life(now, true, false);
  }
  bool gives_way = false;
  void round(std::uint64_t datagram_bytes, std::uint64_t stream_bytes, bool busy = true) {
    now += 1s;
    choice.on_round(now, {1s, datagram_bytes, stream_bytes, 180ms, busy, gives_way});
    choice.check();
  }
  // Rounds of the way in use, until the other is tested; how many there were.
  int until_test(std::uint64_t bytes_each) {
    for (int rounds = 1; rounds <= 2'000; ++rounds) {
      const bool datagrams = choice.datagrams();
      round(datagrams ? bytes_each : 0, datagrams ? 0 : bytes_each);
      if (choice.reason() == ChoiceReason::kTesting) return rounds;
    }
    return 0;
  }
  void test(std::uint64_t datagram_bytes, std::uint64_t stream_bytes) {
    for (int i = 0; i < 4; ++i) round(datagram_bytes, stream_bytes);
  }
};

void expect_both(const PathChoice& choice) {
  EXPECT_TRUE(choice.datagrams());
  EXPECT_TRUE(choice.streams());
}
void expect_datagrams(const PathChoice& choice) {
  EXPECT_TRUE(choice.datagrams());
  EXPECT_FALSE(choice.streams());
  EXPECT_EQ(choice.reason(), ChoiceReason::kAnswered);
}
void expect_streams(const PathChoice& choice, ChoiceReason reason) {
  EXPECT_FALSE(choice.datagrams());
  EXPECT_TRUE(choice.streams());
  EXPECT_EQ(choice.reason(), reason);
}

TEST(PathChoice, WithoutKeysNothingIsTried) {
  PathChoice choice;
  expect_streams(choice, ChoiceReason::kNone);
  choice.on_life(Time{}, true, false);
  choice.on_life(Time{}, false, true);
  expect_streams(choice, ChoiceReason::kNone);
}

TEST(PathChoice, BothCarryUntilADatagramIsAnswered) {
  PathChoice choice;
  choice.on_begin(Time{});
  expect_both(choice);
  EXPECT_EQ(choice.reason(), ChoiceReason::kTrying);
  choice.on_life(Time{}, true, false);
  expect_datagrams(choice);
}

TEST(PathChoice, WhatGoesUnansweredIsLeftAndTakenUpAgain) {
  Link link;
  link.choice.on_life(link.now, false, true);
  expect_streams(link.choice, ChoiceReason::kUnanswered);
  link.choice.on_life(link.now, true, false);
  expect_datagrams(link.choice);
  link.choice.on_end(link.now);
  expect_streams(link.choice, ChoiceReason::kNone);
}

TEST(PathChoice, DatagramsStayWhereStreamsCarryNoMore) {
  Link link;
  EXPECT_EQ(link.until_test(10 * kMb), 30);
  expect_both(link.choice);
  link.test(1 * kMb, 10 * kMb);  // as much as the datagrams alone
  expect_datagrams(link.choice);
  EXPECT_EQ(link.until_test(10 * kMb), 8 * 30);  // ever more seldom
  link.test(1 * kMb, 10 * kMb);
  EXPECT_EQ(link.until_test(10 * kMb), 16 * 60);
}

TEST(PathChoice, AThrottledWayIsLeftForTheOtherAndTriedAgain) {
  Link link;
  link.until_test(10 * kMb);
  link.test(9 * kMb, 11 * kMb);
  expect_streams(link.choice, ChoiceReason::kThrottled);
  EXPECT_GT(link.until_test(11 * kMb), 0);
  expect_both(link.choice);
  link.test(10 * kMb, 1 * kMb);  // still slower than the streams alone
  expect_streams(link.choice, ChoiceReason::kThrottled);
  EXPECT_GT(link.until_test(11 * kMb), 0);
  link.test(50 * kMb, 1 * kMb);
  expect_datagrams(link.choice);
}

// A bundle of TLS connections would take from others what the datagrams leave to them.
TEST(PathChoice, WhatGivesWayToOthersIsNotThrottled) {
  Link link;
  link.gives_way = true;
  EXPECT_EQ(link.until_test(10 * kMb), 0);
  expect_datagrams(link.choice);
  link.gives_way = false;
  EXPECT_EQ(link.until_test(10 * kMb), 30);  // once they have been gone for as long as ever
}

TEST(PathChoice, TheFirstHalfOfATestCountsForNothing) {
  Link link;
  link.until_test(10 * kMb);
  link.round(0, 90 * kMb);
  link.round(0, 90 * kMb);
  link.round(0, 1 * kMb);
  link.round(0, 1 * kMb);
  expect_datagrams(link.choice);
}

TEST(PathChoice, WithoutWorkNothingIsTested) {
  Link link;
  for (int i = 0; i < 29; ++i) link.round(10 * kMb, 0);
  link.round(0, 0, false);
  EXPECT_EQ(link.until_test(10 * kMb), 30);
  link.round(10 * kMb, 90 * kMb);
  link.round(0, 0, false);  // the test is void
  expect_datagrams(link.choice);
}

TEST(PathChoice, HoldsWhateverComes) {
  for (std::uint64_t seed = 1; seed <= 20; ++seed) {
    SCOPED_TRACE(seed);
    Rng rng(seed, "choice");
    PathChoice choice;
    Time now{};
    for (int i = 0; i < 20'000; ++i) {
      now += Duration(static_cast<std::int64_t>(rng.below(3'000'000'000)));
      const std::uint64_t what = rng.below(100);
      if (what == 0) choice.on_begin(now);
      if (what == 1) choice.on_end(now);
      if (what < 6) choice.on_life(now, rng.below(2) == 0, rng.below(4) == 0);
      PathChoice::Round round{Duration(static_cast<std::int64_t>(rng.below(2'000'000'000))),
                              rng.below(100 * kMb), rng.below(100 * kMb), 180ms, what < 98};
      choice.on_round(now, round);
      choice.check();
    }
  }
}

}  // namespace
}  // namespace longhaul::session
