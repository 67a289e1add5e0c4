#include "lib/auth/admission.hpp"

#include <gtest/gtest.h>

namespace longhaul::auth {
namespace {

constexpr Time kStart{};

TEST(Admission, ADeadlineRunsFromAcceptAndNothingMovesIt) {
  Admission admission;
  admission.on_accept(kStart, ConnectionId(1), "a");
  admission.on_stage(kStart + 9s, ConnectionId(1));
  EXPECT_TRUE(admission.on_deadline(kStart + 9s).empty());
  EXPECT_EQ(admission.on_deadline(kStart + 10s), std::vector{ConnectionId(1)});
  EXPECT_FALSE(admission.next_deadline().has_value());
}

TEST(Admission, BoundsTheBytesOfAStranger) {
  Admission admission;
  admission.on_accept(kStart, ConnectionId(1), "a");
  EXPECT_EQ(admission.on_bytes(ConnectionId(1), 64U << 10), Admission::Verdict::kGoOn);
  EXPECT_EQ(admission.on_bytes(ConnectionId(1), 1), Admission::Verdict::kClose);
}

TEST(Admission, OneSourceGetsSixteenUntilItIsKnown) {
  Admission admission;
  for (std::uint64_t i = 0; i < 16; ++i)
    EXPECT_TRUE(admission.on_accept(kStart, ConnectionId(i), "a").empty());
  EXPECT_EQ(admission.on_accept(kStart, ConnectionId(16), "a"), std::vector{ConnectionId(16)});
  EXPECT_TRUE(admission.on_accept(kStart, ConnectionId(17), "b").empty());
  admission.on_known(kStart, ConnectionId(0));
  for (std::uint64_t i = 20; i < 40; ++i)
    EXPECT_TRUE(admission.on_accept(kStart, ConnectionId(i), "a").empty());
  admission.check();
}

// Both come back at once after the streamer was started anew: it knows neither.
TEST(Admission, TwoLaptopsBehindOneAddressBothGetIn) {
  Admission admission;
  std::vector<ConnectionId> turned_away;
  for (std::uint64_t i = 0; i < 32; ++i)
    for (const ConnectionId id : admission.on_accept(kStart, ConnectionId(i), "nat"))
      turned_away.push_back(id);
  EXPECT_EQ(turned_away.size(), 16U);
  EXPECT_EQ(turned_away.front(), ConnectionId(16));  // the second laptop's; it dials again
  admission.on_known(kStart + 1s, ConnectionId(0));
  for (std::uint64_t i = 32; i < 48; ++i)
    EXPECT_TRUE(admission.on_accept(kStart + 2s, ConnectionId(i), "nat").empty());
  admission.check();
}

TEST(Admission, AFullTableEvictsWhoIsLongestInItsStage) {
  AdmissionLimits limits;
  limits.connections_max = 2;
  Admission admission(limits);
  admission.on_accept(kStart, ConnectionId(1), "a");
  admission.on_accept(kStart + 1ms, ConnectionId(2), "b");
  admission.on_stage(kStart + 2ms, ConnectionId(1));  // the older one got on
  EXPECT_EQ(admission.on_accept(kStart + 3ms, ConnectionId(3), "c"), std::vector{ConnectionId(2)});
  admission.check();
}

// 10,000 slow connections from many sources: memory stays bounded and an honest peer still gets in.
TEST(Admission, SlowDripsDoNotKeepTheHonestOut) {
  Admission admission;
  Time now = kStart;
  for (std::uint64_t i = 0; i < 10'000; ++i) {
    now += 100us;
    admission.on_accept(now, ConnectionId(i), std::to_string(i % 2000));
    admission.on_bytes(ConnectionId(i), 100);
    admission.check();
  }
  EXPECT_LE(admission.size(), 1024U);
  EXPECT_LE(admission.bytes(), 64U << 20);
  const auto closed = admission.on_accept(now, ConnectionId(99'999), "honest");
  EXPECT_EQ(closed.size(), 1U);
  EXPECT_NE(closed.front(), ConnectionId(99'999));
}

TEST(Admission, CountsAnIpv6NetworkAsOneSource) {
  EXPECT_EQ(source_of("192.0.2.7"), "192.0.2.7");
  EXPECT_EQ(source_of("::ffff:192.0.2.7"), "::ffff:192.0.2.7");
  EXPECT_EQ(source_of("2001:db8:1:2:3:4:5:6"), "2001:db8:1:2:");
  EXPECT_EQ(source_of("2001:db8:1:2::9"), "2001:db8:1:2:");
  EXPECT_EQ(source_of("2001:db8::9"), "2001:db8:0:0:");
  EXPECT_EQ(source_of("::1"), "0:0:0:0:");
  EXPECT_EQ(source_of("2001:db8:1::"), "2001:db8:1:0:");
  Admission admission;
  std::size_t refused = 0;
  for (unsigned i = 0; i < 100; ++i)
    refused +=
        admission.on_accept(Time{}, ConnectionId{i + 1}, "2001:db8:1:2::" + std::to_string(i))
            .size();
  EXPECT_EQ(refused, 84U);
  admission.check();
}

TEST(Admission, WithoutDescriptorsTheSlowestMakesRoom) {
  Admission admission;
  EXPECT_EQ(admission.evict(), std::nullopt);
  for (unsigned i = 1; i <= 3; ++i)
    EXPECT_TRUE(admission.on_accept(Time{} + i * 1s, ConnectionId{i}, "192.0.2.7").empty());
  admission.on_stage(Time{} + 9s, ConnectionId{1});
  EXPECT_EQ(admission.evict(), ConnectionId{2});
  EXPECT_EQ(admission.size(), 2U);
  admission.check();
}

// Each of them always has one that waits, and comes again when its handshake is done.
Duration work_of_a_minute(std::uint64_t sources) {
  constexpr Duration kStep = 600us;
  Admission admission;
  Time now = kStart;
  Duration worked{};
  std::uint64_t next = 0;
  const auto come = [&] {
    const ConnectionId id(next);
    admission.on_accept(now, id, std::to_string(next++ % sources));
    admission.on_waiting(now, id);
  };
  for (std::uint64_t i = 0; i < sources; ++i) come();
  while (now < kStart + 60s) {
    for (const ConnectionId late : admission.on_deadline(now)) {
      static_cast<void>(late);
      come();
    }
    while (const auto id = admission.poll_turn(now)) {
      admission.on_work(now, *id, kStep);
      worked += kStep;
      now += kStep;
      admission.on_closed(*id);
      come();
    }
    admission.check();
    now = std::max(now, *admission.next_turn());
  }
  return worked;
}

TEST(Admission, U2StrangersTogetherGetAQuarterOfACore) {
  for (const std::uint64_t sources : {1U, 4U, 60U, 900U}) {
    const Duration worked = work_of_a_minute(sources);
    EXPECT_LE(worked, 15s + 250ms + 1ms) << sources;
    EXPECT_GE(worked, 15s) << sources;
  }
}

// A burst's worth is gone: what waits now waits for its turn.
Admission spent(Time now) {
  Admission admission;
  admission.on_accept(now, ConnectionId(0), "flood");
  admission.on_waiting(now, ConnectionId(0));
  EXPECT_EQ(admission.poll_turn(now), ConnectionId(0));
  admission.on_work(now, ConnectionId(0), 250ms);
  admission.on_closed(ConnectionId(0));
  return admission;
}

TEST(Admission, U2TheSourceThatUsedLeastGoesFirst) {
  const Time now = kStart + 1h;
  Admission admission = spent(now);
  admission.on_accept(now, ConnectionId(1), "flood");
  admission.on_accept(now, ConnectionId(2), "newcomer");
  admission.on_accept(now, ConnectionId(3), "another newcomer");
  for (const std::uint64_t id : {1U, 2U, 3U}) admission.on_waiting(now, ConnectionId(id));
  EXPECT_EQ(admission.poll_turn(now), std::nullopt);
  EXPECT_EQ(admission.next_turn(), now + 4ns);
  const Time turn = *admission.next_turn();
  EXPECT_EQ(admission.poll_turn(turn - 1ns), std::nullopt);
  EXPECT_EQ(admission.poll_turn(turn), ConnectionId(2));
  admission.on_work(turn, ConnectionId(2), 1ms);
  EXPECT_EQ(admission.next_turn(), turn + 4ms);
  // Its handshake goes on before another begins: what it cost itself does not put it back.
  admission.on_waiting(now, ConnectionId(2));
  EXPECT_EQ(admission.poll_turn(turn + 4ms), ConnectionId(2));
  EXPECT_EQ(admission.poll_turn(turn + 4ms), ConnectionId(3));
  EXPECT_EQ(admission.poll_turn(turn + 4ms), ConnectionId(1));
  EXPECT_EQ(admission.next_turn(), std::nullopt);
  admission.check();
}

// A source's connections come and go; what they cost is remembered, and forgotten in time.
TEST(Admission, U2WhatASourceUsedIsForgottenByHalves) {
  const Time now = kStart + 1h;
  for (const Duration later : {Duration(60s), Duration(600s)}) {
    Admission admission = spent(now);
    admission.on_accept(now + later, ConnectionId(1), "flood");
    admission.on_accept(now + later, ConnectionId(2), "newcomer");
    admission.on_waiting(now + later, ConnectionId(1));
    admission.on_waiting(now + later, ConnectionId(2));
    const bool remembered = later == 60s;
    EXPECT_EQ(admission.poll_turn(now + later), ConnectionId(remembered ? 2 : 1));
    admission.check();
  }
}

TEST(Admission, U2ASourceThatIsKnownWaitsForNothing) {
  const Time now = kStart + 1h;
  Admission admission = spent(now);
  for (const std::uint64_t id : {1U, 2U, 3U})
    admission.on_accept(now, ConnectionId(id), id == 3 ? "flood" : "laptop");
  for (const std::uint64_t id : {1U, 3U}) admission.on_waiting(now, ConnectionId(id));
  EXPECT_EQ(admission.poll_turn(now), std::nullopt);
  admission.on_known(now, ConnectionId(2));
  EXPECT_LE(admission.next_turn(), now);
  EXPECT_EQ(admission.poll_turn(now), ConnectionId(1));
  admission.on_work(now, ConnectionId(1), 10s);  // nobody else pays for it
  EXPECT_EQ(admission.next_turn(), now + 4ns);
  EXPECT_EQ(admission.poll_turn(now + 4ns), ConnectionId(3));
  admission.on_waiting(now + 1s, ConnectionId(1));  // its handshake goes on
  EXPECT_EQ(admission.poll_turn(now + 1s), ConnectionId(1));
  admission.on_accept(now + 2h, ConnectionId(4), "laptop");  // and then it is like any other
  admission.on_work(now + 2h, ConnectionId(4), 1s);
  admission.on_waiting(now + 2h, ConnectionId(4));
  EXPECT_EQ(admission.poll_turn(now + 2h), std::nullopt);
  admission.check();
}

TEST(Admission, U2AClockThatLeapsEarnsABurstAtMost) {
  for (const Duration leap : {Duration(23h), Duration(-23h)}) {
    Time now = kStart + 100h;
    Admission admission = spent(now);
    now += leap;
    Duration worked{};
    const Time end = now + 1s;
    for (std::uint64_t id = 1; now < end; ++id) {
      admission.on_accept(now, ConnectionId(id), "flood");
      admission.on_waiting(now, ConnectionId(id));
      if (admission.poll_turn(now)) {
        admission.on_work(now, ConnectionId(id), 1ms);
        worked += 1ms;
      }
      admission.on_closed(ConnectionId(id));
      admission.check();
      now += 1ms;
    }
    const Duration burst = leap > Duration(0) ? Duration(250ms) : Duration(0);
    EXPECT_LE(worked, burst + 250ms + 1ms);
    EXPECT_GE(worked, burst + 249ms);
  }
}

// An IPv6 network has more sources than anybody can remember.
TEST(Admission, U2SourcesWithoutEndAreForgotten) {
  Admission admission;
  Time now = kStart;
  for (std::uint64_t i = 0; i < 50'000; ++i) {
    now += 400us;
    admission.on_accept(now, ConnectionId(i), std::to_string(i));
    admission.on_waiting(now, ConnectionId(i));
    if (const auto id = admission.poll_turn(now)) {
      admission.on_work(now, *id, 100us);
      admission.on_closed(*id);
    }
    if (i % 100 == 0) admission.check();  // what is remembered is bounded there
  }
}

}  // namespace
}  // namespace longhaul::auth
