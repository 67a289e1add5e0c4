// The fast path inside a session: the same lanes in datagrams, and TLS where they do not pass.
#include <gtest/gtest.h>

#include <algorithm>

#include "tests/sim/session_world.hpp"

namespace longhaul::test {
namespace {

using datagram::Life;
using session::ChoiceReason;
using session::Lane;

WorldOptions fast() {
  WorldOptions options;
  options.session.datagrams = true;
  return options;
}

const session::Status status_of(const Node& node) {
  return node.session->status();
}

void expect_bulk(SessionWorld& world, std::uint64_t bytes, Duration limit) {
  EXPECT_TRUE(
      world.run_until([&] { return world.site.service.bytes_in(Lane::kBulk) >= bytes; }, limit))
      << world.site.service.bytes_in(Lane::kBulk);
  EXPECT_EQ(world.site.service.bytes_in(Lane::kBulk), bytes);
  EXPECT_EQ(world.site.service.wrong(), 0U);
  EXPECT_EQ(world.laptop.service.wrong(), 0U);
  world.laptop.session->check();
  world.site.session->check();
}

// New keys are due while the link is away: the frame that announces them dies with its connection.
TEST(SessionDatagrams, AnEpochThatIsLostWithItsConnectionIsFollowedByTheNext) {
  SessionWorld world(31, fast());
  world.start();
  world.run_for(std::chrono::hours(1));
  const std::uint32_t before = status_of(world.site).epoch;
  world.wan.apply(world.link, netsim::Outage{90s});
  world.run_for(25min);
  EXPECT_FALSE(status_of(world.laptop).ended);
  EXPECT_GT(status_of(world.laptop).epoch, before + 1);
  EXPECT_EQ(status_of(world.site).epoch, status_of(world.laptop).epoch);
  world.laptop.service.send_bulk(1U << 20);
  expect_bulk(world, 1U << 20, 10s);
}

// The dialler's mode is the site's as well: what a pull brings obeys it.
TEST(SessionDatagrams, BothSidesSendInTheDiallersMode) {
  for (const auto mode :
       {datagram::RateMode::kFair, datagram::RateMode::kBackground, datagram::RateMode::kMax}) {
    WorldOptions options = fast();
    options.session.rate_mode = mode;
    SessionWorld world(2, options);
    world.laptop.service.send_bulk(1U << 20);
    world.start();
    expect_bulk(world, 1U << 20, 10s);
    EXPECT_EQ(status_of(world.laptop).datagram_rate.mode, mode);
    EXPECT_EQ(status_of(world.site).datagram_rate.mode, mode);
  }
}

TEST(SessionDatagrams, MessagesOfAllLanesArriveOnce) {
  WorldOptions options = fast();
  options.link.loss = 0.02;
  SessionWorld world(1, options);
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
  EXPECT_EQ(status_of(world.laptop).choice, ChoiceReason::kAnswered);
  EXPECT_GT(status_of(world.laptop).datagram_counters.data_packets_out, 5000U);
}

TEST(SessionDatagrams, ABlockedPortChangesNothingButThePath) {
  WorldOptions options = fast();
  options.udp_blocked = true;
  SessionWorld world(3, options);
  world.laptop.service.send_bulk(12U << 20);
  world.start();
  expect_bulk(world, 12U << 20, 20s);
  EXPECT_EQ(status_of(world.laptop).choice, ChoiceReason::kUnanswered);
  EXPECT_FALSE(status_of(world.laptop).datagrams);
}

TEST(SessionDatagrams, APeerWithoutThemTalksTls) {
  SessionWorld world(4, fast());
  world.options.session.datagrams = false;
  world.site.listen(443);
  world.options.session.datagrams = true;
  world.laptop.service.send_bulk(4U << 20);
  world.laptop.dial(netsim::endpoint(world.site_host, 443), world.site_tls.pin());
  world.options.session.datagrams = false;  // of the site, which begins its session later
  expect_bulk(world, 4U << 20, 20s);
  EXPECT_EQ(status_of(world.laptop).choice, ChoiceReason::kNone);
}

TEST(SessionDatagrams, WhatIsInFlightGoesOverTlsWhenDatagramsDie) {
  SessionWorld world(5, fast());
  world.laptop.service.send_bulk(40U << 20);
  world.start();
  world.run_for(2s);
  ASSERT_EQ(status_of(world.laptop).choice, ChoiceReason::kAnswered);
  world.options.udp_blocked = true;
  world.run_for(1s);
  EXPECT_EQ(status_of(world.laptop).choice, ChoiceReason::kUnanswered);
  world.run_for(3s);
  world.options.udp_blocked = false;  // and back, at the next probe
  world.run_for(1s);
  EXPECT_EQ(status_of(world.laptop).choice, ChoiceReason::kAnswered);
  expect_bulk(world, 40U << 20, 30s);
}

TEST(SessionDatagrams, DatagramsCarryOnWhenEveryConnectionDies) {
  SessionWorld world(6, fast());
  world.laptop.service.send_bulk(30U << 20);
  world.start();
  world.run_for(2s);
  world.laptop.cut_streams();
  world.site.cut_streams();
  EXPECT_TRUE(status_of(world.laptop).up);
  expect_bulk(world, 30U << 20, 20s);
  const auto links = world.laptop.service.links();
  EXPECT_EQ(links.size(), 1U);  // never down
}

TEST(SessionDatagrams, KeysChangeUnderLoad) {
  WorldOptions options = fast();
  options.session.datagram_limits = datagram::KeyLimits{64, 1U << 20, 64};
  SessionWorld world(8, options);
  world.laptop.service.send_bulk(40U << 20);
  world.start();
  expect_bulk(world, 40U << 20, 20s);
  EXPECT_EQ(status_of(world.laptop).choice, ChoiceReason::kAnswered);
  // Each waits for an answer under the last, and for what is late under the one before.
  EXPECT_GE(status_of(world.laptop).key_updates, 3U);
  EXPECT_GE(status_of(world.site).key_updates, 3U);
}

TEST(SessionDatagrams, ARebindingLosesNothing) {
  for (const bool address_too : {false, true}) {
    SessionWorld world(9, fast());
    world.laptop.service.send_bulk(40U << 20);
    world.start();
    world.run_for(2s);
    world.wan.apply(world.link, netsim::Rebind{address_too});
    expect_bulk(world, 40U << 20, 20s);
    EXPECT_GE(status_of(world.site).datagram_counters.address_changes, 1U);
    EXPECT_EQ(status_of(world.laptop).choice, ChoiceReason::kAnswered);
  }
}

constexpr Duration kRtt = 160ms;

// The longest time without a byte of bulk at its receiver, once the NAT before the laptop forgot.
Duration silence_of_a_rebinding(bool up, bool address_too, Duration at) {
  WorldOptions options = fast();
  options.link = {.rtt = kRtt, .megabits = 50};
  options.check_every_step = false;
  SessionWorld world(9, options);
  Node& from = up ? world.laptop : world.site;
  Node& to = up ? world.site : world.laptop;
  constexpr std::size_t kMessage = 16U << 10;  // 3 ms of the link
  from.service.send_bulk(kMessage, kMessage);
  from.service.send_endless_bulk(true);
  world.start();
  world.run_for(4s + at);
  EXPECT_EQ(status_of(world.laptop).choice, ChoiceReason::kAnswered);
  Time last = world.wan.now();
  Duration most{};
  to.service.on_each = [&](Time now, Lane, const Slice&) {
    most = std::max(most, now - last);
    last = now;
  };
  world.wan.apply(world.link, netsim::Rebind{address_too});
  world.run_for(2s);
  EXPECT_EQ(status_of(world.site).datagram_counters.address_changes, 1U);
  EXPECT_EQ(from.service.wrong() + to.service.wrong(), 0U);
  return std::max(most, world.wan.now() - last);
}

// What the laptop sends shows the site at once where it is now. What is sent to it waits for that,
// and for the new address to be proven. Where no acknowledgement was due that could have shown it,
// the laptop asks once the stream has stopped.
TEST(SessionDatagrams, ARebindingCostsAPushNothingAndAPullTwoRoundTrips) {
  for (const bool address_too : {false, true}) {
    EXPECT_LE(silence_of_a_rebinding(true, address_too, {}), 50ms);
    EXPECT_LE(silence_of_a_rebinding(false, address_too, {}), 2 * kRtt + 60ms);
  }
  std::uint64_t longer = 0;
  for (Duration at{}; at < 12ms; at += 400us) {
    const Duration silence = silence_of_a_rebinding(false, false, at);
    EXPECT_LE(silence, 1s) << at / 1us;
    if (silence > 2 * kRtt + 60ms) ++longer;
  }
  EXPECT_LE(longer, 7U) << "of 30";
  EXPECT_GE(longer, 1U) << "no moment without a due acknowledgement was met";
}

// IP bytes that the laptop puts on the link for 40 MiB of bulk, with an outage in the midst; and
// what it had in flight when that began to show.
struct Crossing {
  std::uint64_t bytes = 0, in_flight = 0;
};
Crossing cross(Duration outage) {
  constexpr std::uint64_t kBulk = 40U << 20;
  WorldOptions options = fast();
  options.link = {.rtt = kRtt, .megabits = 100};
  SessionWorld world(13, options);
  world.laptop.service.send_bulk(kBulk);
  world.start();
  world.run_for(2s);
  Crossing seen;
  if (outage > Duration{}) world.wan.apply(world.link, netsim::Outage{outage});
  for (Duration at{}; at < outage; at += 10ms) {
    seen.in_flight =
        std::max(seen.in_flight, status_of(world.laptop).datagram_rate.in_flight.value());
    world.run_for(10ms);
  }
  expect_bulk(world, kBulk, 20s);
  EXPECT_EQ(status_of(world.laptop).choice, ChoiceReason::kAnswered);
  seen.bytes = world.wan.link(world.link).pipe(netsim::Direction::kUp).counters().bytes_in;
  return seen;
}

TEST(SessionDatagrams, P3AfterAnOutageOnlyWhatWasInFlightGoesAgain) {
  const Crossing whole = cross({});
  for (const Duration outage : {Duration(1s), Duration(10s), Duration(60s)}) {
    const Crossing cut = cross(outage);
    const auto probes = static_cast<std::uint64_t>(20'000 + 2'000 * (outage / 1s));  // and dials
    EXPECT_LE(cut.bytes, whole.bytes + cut.in_flight * 101 / 100 + probes) << outage / 1s;
    EXPECT_GE(cut.bytes, whole.bytes + cut.in_flight / 2) << outage / 1s;  // or nothing was cut
  }
}

// Many NATs forget a UDP port by which nothing left for 30 s. What the site says then must not have
// to wait for the laptop to speak.
TEST(SessionDatagrams, AnIdleSessionKeepsTheNatsMapping) {
  SessionWorld world(12, fast());
  world.wan.forget_idle_mappings(world.link, 30s);
  world.start();
  world.run_for(10s);
  const session::Status before = status_of(world.site);
  ASSERT_EQ(before.datagram_life, Life::kAlive);
  for (std::uint64_t i = 0; i < 5; ++i) {
    world.run_for(2min + 7s);
    world.site.service.send(Lane::kControl, i, 100);
    world.site.drain();
    world.run_for(1s);
    EXPECT_EQ(world.laptop.service.numbers(Lane::kControl).size(), i + 1);
  }
  const session::Status after = status_of(world.site);
  EXPECT_EQ(after.datagram_counters.address_changes, before.datagram_counters.address_changes);
  EXPECT_EQ(after.datagram_counters.lost, before.datagram_counters.lost);
  EXPECT_EQ(after.datagram_counters.stalls, before.datagram_counters.stalls);
}

TEST(SessionDatagrams, P9SameSeedSameRun) {
  const auto run = [](std::uint64_t seed) {
    WorldOptions options = fast();
    options.link.loss = 0.01;
    SessionWorld world(seed, options);
    world.laptop.service.send_bulk(4U << 20);
    world.start();
    world.run_for(8s);
    return std::tuple(world.wan.trace_hash(), world.laptop.output_hash, world.site.output_hash);
  };
  EXPECT_EQ(run(21), run(21));
  EXPECT_NE(run(21), run(22));
}

// A control message in a pulse says nothing about how much there is to send; and what is in flight
// when the link slows down does not keep control from going.
TEST(SessionDatagrams, FollowsTheLinkDownAndUpAgainBesideControl) {
  WorldOptions options = fast();
  options.link = {.rtt = 180ms, .megabits = 200};
  SessionWorld world(5, options);
  world.laptop.service.send_endless_bulk(true);
  world.start();
  std::uint64_t sent = 0;
  const auto run = [&](Duration span) {
    for (Duration at{}; at < span; at += 20ms) {
      world.laptop.service.send(Lane::kControl, sent++, 64);
      world.laptop.drain();
      world.run_for(20ms);
    }
  };
  const auto rate = [&world](std::uint64_t megabits) {
    const auto to = BytesPerSecond::from_bits(megabits * 1'000'000);
    world.wan.apply(world.link, netsim::RateStep{netsim::Direction::kUp, netsim::ConstantRate{to}});
  };
  run(5s);
  rate(8);
  run(8s);
  rate(200);
  run(2500ms + 2 * 180ms);
  const std::uint64_t before = world.site.service.bytes_in(Lane::kBulk);
  run(1s);
  EXPECT_GE(world.site.service.bytes_in(Lane::kBulk) - before, 25'000'000U * 90 / 100);
  EXPECT_GE(world.site.service.bytes_in(Lane::kControl), (sent - 20) * 64);
}

// The sending process stands still, as under a debugger or on a busy host: what was acknowledged
// meanwhile waits in its socket. Nothing of it is lost, nothing is said twice, and no burst fills
// the link's queue afterwards.
TEST(SessionDatagrams, ASenderThatStoodStillLosesNothingAndGoesOnAtItsRate) {
  for (const Duration stop : {Duration(100ms), Duration(500ms), Duration(1s), Duration(5s)}) {
    WorldOptions options = fast();
    options.link = {.rtt = 160ms, .megabits = 100};
    SessionWorld world(9, options);
    world.laptop.service.send_endless_bulk(true);
    world.start();
    world.run_for(6s);
    const session::Status before = status_of(world.laptop);
    ASSERT_TRUE(before.datagrams);
    world.laptop.stop_for(stop);
    world.run_for(stop);
    std::uint64_t bytes = world.site.service.bytes_in(Lane::kBulk);
    world.run_for(3s);
    bytes = world.site.service.bytes_in(Lane::kBulk) - bytes;
    const session::Status after = status_of(world.laptop);
    const double seconds = static_cast<double>(stop.count()) * 1e-9;
    EXPECT_EQ(after.datagram_counters.lost, before.datagram_counters.lost) << seconds;
    EXPECT_EQ(after.datagram_counters.stalls, before.datagram_counters.stalls) << seconds;
    EXPECT_EQ(after.requeued_bytes, before.requeued_bytes) << seconds;
    // Half a round trip until the first of it comes.
    EXPECT_GE(static_cast<double>(bytes), 0.85 * 12.5e6 * 2.9) << seconds;
    EXPECT_GE(after.datagram_rate.capacity.value(), 11'500'000U) << seconds;
  }
}

// Its keys are due anew after each leap; the site's clock saw seconds pass.
TEST(SessionDatagrams, NewKeysMayBeDueTwiceAtOnceButNotWithoutEnd) {
  SessionWorld world(11, fast());
  world.start();
  world.run_for(2s);
  for (std::uint32_t leap = 1; leap <= 2; ++leap) {
    world.laptop.clock_ahead += std::chrono::hours(2);
    world.laptop.wake();
    ASSERT_TRUE(world.run_until([&] { return status_of(world.site).epoch == leap; }, 4s)) << leap;
  }
  world.laptop.service.send_bulk(1U << 20);
  expect_bulk(world, 1U << 20, 10s);
  const auto ends = [&world] { return world.site.events_of<session::Ended>(); };
  EXPECT_TRUE(ends().empty());
  for (int leap = 0; leap < 20 && ends().empty(); ++leap) {
    world.laptop.clock_ahead += std::chrono::hours(2);
    world.laptop.wake();
    world.run_for(1s);
  }
  ASSERT_EQ(ends().size(), 1U);
  EXPECT_EQ(ends()[0].second.why.kind(), Kind::kLimit);
  EXPECT_LE(status_of(world.site).epoch, 2U + 8U + 4U);
}

}  // namespace
}  // namespace longhaul::test
