#include "lib/datagram/recovery.hpp"

#include <gtest/gtest.h>

namespace longhaul::datagram {
namespace {

class Sink final : public ItemSink {
 public:
  void on_acked(const Item& item) override { acked.push_back(item.name); }
  void on_lost(const Item& item) override { lost.push_back(item.name); }
  std::vector<std::uint64_t> acked, lost;
};

AckFrame ack_of(PacketNumber first, PacketNumber last, Duration held = {}) {
  AckFrame ack;
  ack.ranges[0] = {first, last};
  ack.range_count = 1;
  ack.held = held;
  return ack;
}

class Path {
 public:
  // Packets of one item each, named as their number.
  void send(std::size_t count) {
    for (std::size_t i = 0; i < count; ++i) {
      const Item item{next, 0, 100, 16, 3};
      recovery.on_sent(now, Recovery::Kind::kEliciting, SentPacket{next, now, 1500, 0, false},
                       {&item, 1});
      ++next;
    }
  }
  Result<> ack(const AckFrame& frame) {
    outcome.clear();
    auto told = recovery.on_ack(now, frame, sink, &outcome);
    recovery.check();
    return told;
  }
  Time now{};
  Recovery recovery{Time{}, 100ms};
  Sink sink;
  Recovery::Outcome outcome;
  PacketNumber next = 0;
};

TEST(Recovery, AnAcknowledgementOfWhatWasNeverSentIsABrokenPeer) {
  Path path;
  path.send(10);
  EXPECT_EQ(path.ack(ack_of(0, 10)).error().kind(), Kind::kMalformed);
  EXPECT_TRUE(path.sink.acked.empty());
  EXPECT_TRUE(path.ack(ack_of(0, 9)).has_value());
  EXPECT_EQ(path.sink.acked.size(), 10U);
}

// Acknowledgements were lost for a while: of most of what the next one names it tells no time. What
// was sent 10 ms sooner than the oldest it tells of came 10 ms sooner, and not at once with it.
TEST(Recovery, WhatNoTimeIsToldOfWasOnItsWayAsLongAsTheRest) {
  Path path;
  for (int i = 0; i < 10; ++i) {
    path.send(1);
    path.now += 10ms;
  }
  AckFrame ack = ack_of(0, 9);
  ack.received = 1s;
  ack.earlier_us[0] = 10'500;
  ack.time_count = 1;
  path.now += 50ms;
  ASSERT_TRUE(path.ack(ack).has_value());
  const auto& acked = path.outcome.acked;
  ASSERT_EQ(acked.size(), 10U);
  EXPECT_EQ(acked[9].received, 1s);
  EXPECT_FALSE(acked[9].guessed);
  EXPECT_EQ(acked[8].received, 1s - 10'500us);
  EXPECT_FALSE(acked[8].guessed);
  for (std::size_t i = 0; i < 8; ++i) {
    EXPECT_EQ(acked[i].received, 1s - 10'500us - (8 - i) * 10ms) << i;
    EXPECT_EQ(acked[i].guessed, i < 7) << i;  // 10 ms are near enough
  }
}

TEST(Recovery, ThreePacketsBeyondMeanLost) {
  Path path;
  path.send(5);
  path.now += 50ms;
  ASSERT_TRUE(path.ack(ack_of(1, 2)).has_value());
  EXPECT_TRUE(path.sink.lost.empty());
  ASSERT_TRUE(path.ack(ack_of(1, 3)).has_value());
  EXPECT_EQ(path.sink.lost, std::vector<std::uint64_t>{0});
  EXPECT_EQ(path.recovery.in_flight_packets(), 1U);
}

TEST(Recovery, TimeMeansLostWhereTooFewPacketsFollow) {
  Path path;
  path.send(2);
  path.now += 50ms;
  ASSERT_TRUE(path.ack(ack_of(1, 1)).has_value());
  EXPECT_TRUE(path.sink.lost.empty());
  const auto at = path.recovery.loss_at();
  ASSERT_TRUE(at.has_value());
  EXPECT_EQ(*at - Time{}, 50ms + Duration(50ms) / 8);  // RFC 9002: 9/8 of the round trip
  path.recovery.on_deadline(*at, path.sink, &path.outcome);
  EXPECT_EQ(path.sink.lost, std::vector<std::uint64_t>{0});
}

TEST(Recovery, WhatCameLateTeachesToWaitLonger) {
  Path path;
  path.send(8);
  path.now += 50ms;
  ASSERT_TRUE(path.ack(ack_of(1, 7)).has_value());
  EXPECT_EQ(path.sink.lost.size(), 1U);
  ASSERT_TRUE(path.ack(ack_of(0, 7)).has_value());
  EXPECT_EQ(path.recovery.spurious(), 1U);
  EXPECT_TRUE(path.outcome.acked.back().was_lost || path.outcome.acked.front().was_lost);
  EXPECT_EQ(path.sink.acked.size(), 7U) << "each item's fate is told once";
  path.send(6);
  ASSERT_TRUE(path.ack(ack_of(9, 13)).has_value());
  EXPECT_EQ(path.sink.lost.size(), 1U) << "five beyond are no proof any more";
}

TEST(Recovery, ACopyAndItsOriginalAreOneThing) {
  for (const bool original_arrives : {true, false}) {
    Path path;
    path.send(1);
    ASSERT_EQ(path.recovery.oldest_uncopied().size(), 1U);
    path.recovery.on_copy_sent(path.now, SentPacket{path.next++, path.now, 1500, 0, false});
    EXPECT_TRUE(path.recovery.oldest_uncopied().empty());
    path.now += 50ms;
    const PacketNumber which = original_arrives ? 0 : 1;
    ASSERT_TRUE(path.ack(ack_of(which, which)).has_value());
    ASSERT_TRUE(path.ack(ack_of(0, 1)).has_value());
    EXPECT_EQ(path.sink.acked, std::vector<std::uint64_t>{0});
    EXPECT_TRUE(path.sink.lost.empty());
  }
}

TEST(Recovery, GivingUpHandsEverythingBackOnce) {
  Path path;
  path.send(6);
  path.now += 50ms;
  ASSERT_TRUE(path.ack(ack_of(0, 1)).has_value());
  std::vector<SentPacket> forgotten;
  path.recovery.give_up(path.sink, &forgotten);
  EXPECT_EQ(forgotten.size(), 4U);
  EXPECT_EQ(path.sink.lost, (std::vector<std::uint64_t>{2, 3, 4, 5}));
  EXPECT_EQ(path.recovery.in_flight_packets(), 0U);
  ASSERT_TRUE(path.ack(ack_of(2, 5)).has_value());
  EXPECT_TRUE(path.outcome.any_new) << "a sign of life";
  EXPECT_TRUE(path.outcome.acked.empty());
  EXPECT_EQ(path.sink.acked.size(), 2U);
}

// After an outage the peer acknowledges what it got before it: the time it held that is no part of
// the round trip, however long.
TEST(Recovery, ARoundTripDoesNotContainWhatThePeerHeld) {
  Path path;
  path.send(1);
  path.now += 50ms;
  ASSERT_TRUE(path.ack(ack_of(0, 0)).has_value());
  path.send(1);
  path.now += 10min + 50ms;
  ASSERT_TRUE(path.ack(ack_of(1, 1, 10min)).has_value());
  EXPECT_EQ(path.recovery.rtt().smoothed(), 50ms);
  EXPECT_LE(path.recovery.rtt().longest(), 80ms);
}

TEST(Recovery, APeerThatNeverAcknowledgesIsNotRememberedForEver) {
  Path path;
  std::vector<SentPacket> forgotten;
  for (int i = 0; i < 3000; ++i) {
    path.now += 1s;
    path.send(100);
    forgotten.clear();
    path.recovery.give_up(path.sink, &forgotten);
  }
  path.recovery.check();
  EXPECT_LE(path.recovery.remembered(), (1U << 16) + 100U);
}

}  // namespace
}  // namespace longhaul::datagram
