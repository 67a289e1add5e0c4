// R8: a consumer that lets nothing go, or reads nothing, costs itself alone: the others of its site
// keep their rate, and what it makes anybody hold is bounded by the window.
#include <gtest/gtest.h>

#include <algorithm>

#include "lib/session/lane.hpp"
#include "tests/sim/session_world.hpp"

namespace longhaul::test {
namespace {

using session::Lane;

constexpr std::uint16_t kPort = 443;
constexpr std::size_t kWindow = 16U << 20;
constexpr std::size_t kMessage = 256U << 10;  // of ScriptService's bulk

crypto::Identity key(unsigned number) {
  std::array<std::byte, 32> entropy{};
  entropy[0] = static_cast<std::byte>(number);
  return crypto::Identity::from_entropy(entropy);
}

enum class Slow : std::uint8_t { kNobody, kKeepsAll, kReadsNothing };

struct Case {
  Slow slow = Slow::kNobody;
  bool site_sends = false;
  bool datagrams = false;
};

struct Rates {
  double megabits = 0;                              // of the other
  std::uint64_t kept = 0;                           // of the slow one's bulk, by its consumer
  std::uint64_t unacked_most = 0, queued_most = 0;  // at the slow one's sender
};

// Two laptops and the sessions that one site has with them, with one set of buffers at the site,
// over one link of 40 Mbit/s. Bulk without end goes the same way in both.
class TwoSessions {
 public:
  explicit TwoSessions(const Case& how)
      : how_(how),
        wan_(7),
        laptop_tls_(key(1), {.seeded = true}),
        site_tls_(key(2), {.seeded = true}) {
    options_.session.window_bytes = kWindow;
    options_.session.datagrams = how.datagrams;
    options_.check_every_step = false;
    const netsim::HostId west = wan_.add_host("west"), east = wan_.add_host("east");
    wan_.connect(west, east, make_link({.rtt = 100ms, .megabits = 40}));
    for (Pair* pair : {&slow_, &other_}) {
      const std::uint64_t seed = pair == &slow_ ? 100 : 200;
      const netsim::HostId laptop = wan_.add_host("laptop"), site = wan_.add_host("site");
      wan_.connect(laptop, west, make_link({.rtt = 1ms, .megabits = 1000, .queue_bdp = 8}));
      wan_.connect(east, site, make_link({.rtt = 1ms, .megabits = 1000, .queue_bdp = 8}));
      pair->laptop = std::make_unique<Node>(wan_, laptop, laptop_tls_, options_, seed, laptops_);
      pair->site = std::make_unique<Node>(wan_, site, site_tls_, options_, seed + 1, sites_);
      pair->site->admitted.push_back(laptop_tls_.pin());
      pair->site_host = site;
    }
  }

  Rates run() {
    if (how_.slow != Slow::kNobody) begin(slow_);
    if (how_.slow == Slow::kKeepsAll) to(slow_).service.keep(true);
    run_for(5s);
    if (how_.slow == Slow::kReadsNothing) to(slow_).read_nothing();
    run_for(20s);  // until nothing of it gets on
    begin(other_);
    run_for(10s);
    const std::uint64_t before = to(other_).service.bytes_in(Lane::kBulk);
    run_for(20s);
    const std::uint64_t bytes = to(other_).service.bytes_in(Lane::kBulk) - before;
    rates_.megabits = static_cast<double>(bytes) * 8 / 20e6;
    rates_.kept = to(slow_).service.bytes_in(Lane::kBulk);
    EXPECT_EQ(to(other_).service.wrong() + to(slow_).service.wrong(), 0U);
    return rates_;
  }

  // Both fill the link, then one has nothing more to send: how long until the other has `megabits`,
  // over a second; at most `limit`.
  Duration take_over(double megabits, Duration limit) {
    begin(slow_);
    begin(other_);
    run_for(30s);
    from(slow_).service.send_endless_bulk(false);
    const Time began = wan_.now();
    std::uint64_t before = to(other_).service.bytes_in(Lane::kBulk);
    while (wan_.now() - began < limit) {
      run_for(1s);
      const std::uint64_t now = to(other_).service.bytes_in(Lane::kBulk);
      if (static_cast<double>(now - before) * 8e-6 >= megabits) break;
      before = now;
    }
    return wan_.now() - began;
  }

