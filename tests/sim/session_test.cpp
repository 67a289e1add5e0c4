#include <gtest/gtest.h>

#include <algorithm>

#include "tests/sim/session_world.hpp"

namespace longhaul::test {
namespace {

using session::Lane;

TEST(SessionSim, MessagesOfAllLanesArriveOnce) {
  SessionWorld world(1);
  for (std::uint64_t i = 0; i < 20; ++i) {
    world.laptop.service.send(Lane::kControl, i, 100);
    world.site.service.send(Lane::kControl, i, 1000);
  }
  world.laptop.service.send(Lane::kLive, 1, 500, 7);
  world.laptop.service.send(Lane::kUpdate, 2, 3U << 20);
  world.laptop.service.send(Lane::kDemand, 3, 50'000);
  world.laptop.service.send(Lane::kBackfill, 4, 8);
  world.laptop.service.send_bulk(10U << 20);
  world.start();
  ASSERT_TRUE(world.run_until([&] { return world.site.service.received().size() >= 64; }, 20s));
  EXPECT_EQ(world.site.service.bytes_in(Lane::kBulk), 10U << 20);
  EXPECT_EQ(world.site.service.bytes_in(Lane::kUpdate), 3U << 20);
  EXPECT_EQ(world.site.service.wrong(), 0U);
  EXPECT_EQ(world.laptop.service.wrong(), 0U);
  std::vector<std::uint64_t> in_order(20);
  for (std::uint64_t i = 0; i < 20; ++i) in_order[i] = i;
  EXPECT_EQ(world.site.service.numbers(Lane::kControl), in_order);
  EXPECT_EQ(world.laptop.service.numbers(Lane::kControl), in_order);
  world.run_for(2s);  // and whoever sent them knows it
  EXPECT_EQ(world.laptop.session->status().unacked_bytes, 0U);
}

double megabits(std::uint64_t bytes, Duration span) {
  return static_cast<double>(bytes) * 8e3 / static_cast<double>(span.count());
}

TEST(SessionSim, BulkFillsTheLink) {
  SessionWorld world(2);
  world.laptop.service.send_endless_bulk(true);
  world.start();
  world.run_for(10s);  // ramp
  const std::uint64_t before = world.site.service.bytes_in(Lane::kBulk);
  world.run_for(20s);
  const std::uint64_t bytes = world.site.service.bytes_in(Lane::kBulk) - before;
  const double most = 100.0 * 1448 / 1500;
  EXPECT_GE(megabits(bytes, 20s), 0.90 * most);
}

// Arrival at the peer, from the moment the service had it, while bulk saturates.
TEST(SessionSim, P5ControlFliesWhileBulkSaturates) {
  SessionWorld world(3);
  world.laptop.service.send_endless_bulk(true);
  world.start();
  world.run_for(10s);
  std::vector<Duration> delays;
  for (std::uint64_t i = 0; i < 200; ++i) {
    world.laptop.service.send(Lane::kControl, i, 200);
    world.laptop.drain();
    world.run_for(50ms);
  }
  world.run_for(2s);
  Time sent = Time{} + 10s;
  for (const auto& received : world.site.service.received()) {
    if (received.lane != Lane::kControl) continue;
    delays.push_back(received.at - sent);
    sent += 50ms;
  }
  ASSERT_EQ(delays.size(), 200U);
  std::sort(delays.begin(), delays.end());
  const Duration one_way = world.options.link.rtt / 2;
  EXPECT_LE(delays[100], one_way + 10ms);
  EXPECT_LE(delays[198], one_way + 50ms);
}

// What a service decides to send next as bulk waits for what the session has taken, at 2 Mbit/s not
// for 8 MiB, which are 33 s.
TEST(SessionSim, OnASlowLinkBulkWaitsForLittleBulk) {
  for (const bool datagrams : {false, true}) {
    for (const Duration after : {3s, 60s}) {
      WorldOptions options;
      options.link = {.rtt = 180ms, .megabits = 2};
      options.session.datagrams = datagrams;
      options.session.expects_bulk = true;
      SessionWorld world(9, options);
      world.laptop.service.send_endless_bulk(true);
      world.start();
      world.run_for(after);
      world.laptop.service.send(Lane::kBulk, 7, 1000);
      const auto came = [&] {
        const auto& received = world.site.service.received();
        return !received.empty() && received.back().number == 7;
      };
      // Over UDP what was taken while it found the link's rate is still there.
      const Duration most = datagrams && after == 3s ? 9s : 7s;
      EXPECT_TRUE(world.run_until(came, most)) << datagrams << " " << after / 1s;
    }
  }
}

TEST(SessionSim, OutageOfAMinuteDataFlowsWithinThreeSeconds) {
  SessionWorld world(4);
  world.laptop.service.send_endless_bulk(true);
  world.start();
  world.run_for(8s);
  world.wan.apply(world.link, netsim::Outage{60s});
  world.run_for(60s);
  const std::uint64_t before = world.site.service.bytes_in(Lane::kBulk);
  EXPECT_EQ(world.laptop.service.links().back().second, session::LinkState::kDown);
  const Time back = world.wan.now();
  ASSERT_TRUE(
      world.run_until([&] { return world.site.service.bytes_in(Lane::kBulk) > before; }, 10s));
  EXPECT_LE(world.wan.now() - back, 3s);
  world.run_for(5s);
  EXPECT_EQ(world.site.service.wrong(), 0U);
  world.laptop.session->check();
  world.site.session->check();
}

TEST(SessionSim, R6WhatIsRequiredAndMissingIsRefusedBeforeAnyMessage) {
  WorldOptions options;
  options.session.required = session::kCapabilityRuns;
  SessionWorld both(1, options);  // without UDP: runs do not hang on it
  both.start();
  ASSERT_TRUE(both.run_until([&] { return both.established(); }, 5s));
  const auto established = both.laptop.events_of<session::Established>();
  ASSERT_FALSE(established.empty());
  EXPECT_EQ(established[0].second.capabilities, session::kCapabilitiesOfServices);

  options.session.required = std::uint64_t{1} << 40;  // of a build to come
  SessionWorld newer(1, options);
  newer.laptop.service.send(Lane::kControl, 0, 100);
  newer.start();
  newer.run_for(5s);
  const auto ended = newer.laptop.events_of<session::Ended>();
  ASSERT_EQ(ended.size(), 1U);
  EXPECT_EQ(ended[0].second.refused, session::RefuseReason::kVersion);
  EXPECT_TRUE(newer.site.service.received().empty());
}

// What a laptop's battery pays while nothing is said: a ping twice a second on each connection, and
// one look a second at its sockets.
TEST(SessionSim, AnIdleSessionWakesSeldom) {
  for (const bool datagrams : {false, true}) {
    WorldOptions options;
    options.session.datagrams = datagrams;
    SessionWorld world(8, options);
    world.laptop.service.send_bulk(1U << 20);
    world.start();
    world.run_for(20s);
    const std::uint64_t wakes = world.laptop.wakes, samples = world.laptop.samples;
    const auto streams = world.laptop.open_streams();
    world.run_for(60s);
    EXPECT_LE(world.laptop.samples - samples, 61 * streams);
    EXPECT_LE(world.laptop.wakes - wakes, 60 * (2 * streams + 2));
    const Time sent = world.wan.now();  // and is there at once
    world.laptop.service.send(Lane::kControl, 1, 100);
    world.laptop.drain();
    const auto there = [&] { return world.site.service.numbers(Lane::kControl).size() == 1; };
    EXPECT_TRUE(world.run_until(there, 10s));
    EXPECT_LE(world.wan.now() - sent, options.link.rtt / 2 + 10ms);
  }
}

}  // namespace
}  // namespace longhaul::test
