#include "lib/session/path_choice.hpp"

#include <gtest/gtest.h>

#include <algorithm>

#include "lib/base/rng.hpp"

namespace longhaul::session {
namespace {

constexpr std::uint64_t kMb = 1'000'000;  // a second, as all figures here

// A network as the choice sees it, a round of 200 ms at a time. Connections send all that they may.
struct Link {
  std::uint64_t all = 10 * kMb;       // what it carries
  std::uint64_t udp_most = 10 * kMb;  // of it in datagrams
  std::uint64_t tls_most = 10 * kMb;  // over the connections
  bool gives_way = false;
  PathChoice choice;
  Time now{};
  std::uint64_t cap_most = 0;  // ever, of the connections in a test
  Link() {
    choice.on_begin(now);
    choice.on_life(now, true, false);
  }
  void say(std::uint64_t datagram_bytes, std::uint64_t stream_bytes, bool busy = true) {
    now += 200ms;
    choice.on_round(now, {200ms, datagram_bytes / 5, stream_bytes / 5, 180ms, busy, gives_way});
    choice.check();
    cap_most = std::max(cap_most, choice.stream_cap().value());
  }
  // Datagrams make room for the connections.
  void round() {
    std::uint64_t streams = choice.streams() ? tls_most : 0;
    if (choice.stream_cap().value() > 0) streams = std::min(streams, choice.stream_cap().value());
    std::uint64_t datagrams = choice.datagrams() ? std::min(udp_most, all - streams) : 0;
    if (choice.datagram_cap().value() > 0)
      datagrams = std::min(datagrams, choice.datagram_cap().value());
    say(datagrams, streams);
  }
  // Until TLS has the bulk.
  void lose_udp() {
    udp_most = 2 * kMb;
    until_test();
    test();
    ASSERT_EQ(choice.reason(), ChoiceReason::kThrottled);
  }
  bool tests() const { return choice.reason() == ChoiceReason::kTesting; }
  // How long until the other way is tested; zero: for ever.
  Duration until_test() {
    const Time begin = now;
    while (!tests()) {
      if (now - begin > 1h) return {};
      round();
    }
    return now - begin;
  }
  Duration test() {
    const Time begin = now;
    while (tests()) round();
    return now - begin;
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
  EXPECT_EQ(link.until_test(), 30s);
  expect_both(link.choice);
  EXPECT_LE(link.test(), 2s);
  expect_datagrams(link.choice);
  EXPECT_LE(link.cap_most, link.all / 8);  // the link is not filled to find that out
  EXPECT_EQ(link.choice.stream_cap(), BytesPerSecond());
  EXPECT_EQ(link.until_test(), 8 * 30s);  // ever more seldom
  link.test();
  EXPECT_EQ(link.until_test(), 16min);
}

TEST(PathChoice, AThrottledWayIsLeftForTheOtherAndTriedAgain) {
  Link link;
  link.udp_most = 2 * kMb;
  link.until_test();
  EXPECT_LE(link.test(), 9s);
  expect_streams(link.choice, ChoiceReason::kThrottled);
  EXPECT_EQ(link.choice.stream_cap(), BytesPerSecond());
  EXPECT_EQ(link.until_test(), 30s);  // how long it holds is not known
  expect_both(link.choice);
  EXPECT_LE(link.test(), 6s);
  expect_streams(link.choice, ChoiceReason::kThrottled);
  EXPECT_EQ(link.until_test(), 8 * 30s);
  link.test();
  EXPECT_EQ(link.until_test(), 16min);
}

// What carries as much is taken up again, though it carries no more: in it control waits less.
TEST(PathChoice, AThrottleThatEndedIsLeftBehind) {
  for (const std::uint64_t tls : {10 * kMb, 7 * kMb, 100'000UL, 1'000UL, 0UL}) {
    SCOPED_TRACE(tls);
    Link link;
    link.lose_udp();
    link.tls_most = tls;
    link.udp_most = link.all;
    EXPECT_EQ(link.until_test(), 30s);
    EXPECT_LE(link.test(), 9s);
    expect_datagrams(link.choice);
  }
}

// Both together send what the connections sent alone, until the datagrams have shown their slices.
TEST(PathChoice, DatagramsTakeASliceOfWhatTheConnectionsHave) {
  Link link;
  link.lose_udp();
  link.udp_most = link.all;
  link.until_test();
  std::uint64_t most = 0;
  while (link.choice.datagram_cap().value() > 0) {
    const std::uint64_t datagrams = link.choice.datagram_cap().value();
    EXPECT_LE(datagrams, most + link.all / 4) << "not all of a slice at once";
    most = std::max(most, datagrams);
    EXPECT_LE(datagrams + link.choice.stream_cap().value(), link.all);
    link.round();
  }
  EXPECT_NEAR(static_cast<double>(most), static_cast<double>(link.all / 2), 4'096);
  EXPECT_TRUE(link.tests());
  EXPECT_TRUE(link.choice.datagrams());
  EXPECT_FALSE(link.choice.streams());
}

TEST(PathChoice, ASliceOfDatagramsThatIsLostEndsTheTrial) {
  Link link;
  link.lose_udp();
  link.udp_most = kMb / 2;
  link.until_test();
  EXPECT_LE(link.test(), 2s);
  expect_streams(link.choice, ChoiceReason::kThrottled);
  EXPECT_EQ(link.choice.datagram_cap(), BytesPerSecond());
}

// A throttle so hard that a slice falls silent: the answer to a probe later is no reason.
TEST(PathChoice, DatagramsThatStallInTheirTestAreNotTakenUp) {
  for (const bool alone : {false, true}) {
    Link link;
    link.lose_udp();
    link.udp_most = link.all;
    link.until_test();
    while (link.choice.streams() == alone) link.round();
    link.choice.on_life(link.now, false, true);
    expect_streams(link.choice, ChoiceReason::kThrottled);
    link.choice.on_life(link.now, true, false);
    expect_streams(link.choice, ChoiceReason::kThrottled);
  }
}

// Saved-up credit lets a test pass, and no more.
TEST(PathChoice, AThrottleThatClosesAfterSomeSecondsIsMetSeldom) {
  Link link;
  link.lose_udp();
  const Time begin = link.now;
  Duration throttled{};
  while (link.now - begin < 2h) {
    const bool alone = link.choice.datagrams() && !link.tests();
    link.udp_most = alone ? 2 * kMb : link.all;
    if (alone) throttled += 200ms;
    link.round();
  }
  EXPECT_GT(throttled, 0s);
  EXPECT_LE(throttled, 8min);
}

TEST(PathChoice, NewKeysAreNewToTheNetwork) {
  Link link;
  link.until_test();
  link.test();
  EXPECT_EQ(link.until_test(), 8 * 30s);
  link.choice.on_end(link.now);
  link.choice.on_begin(link.now);
  link.choice.on_life(link.now, true, false);
  EXPECT_EQ(link.until_test(), 30s);
}

// Enough for a slice, not for all of it.
TEST(PathChoice, DatagramsThatCarryTwoThirdsAreNotTakenUp) {
  Link link;
  link.lose_udp();
  link.udp_most = link.all * 2 / 3;
  link.until_test();
  link.test();
  expect_streams(link.choice, ChoiceReason::kThrottled);
}

// It is found whatever the connections find beside the datagrams, as long as that is more.
TEST(PathChoice, AWayIsThrottledWhereTheOtherCarriesMoreAlone) {
  for (const std::uint64_t udp : {1U, 2U, 3U, 4U}) {
    Link link;
    link.udp_most = udp * kMb;
    link.until_test();
    link.test();
    expect_streams(link.choice, ChoiceReason::kThrottled);
  }
  Link link;
  link.udp_most = 8 * kMb;
  link.tls_most = 2 * kMb;  // the sum is larger, and not by the datagrams' fault
  link.until_test();
  link.test();
  expect_datagrams(link.choice);
}

// A slice that is lost on its way, as to CUBIC where packets are lost, proves nothing.
TEST(PathChoice, ConnectionsThatDoNotCarryTheirSliceAreLeft) {
  Link link;
  link.udp_most = 5 * kMb;
  link.tls_most = kMb / 4;
  link.until_test();
  EXPECT_LE(link.test(), 2s);
  expect_datagrams(link.choice);
}

// All of a slice at once would stand in the bottleneck's queue until the datagrams make room.
TEST(PathChoice, ASliceGrowsOverSomeRoundTrips) {
  Link link;
  link.until_test();
  EXPECT_LE(link.choice.stream_cap().value(), link.all / 8 / 3);
  const std::uint64_t first = link.choice.stream_cap().value();
  link.round();
  EXPECT_GT(link.choice.stream_cap().value(), first);
  EXPECT_LT(link.choice.stream_cap().value(), link.all / 8);
}

// A bundle of TLS connections would take from others what the datagrams leave to them.
TEST(PathChoice, WhatGivesWayToOthersIsNotThrottled) {
  Link link;
  link.gives_way = true;
  EXPECT_EQ(link.until_test(), 0s);
  expect_datagrams(link.choice);
  link.gives_way = false;
  EXPECT_EQ(link.until_test(), 30s);  // once they have been gone for as long as ever
}

// Nor is what begins to give way when the connections come: they share a bottleneck.
TEST(PathChoice, DatagramsThatGiveWayToTheConnectionsStay) {
  Link link;
  link.udp_most = 2 * kMb;
  link.until_test();
  link.gives_way = true;
  link.round();
  expect_datagrams(link.choice);
}

TEST(PathChoice, TheFirstHalfOfAStepCountsForNothing) {
  Link link;
  link.until_test();
  for (int i = 0; i < 3; ++i) link.say(10 * kMb, 90 * kMb);
  for (int i = 0; link.tests() && i < 100; ++i) link.say(9 * kMb, 1 * kMb);
  expect_datagrams(link.choice);
}

TEST(PathChoice, WithoutWorkNothingIsTested) {
  Link link;
  for (int i = 0; i < 149; ++i) link.round();
  link.say(0, 0, false);
  EXPECT_EQ(link.until_test(), 30s);
  link.say(10 * kMb, 90 * kMb);
  link.say(0, 0, false);  // the test is void
  expect_datagrams(link.choice);
  link.lose_udp();
  link.udp_most = link.all;
  for (const bool alone : {false, true}) {
    link.until_test();
    while (link.choice.streams() == alone) link.round();
    link.say(0, 0, false);
    expect_streams(link.choice, ChoiceReason::kThrottled);
  }
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
      const Duration rtt = rng.below(4) == 0 ? 10min : 180ms;
      PathChoice::Round round{Duration(static_cast<std::int64_t>(rng.below(2'000'000'000))),
                              rng.below(100 * kMb),
                              rng.below(100 * kMb),
                              rtt,
                              what < 98,
                              rng.below(50) == 0};
      choice.on_round(now, round);
      choice.check();
    }
  }
}

}  // namespace
}  // namespace longhaul::session
