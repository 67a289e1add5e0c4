// Links and peers that fail: what was sent arrives once, or the session ends with a reason.
#include <gtest/gtest.h>

#include <cstdlib>

#include "lib/session/k_search.hpp"
#include "tests/sim/session_world.hpp"

namespace longhaul::test {
namespace {

using session::Lane;
using session::LinkState;

constexpr std::uint64_t kBulk = 12U << 20;

void expect_all(SessionWorld& world, std::uint64_t bytes, Duration limit) {
  EXPECT_TRUE(
      world.run_until([&] { return world.site.service.bytes_in(Lane::kBulk) >= bytes; }, limit))
      << world.site.service.bytes_in(Lane::kBulk);
  EXPECT_EQ(world.site.service.bytes_in(Lane::kBulk), bytes);
  EXPECT_EQ(world.site.service.wrong(), 0U);
  EXPECT_EQ(world.laptop.service.wrong(), 0U);
  world.laptop.session->check();
  world.site.session->check();
}

TEST(SessionFaults, WorkOfAResetConnectionIsTakenOver) {
  SessionWorld world(11);
  world.laptop.service.send_bulk(kBulk);
  world.start();
  world.run_for(1800ms);
  world.laptop.reset_one(session::PathRole::kBulk);
  const auto lost = world.laptop.events_of<session::PathLost>();
  ASSERT_EQ(lost.size(), 1U);
  EXPECT_GT(lost[0].second.requeued_bytes, 0U);
  expect_all(world, kBulk, 20s);
  EXPECT_LE(world.laptop.session->status().requeued_bytes, lost[0].second.requeued_bytes);
}

// A tunnel that takes full segments and says nothing, between kernels that never try smaller ones.
TEST(SessionFaults, ABlackHoleForFullSegmentsIsPassedInSmallOnes) {
  for (const std::uint32_t mtu : {1280U, 1400U}) {
    WorldOptions options;
    options.streams.find_mtu = false;
    SessionWorld world(13, options);
    netsim::LinkConfig link = make_link(options.link);
    for (netsim::DirectionConfig* way : {&link.up, &link.down}) {
      way->mtu_bytes = mtu;
      way->pmtu_reply = false;
    }
    world.wan.reconfigure(world.link, link);
    world.laptop.service.send_bulk(kBulk);
    world.start();
    expect_all(world, kBulk, 60s);
  }
}

// On a slow connection pings and their answers wait behind bulk: what still arrives there is life.
TEST(SessionFaults, ASlowConnectionIsNotASilentOne) {
  WorldOptions options;
  options.link.megabits = 1;
  options.link.queue_bdp = 30;  // 600 ms, as a modem's
  options.link.loss = 0.05;
  SessionWorld world(14, options);
  world.laptop.service.send_bulk(kBulk / 16);
  world.start();
  expect_all(world, kBulk / 16, 120s);
  EXPECT_EQ(world.laptop.events_of<session::PathLost>().size(), 0U);
}

// Its kernel goes on to acknowledge what comes.
TEST(SessionFaults, APeerWhoseProcessStandsStillIsNoticed) {
  for (const std::uint64_t bulk : {std::uint64_t{0}, kBulk}) {
    SessionWorld world(15);
    world.start();
    world.run_for(2s);
    world.laptop.service.send_bulk(bulk);
    world.run_for(200ms);
    const Time stopped = world.wan.now();
    world.site.stop_for(60s);
    ASSERT_TRUE(world.run_until(
        [&] { return world.laptop.service.links().back().second == LinkState::kDown; }, 30s));
    EXPECT_LE(world.wan.now() - stopped, 10s) << bulk;
  }
}

TEST(SessionFaults, HalfOpenPathsAreNoticedAndReplaced) {
  for (const auto way : netsim::kBothWays) {
    SessionWorld world(12);
    world.laptop.service.send_bulk(3 * kBulk);
    world.start();
    world.run_for(2s);
    const Time cut = world.wan.now();
    world.wan.apply(world.link, netsim::Partition{way, 20s});
    ASSERT_TRUE(world.run_until(
        [&] { return world.laptop.service.links().back().second == LinkState::kDown; }, 10s));
    // Two keepalives of 1 s, and what was on its way when the link broke.
    EXPECT_LE(world.wan.now() - cut, 2s + 2 * world.options.link.rtt);
    world.wan.run_until(cut + 20s);
    const auto acked = [&] { return world.laptop.session->status().acked_bytes; };
    const std::uint64_t before = acked();
    ASSERT_TRUE(world.run_until([&] { return acked() > before; }, 3s));
    expect_all(world, 3 * kBulk, 60s);
  }
}

TEST(SessionFaults, BlackoutsOfOneAndTenSecondsLoseNothing) {
  for (const Duration length : {Duration(1s), Duration(10s)}) {
    SessionWorld world(13);
    world.laptop.service.send_bulk(kBulk);
    for (std::uint64_t i = 0; i < 100; ++i) world.laptop.service.send(Lane::kControl, i, 300);
    world.start();
    world.run_for(1500ms);
    world.wan.apply(world.link, netsim::Outage{length});
    expect_all(world, kBulk, length + 20s);
    EXPECT_EQ(world.site.service.numbers(Lane::kControl).size(), 100U);
  }
}

// A kernel without an address refuses a dial at once. While some connections are not known to be
// dead yet, those that are were dialled again without a pause: 4,000 times a second.
TEST(SessionFaults, ANetworkThatIsGoneIsNotAskedWithoutPause) {
  for (const std::uint64_t bulk : {std::uint64_t{0}, 3 * kBulk}) {
    SessionWorld world(23);
    world.laptop.service.send_bulk(bulk);
    world.start();
    world.run_for(2s);
    const std::uint64_t dials = world.laptop.dials;
    world.laptop.offline = true;
    world.wan.apply(world.link, netsim::Outage{10s});
    world.laptop.session->on_addresses_changed(world.laptop.clock());
    world.laptop.drain();
    world.run_for(10s);
    EXPECT_GE(world.laptop.dials - dials, 5U) << bulk;
    EXPECT_LE(world.laptop.dials - dials, 60U) << bulk;
    world.laptop.offline = false;
    world.laptop.session->on_addresses_changed(world.laptop.clock());
    world.laptop.drain();
    world.laptop.service.send_bulk(kBulk);
    expect_all(world, bulk + kBulk, 60s);
  }
}

// A network that carries UDP and refuses all TCP: as many connections as are wanted are missing,
// and asked for ever more seldom.
TEST(SessionFaults, ConnectionsThatAreRefusedBesideDatagramsAreAskedForSeldom) {
  WorldOptions options;
  options.session.datagrams = true;
  options.session.expects_bulk = true;
  SessionWorld world(24, options);
  world.laptop.service.send_endless_bulk(true);
  world.start();
  world.run_for(3s);
  ASSERT_TRUE(world.laptop.session->status().datagrams);
  const std::uint64_t dials = world.laptop.dials;
  world.laptop.offline = true;
  world.laptop.cut_streams();
  world.run_for(60s);
  EXPECT_TRUE(world.laptop.session->status().up);
  EXPECT_GE(world.laptop.dials - dials, 5U);
  EXPECT_LE(world.laptop.dials - dials, 150U);
}

TEST(SessionFaults, TheSameAssociationResumesAfterAllPathsDied) {
  SessionWorld world(14);
  world.laptop.service.send_bulk(kBulk);
  world.start();
  world.run_for(1500ms);
  const auto token = world.laptop.session->association()->token;
  world.laptop.cut_streams();
  world.site.cut_streams();
  expect_all(world, kBulk, 20s);
  EXPECT_EQ(world.laptop.session->association()->token, token);
  const auto established = world.laptop.events_of<session::Established>();
  ASSERT_EQ(established.size(), 2U);
  EXPECT_FALSE(established[0].second.resumed);
  EXPECT_TRUE(established[1].second.resumed);
}

TEST(SessionFaults, APeerThatBeganAnewEndsTheSession) {
  SessionWorld world(15);
  world.laptop.service.send_bulk(10 * kBulk);
  world.start();
  world.run_for(3s);
  world.site.forget_session();
  ASSERT_TRUE(world.run_until([&] { return world.laptop.service.end().has_value(); }, 10s));
  const auto ended = world.laptop.events_of<session::Ended>();
  ASSERT_EQ(ended.size(), 1U);
  EXPECT_EQ(ended[0].second.refused, session::RefuseReason::kNoSession);
  EXPECT_EQ(world.laptop.service.end()->kind(), Kind::kLink);
}

TEST(SessionFaults, P8AKeyThatIsNotPairedIsRefused) {
  SessionWorld world(16);
  world.site.admitted.clear();
  world.start();
  ASSERT_TRUE(world.run_until([&] { return world.laptop.service.end().has_value(); }, 10s));
  EXPECT_EQ(world.laptop.service.end()->kind(), Kind::kAuth);
  EXPECT_EQ(world.site.session, nullptr);
}

TEST(SessionFaults, AnotherServersKeyIsAHardStop) {
  SessionWorld world(17);
  world.site.listen(443);
  world.laptop.dial(netsim::endpoint(world.site_host, 443), crypto::sha256("somebody else"));
  ASSERT_TRUE(world.run_until([&] { return world.laptop.service.end().has_value(); }, 10s));
  EXPECT_EQ(world.laptop.service.end()->kind(), Kind::kAuth);
  EXPECT_EQ(world.site.session, nullptr);
}

// L11: the first connection ends behind each byte of the opening in turn, by RST or FIN of either
// side.
struct Cut {
  const char* name;
  void (*apply)(WorldOptions& options, std::uint64_t at);
};
constexpr Cut kCuts[] = {
    {"ResetAfterSent",
     [](WorldOptions& o, std::uint64_t at) { o.first_dial.emplace().reset_after_sent = at; }},
    {"ResetAfterReceived",
     [](WorldOptions& o, std::uint64_t at) { o.first_dial.emplace().reset_after_received = at; }},
    {"LaptopFinishes", [](WorldOptions& o, std::uint64_t at) { o.laptop_finishes_after = at; }},
    {"SiteFinishes", [](WorldOptions& o, std::uint64_t at) { o.site_finishes_after = at; }},
};

class SessionCuts : public testing::TestWithParam<Cut> {
 protected:
  // Behind every `step`th byte. together: further connections are dialled beside the first.
  static void expect_survived(bool together, std::uint64_t step) {
    constexpr std::uint64_t kOpening = 3200, kBytes = 100'000;
    for (std::uint64_t at = 0; at < kOpening; at += step) {
      WorldOptions options;
      options.session.expects_bulk = together;
      options.link.rtt = 40ms;
      GetParam().apply(options, at);
      SessionWorld world(18, options);
      world.laptop.service.send_bulk(kBytes);
      world.site.service.send(Lane::kControl, 1, 100);
      world.start();
      ASSERT_TRUE(
          world.run_until([&] { return world.site.service.bytes_in(Lane::kBulk) == kBytes; }, 30s))
          << at;
      ASSERT_EQ(world.site.service.wrong(), 0U);
    }
  }
};

// Every byte takes a minute: by default every eighth.
TEST_P(SessionCuts, L11BehindEveryByteOfTheOpeningIsSurvived) {
  expect_survived(false, std::getenv("LONGHAUL_LONG") != nullptr ? 1 : 8);
}

TEST_P(SessionCuts, L11OfTheFirstOfManyConnectionsIsSurvived) {
  expect_survived(true, 29);
}

INSTANTIATE_TEST_SUITE_P(Each, SessionCuts, testing::ValuesIn(kCuts),
                         [](const auto& tested) { return std::string(tested.param.name); });

// Whatever is lost on the way: a Hello that overtakes the first neither ends nor doubles anything.
TEST(SessionFaults, ConnectionsDialledTogetherOpenInAnyOrder) {
  for (std::uint64_t seed = 100; seed < 120; ++seed) {
    WorldOptions options;
    options.link.loss = 0.1;
    options.session.expects_bulk = true;
    SessionWorld world(seed, options);
    world.laptop.service.send_bulk(200'000);
    world.start();
    expect_all(world, 200'000, 60s);
    ASSERT_TRUE(world.run_until(
        [&] { return world.laptop.session->status().bulk_paths == session::kStartPathsBulk; }, 60s))
        << seed;
    ASSERT_EQ(world.laptop.events_of<session::Ended>().size(), 0U);
    ASSERT_FALSE(world.laptop.events_of<session::Established>()[0].second.resumed);
  }
}

TEST(SessionFaults, OneByteAtATimeIsEnough) {
  WorldOptions options;
  options.link.rtt = 40ms;
  options.streams.slice_bytes = 1;
  options.check_every_step = false;  // there are as many steps as bytes
  SessionWorld world(19, options);
  world.laptop.service.send_bulk(64 << 10, 16 << 10);
  world.site.service.send(Lane::kDemand, 5, 20'000);
  world.start();
  expect_all(world, 64 << 10, 30s);
  EXPECT_EQ(world.laptop.service.bytes_in(Lane::kDemand), 20'000U);
}

// L4: a bit that flips behind TCP's checksum is found by TLS, and costs that connection alone.
TEST(SessionFaults, AChangedByteCostsOnlyItsConnection) {
  SessionWorld world(25);
  world.laptop.service.send_bulk(kBulk);
  world.start();
  world.run_for(1s);
  netsim::LinkConfig link = make_link(world.options.link);
  link.up.corrupt = netsim::CorruptConfig{0.0005, true};
  link.down.corrupt = netsim::CorruptConfig{0.0005, true};
  world.wan.reconfigure(world.link, link);
  expect_all(world, kBulk, 120s);
  EXPECT_FALSE(world.laptop.events_of<session::PathLost>().empty());
}

// Time that leaps (a suspended laptop) looks like silence: paths are replaced, nothing expires.
TEST(SessionFaults, AClockThatLeapsCostsOnlyPaths) {
  for (const Duration leap : {Duration(10min), Duration(std::chrono::hours(24))}) {
    SessionWorld world(20);
    world.laptop.service.send_bulk(kBulk);
    world.start();
    world.run_for(1500ms);
    world.laptop.clock_ahead += leap;
    world.laptop.drain();
    expect_all(world, kBulk, 30s);
  }
}

TEST(SessionFaults, P9SameSeedSameRun) {
  const auto run = [](std::uint64_t seed) {
    WorldOptions options;
    options.link.loss = 0.005;
    SessionWorld world(seed, options);
    world.laptop.service.send_bulk(4U << 20);
    world.start();
    world.run_for(4s);
    world.wan.apply(world.link, netsim::Outage{5s});
    world.run_for(12s);
    return std::tuple(world.wan.trace_hash(), world.laptop.output_hash, world.site.output_hash);
  };
  EXPECT_EQ(run(21), run(21));
  EXPECT_NE(run(21), run(22));
}

TEST(SessionFaults, AServiceThatLetsNothingGoStopsTheSender) {
  WorldOptions options;
  options.session.window_bytes = 16U << 20;
  SessionWorld world(23, options);
  world.site.service.keep(true);
  world.laptop.service.send_endless_bulk(true);
  world.start();
  world.run_for(20s);
  EXPECT_LE(world.site.service.bytes_in(Lane::kBulk), options.session.window_bytes);
  world.laptop.service.send(Lane::kUpdate, 1, 100'000);  // what bulk leaves to the urgent lanes
  world.laptop.drain();
  world.run_for(2s);
  EXPECT_EQ(world.site.service.bytes_in(Lane::kUpdate), 100'000U);
}

// While packets are lost, both connections for control say the same.
TEST(SessionFaults, ControlThatComesTwiceCostsNoConnection) {
  WorldOptions options;
  options.link.loss = 0.01;
  SessionWorld world(26, options);
  world.laptop.service.send_endless_bulk(true);
  world.start();
  world.run_for(3s);
  for (std::uint64_t i = 0; i < 300; ++i) {
    world.laptop.service.send(Lane::kControl, i, 200);
    world.laptop.drain();
    world.run_for(40ms);
  }
  world.run_for(2s);
  EXPECT_EQ(world.site.service.numbers(Lane::kControl).size(), 300U);
  EXPECT_GT(world.site.session->status().control_repeats, 100U);
  EXPECT_TRUE(world.site.events_of<session::PathLost>().empty());
  EXPECT_TRUE(world.laptop.events_of<session::PathLost>().empty());
}

// Through ssh a password may have to be typed first.
TEST(SessionFaults, APeerThatNeverAnswersIsGivenUpLaterThanADial) {
  for (const Duration dial_life : {Duration(0s), Duration(60s)}) {
    WorldOptions options;
    options.session.dial_life = dial_life;
    SessionWorld world(25, options);
    world.wan.apply(world.link, netsim::Outage{300s});
    const Time began = world.wan.now();
    world.start();
    const auto ended = [&] { return world.laptop.events_of<session::Ended>(); };
    ASSERT_TRUE(world.run_until([&] { return !ended().empty(); }, 200s));
    EXPECT_EQ(ended()[0].first - began, 30s + dial_life);
    EXPECT_EQ(ended()[0].second.why.attempt(), session::kReachThePeer);
    EXPECT_EQ(ended()[0].second.why.why(), "no answer");
  }
}

TEST(SessionFaults, JobsComeBackToTheirService) {
  struct Nothing final : Work {
    void run() override {}
  };
  SessionWorld world(24);
  world.laptop.service.hand_out(std::make_unique<Nothing>());
  world.start();
  world.run_for(1s);
  EXPECT_EQ(world.laptop.service.jobs_back.size(), 1U);
}

}  // namespace
}  // namespace longhaul::test
