// How many connections a link wants is found while running, and differs by link.
#include <gtest/gtest.h>

#include <algorithm>
#include <map>

#include "lib/session/k_search.hpp"
#include "tests/sim/questions.hpp"

namespace longhaul::test {
namespace {

using session::Lane;

struct Outcome {
  std::uint32_t wanted;
  double share;  // of the link's payload rate over the last 20 s
};

Outcome run(const LinkShape& shape, std::uint32_t most = 62) {
  WorldOptions options;
  options.link = shape;
  options.session.bulk_paths_max = most;
  SessionWorld world(31, options);
  world.laptop.service.send_endless_bulk(true);
  world.start();
  world.run_for(40s);
  const std::uint64_t before = world.site.service.bytes_in(Lane::kBulk);
  world.run_for(20s);
  const auto bytes = static_cast<double>(world.site.service.bytes_in(Lane::kBulk) - before);
  EXPECT_EQ(world.site.service.wrong(), 0U);
  world.laptop.session->check();
  for (const auto& [at, change] : world.laptop.events_of<session::KChanged>()) {
    EXPECT_FALSE(name_of(change.reason).empty());
  }
  const double most_bytes = static_cast<double>(shape.megabits) * 1e6 / 8 * 20 * 1448 / 1500;
  return {world.laptop.session->status().bulk_wanted, bytes / most_bytes};
}

TEST(SessionLinks, KDiffersAcrossThreeLinks) {
  const Outcome clean = run({.rtt = 158ms, .megabits = 50});
  const Outcome lossy = run({.rtt = 158ms, .megabits = 50, .loss = 0.001});
  const Outcome bad = run({.rtt = 158ms, .megabits = 50, .loss = 0.01});
  EXPECT_EQ(clean.wanted, session::kStartPaths);
  EXPECT_GT(lossy.wanted, clean.wanted);
  EXPECT_GT(bad.wanted, lossy.wanted);
  EXPECT_GT(clean.share, 0.9);
  const Outcome two = run({.rtt = 158ms, .megabits = 50, .loss = 0.01}, 2);
  EXPECT_GT(bad.share, 3 * two.share);  // what the search is good for
}

// From the first second on, on a link of five times as much, whichever path bulk takes.
TEST(SessionLinks, TheUsersLimitHoldsOnBothPaths) {
  for (const bool datagrams : {false, true}) {
    WorldOptions options;
    options.session.rate_limit = BytesPerSecond::from_bits(20'000'000);
    options.session.datagrams = datagrams;
    SessionWorld world(32, options);
    world.laptop.service.send_endless_bulk(true);
    world.start();
    world.run_for(5s);
    const std::uint64_t start = world.site.service.bytes_in(Lane::kBulk);
    EXPECT_LE(start, 12'500'000U * 102 / 100) << datagrams;
    world.run_for(10s);
    const std::uint64_t bytes = world.site.service.bytes_in(Lane::kBulk) - start;
    EXPECT_LE(bytes, 25'000'000U * 102 / 100) << datagrams;
    EXPECT_GE(bytes, 25'000'000U * 90 / 100) << datagrams;
    EXPECT_EQ(world.laptop.session->status().datagrams, datagrams);
  }
}

TEST(SessionLinks, ARememberedLinkStartsWithItsK) {
  WorldOptions options;
  options.session.learned.rate = BytesPerSecond(1'000'000);
  options.session.learned.bulk_paths = 8;
  SessionWorld world(33, options);
  world.start();
  world.run_for(3s);
  EXPECT_EQ(world.laptop.session->status().bulk_paths, 8U);
}

// TCP, TLS, Hello and its answer: one round trip each, for all connections at the same time, and
// data is behind every Hello.
TEST(SessionLinks, WhereMuchIsExpectedAllConnectionsOpenWithTheFirst) {
  WorldOptions options;
  options.session.expects_bulk = true;
  SessionWorld world(35, options);
  world.laptop.service.send_endless_bulk(true);
  world.start();
  const Duration rtt = options.link.rtt;
  world.run_for(3 * rtt + 15ms);
  EXPECT_EQ(world.laptop.session->status().bulk_paths, session::kStartPathsBulk);
  EXPECT_EQ(world.laptop.session->status().control_paths, 2U);
  world.run_for(rtt / 2);  // the first frame is longer than the first flight of 10 packets
  EXPECT_GT(world.site.session->status().partial_bytes, 0U);
}

// P4's formula for TLS, less what cp and syncfs take: bytes at 0.90 and eight round trips. Fourteen
// CUBIC connections whose windows differ must share the rate, or the small ones leave it unused.
TEST(SessionLinks, P4ACold256MiBFillTheLink) {
  for (const double queue_bdp : {1.0, 4.0}) {
    WorldOptions options;
    options.link = {.rtt = 180ms, .megabits = 500, .queue_bdp = queue_bdp};
    options.session.expects_bulk = true;
    SessionWorld world(36, options);
    constexpr std::uint64_t kBytes = 256U << 20;
    world.laptop.service.send_bulk(kBytes);
    world.start();
    const double rate = 62.5e6 * 1448 / 1500;
    const auto bar = Duration(static_cast<std::int64_t>(1e9 * kBytes / (0.90 * rate))) + 8 * 180ms;
    EXPECT_TRUE(
        world.run_until([&] { return world.site.service.bytes_in(Lane::kBulk) >= kBytes; }, bar))
        << queue_bdp << ": " << world.site.service.bytes_in(Lane::kBulk);
  }
}

// A TCP flow of somebody else's on the session's link, with CUBIC and tuned buffers, without an
// end.
class Stranger final : public netsim::StreamUser {
 public:
  explicit Stranger(SessionWorld& world) : streams_(world.wan.streams()) {
    netsim::StreamOptions how;
    how.flow.send_buffer_bytes = how.flow.receive_buffer_bytes = 32U << 20;
    const netsim::Endpoint there = netsim::endpoint(world.site_host, 9);
    streams_.listen(there, [this](Time, netsim::StreamId, netsim::Endpoint) { return this; });
    stream_ = streams_.dial(world.laptop_host, there, *this, how);
  }
  std::uint64_t received() const { return received_; }