 private:
  struct Pair {
    netsim::HostId site_host;
    std::unique_ptr<Node> laptop, site;
  };
  Node& from(Pair& pair) { return how_.site_sends ? *pair.site : *pair.laptop; }
  Node& to(Pair& pair) { return how_.site_sends ? *pair.laptop : *pair.site; }
  void begin(Pair& pair) {
    from(pair).service.send_endless_bulk(true);
    pair.site->listen(kPort);
    pair.laptop->dial(netsim::endpoint(pair.site_host, kPort), site_tls_.pin());
  }
  void run_for(Duration span) {
    for (const Time end = wan_.now() + span; wan_.now() < end; wan_.run_for(100ms)) {
      const Node& sender = from(slow_);
      if (sender.session == nullptr) continue;
      const session::Status status = sender.session->status();
      rates_.unacked_most = std::max(rates_.unacked_most, status.unacked_bytes);
      rates_.queued_most = std::max(rates_.queued_most, status.queued_bytes);
    }
  }

  const Case how_;
  WorldOptions options_;
  BufferPool laptops_, sites_;
  netsim::Wan wan_;
  crypto::TlsContext laptop_tls_, site_tls_;
  Pair slow_, other_;
  Rates rates_;
};

TEST(SlowConsumer, R8AnotherSessionKeepsItsRate) {
  for (const bool datagrams : {false, true}) {
    for (const Slow slow : {Slow::kKeepsAll, Slow::kReadsNothing}) {
      const bool site_sends = slow == Slow::kReadsNothing;
      const Rates alone = TwoSessions({Slow::kNobody, site_sends, datagrams}).run();
      const Rates beside = TwoSessions({slow, site_sends, datagrams}).run();
      EXPECT_GE(alone.megabits, 35);
      EXPECT_GE(beside.megabits, 0.95 * alone.megabits) << datagrams << site_sends;
      EXPECT_GT(beside.kept, kWindow / 8);  // it was given something
      EXPECT_LE(beside.unacked_most, kWindow);
      EXPECT_LE(beside.queued_most, session::lane_queue_bytes(Lane::kBulk) + kMessage);
      if (slow == Slow::kKeepsAll) {
        EXPECT_LE(beside.kept, kWindow);
      }
    }
  }
}

// It is looked for every 8 s at most, and taken in one turn of steps that double.
TEST(SlowConsumer, R8WhatOneGivesUpTheOtherTakes) {
  for (const bool site_sends : {false, true}) {
    const Case how{Slow::kNobody, site_sends, false};
    EXPECT_LE(TwoSessions(how).take_over(0.9 * 37, 60s), 8s + 5s) << site_sends;
  }
}

// Beside one that keeps all of its bulk, or alone: when the other service's messages came.
struct Urgent {
  std::vector<Duration> control;  // each on its way
  Duration updates{};             // until the last of 40 MiB was there
};

Urgent send_urgent(bool beside) {
  WorldOptions options;
  options.session.window_bytes = kWindow;
  ScriptService from, to;
  SessionWorld world(9, options);
  world.laptop.make_second = [&]() -> session::Service& { return from; };
  world.site.make_second = [&]() -> session::Service& { return to; };
  world.site.service.keep(beside);
  world.laptop.service.send_endless_bulk(true);
  world.start();
  world.run_for(15s);
  world.laptop.service.send_endless_bulk(beside);
  world.run_for(5s);
  EXPECT_EQ(world.laptop.session->status().waits_for_peer, beside);
  Urgent out;
  for (std::uint64_t i = 0; i < 100; ++i) {
    const Time sent = world.wan.now();
    from.send(Lane::kControl, i, 200);
    world.laptop.drain();
    world.run_for(250ms);
    EXPECT_EQ(to.received().size(), i + 1);
    out.control.push_back(to.received().back().at - sent);
  }
  for (std::uint64_t i = 0; i < 160; ++i) from.send(Lane::kUpdate, i, kMessage);
  const Time began = world.wan.now();
  world.laptop.drain();
  EXPECT_TRUE(world.run_until([&] { return to.bytes_in(Lane::kUpdate) == 40U << 20; }, 60s));
  out.updates = world.wan.now() - began;
  EXPECT_EQ(to.wrong(), 0U);
  if (beside) {
    EXPECT_LE(world.site.service.bytes_in(Lane::kBulk), kWindow);
  }
  return out;
}

// Bulk leaves them kUrgentReserve of the window, which is twice what this link holds.
TEST(SlowConsumer, R8UrgentLanesPassAServiceThatLetsNothingGo) {
  const Urgent alone = send_urgent(false), beside = send_urgent(true);
  const Duration one_way = WorldOptions().link.rtt / 2;
  for (const Duration took : beside.control) EXPECT_LE(took, one_way + 10ms);
  EXPECT_LE(beside.updates * 95, alone.updates * 100);
}

}  // namespace
}  // namespace longhaul::test