  void on_connected(Time, netsim::StreamId) override { fill(); }
  void on_writable(Time, netsim::StreamId) override { fill(); }
  void on_bytes(Time, netsim::StreamId, Slice bytes) override { received_ += bytes.size(); }
  void on_closed(Time, netsim::StreamId, netsim::CloseReason) override {}

 private:
  void fill() {
    while (streams_.write(stream_, zeros_) > 0) {
    }
  }
  netsim::Streams& streams_;
  netsim::StreamId stream_;
  Slice zeros_ = Slice::copy_of(std::string(1U << 20, 0));
  std::uint64_t received_ = 0;
};

// Slow for the sake of others is not slow: a bundle of TLS connections is not tried then, which
// would take from them what the datagrams leave. Seconds 30 to 120.
TEST(SessionLinks, WhatDatagramsLeaveToOthersTlsDoesNotTake) {
  for (const auto mode : {datagram::RateMode::kFair, datagram::RateMode::kBackground}) {
    WorldOptions options;
    options.link = {.rtt = 180ms, .megabits = 50};
    options.session.datagrams = true;
    options.session.expects_bulk = true;
    options.session.rate_mode = mode;
    options.check_every_step = false;
    SessionWorld world(37, options);
    Stranger stranger(world);
    world.run_for(5s);
    world.laptop.service.send_endless_bulk(true);
    world.start();
    world.run_for(30s);
    const std::uint64_t before = stranger.received();
    world.run_for(90s);
    const double share = static_cast<double>(stranger.received() - before) / (90 * 6.25e6);
    EXPECT_GE(share, mode == datagram::RateMode::kFair ? 0.25 : 0.85) << share;
    EXPECT_TRUE(world.laptop.session->status().datagrams);
  }
}

// Round trips over the base of 1,000 control messages over TLS, one each 20 ms, while bulk
// saturates and one packet in a hundred is lost; in order of length.
std::vector<Duration> waits_beside_bulk(std::uint64_t megabits, std::uint64_t seed) {
  WorldOptions options;
  options.link = {.rtt = 180ms, .megabits = megabits, .loss = 0.01};
  SessionWorld world(seed, options);
  Questions questions(world);
  world.laptop.service.send_endless_bulk(true);
  world.start();
  world.run_for(10s);
  for (int i = 0; i < 1000; ++i) questions.ask_and_run(20ms);
  world.run_for(2s);
  std::vector<Duration>& waits = questions.waits;
  EXPECT_EQ(waits.size(), 1000U);
  waits.resize(1000, Duration::max());
  std::sort(waits.begin(), waits.end());
  const session::Status status = world.laptop.session->status();
  EXPECT_EQ(status.control_paths, 4U);
  EXPECT_LE(status.control_paths + status.bulk_paths, 64U);
  return waits;
}

// A control connection that lost a segment waits a round trip for it, and with it all that is sent
// meanwhile. Bar: 50 ms over the base at the 99th percentile.
TEST(SessionLinks, ControlOverTlsIsNotHeldUpByOneLossInAHundred) {
  EXPECT_LE(waits_beside_bulk(500, 37)[990], 50ms);
}

// Where dozens of connections share a slow link, 32 KiB in the socket of each are much of a second
// that no cap holds back: half of all messages waited 82 and 129 ms in two of these worlds. Which
// packets are lost follows from the sizes of a handshake, so from OpenSSL's version; of eight
// worlds one is above with either that this was tried with (165 ms with 3.0, 64 ms with 3.5).
TEST(SessionLinks, ControlOverTlsIsNotHeldUpByTheSocketsOfManyConnections) {
  int held_up = 0;
  for (const std::uint64_t seed : {1U, 2U, 3U, 4U})
    held_up += waits_beside_bulk(20, seed)[500] > 40ms ? 1 : 0;
  EXPECT_LE(held_up, 1);
}

// Ages of a value that is told twenty times a second over TLS, where one segment in a hundred is
// lost, when it is delivered; sorted. And how long nothing newer came, at most.
struct Ages {
  std::vector<Duration> delivered;
  Duration still{};
};

Ages ages_over_tls(bool beside_bulk) {
  WorldOptions options;
  options.link = {.rtt = 180ms, .megabits = 100, .loss = 0.01};
  SessionWorld world(38, options);
  Ages ages;
  std::map<std::uint64_t, Time> sent;
  Time last = Time::max();
  ScriptService values, screen;
  screen.on_each = [&](Time now, Lane, const Slice& message) {
    ages.delivered.push_back(now - sent.at(number_of(message)));
    ages.still = std::max(ages.still, last == Time::max() ? Duration{} : now - last);
    last = now;
  };
  world.laptop.make_second = [&]() -> session::Service& { return values; };
  world.site.make_second = [&]() -> session::Service& { return screen; };
  world.laptop.service.send_endless_bulk(beside_bulk);
  world.start();
  world.run_for(10s);
  for (std::uint64_t i = 0; i < 2000; ++i) {
    sent[i] = world.wan.now();
    values.send(Lane::kLive, i, 600, 1);
    world.laptop.drain();
    world.run_for(50ms);
  }
  std::sort(ages.delivered.begin(), ages.delivered.end());
  return ages;
}

// Bar of the live loop: one way and 250 ms at the 99th percentile.
TEST(SessionLinks, NewestValuesOverTlsDoNotWaitForALostSegment) {
  for (const bool beside_bulk : {false, true}) {
    const Ages ages = ages_over_tls(beside_bulk);
    const std::size_t count = ages.delivered.size();
    ASSERT_GE(count, 800U);
    EXPECT_LE(ages.delivered[count * 99 / 100], 90ms + 250ms) << beside_bulk;
    EXPECT_LE(ages.still, 450ms) << beside_bulk;  // two turns of live values that were lost
  }
}

// Fourteen connections filled the second that its queue holds, were given up one after the other
// for what seemed silence, and what they had carried was sent again by their successors.
TEST(SessionLinks, ASlowLinkOverTlsIsNotFilledWithRepeats) {
  WorldOptions options;
  options.link = {.rtt = 180ms, .megabits = 1};
  options.session.datagrams = false;
  options.session.expects_bulk = true;
  SessionWorld world(31, options);
  netsim::LinkConfig slow = world.wan.link(world.link).config();
  for (netsim::DirectionConfig* way : {&slow.up, &slow.down}) {
    way->rate = netsim::ConstantRate{BytesPerSecond::from_bits(500'000)};
    way->queue.bytes_max = ByteCount(64'000);
  }
  world.wan.reconfigure(world.link, slow);
  world.laptop.service.send_endless_bulk(true);
  world.start();
  world.run_for(120s);
  const std::uint64_t came = world.site.service.bytes_in(Lane::kBulk);
  const auto& up = world.wan.link(world.link).pipe(netsim::Direction::kUp);
  EXPECT_GE(came, 500'000 / 8 * 120 / 2);
  EXPECT_LE(up.counters().bytes_in, came * 22 / 10);
  EXPECT_LE(world.laptop.session->status().bulk_wanted, 4U);
  EXPECT_EQ(world.site.service.wrong(), 0U);
}

TEST(SessionLinks, ALongerRouteIsNoLoss) {
  SessionWorld world(34);
  world.laptop.service.send_endless_bulk(true);
  world.start();
  world.run_for(5s);
  world.wan.apply(world.link, netsim::RouteStep{17ms});
  world.run_for(20s);
  EXPECT_TRUE(world.laptop.events_of<session::LinkDown>().empty());
  EXPECT_TRUE(world.laptop.events_of<session::PathLost>().empty());
}

}  // namespace
}  // namespace longhaul::test
