#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <string>
#include <vector>

#include "netsim/relay/core.hpp"

namespace netsim::relay {
namespace {

using namespace std::chrono_literals;
using longhaul::Rng;

// Plays the shell: dials at once, takes everything that is written, and notes what happened when.
class Bench {
 public:
  explicit Bench(std::initializer_list<const char*> words, std::uint64_t seed = 1)
      : core_(config_of(words, {}), Rng(seed), Time{}) {}

  static RelayConfig config_of(std::initializer_list<const char*> words, const RelayConfig& base) {
    std::vector<Assignment> all;
    for (const char* word : words) all.push_back(*parse_assignment(word));
    const auto config = with(base, all);
    EXPECT_TRUE(config) << (config ? "" : config.error().message());
    return *config;
  }

  void accept() {
    id_ = core_.on_accept(now_);
    drain();
  }
  void read(Direction d, std::uint64_t bytes) {
    core_.on_read(now_, id_, d, bytes);
    drain();
  }
  void eof(Direction d) {
    core_.on_eof(now_, id_, d);
    drain();
  }
  void error(Direction d) {
    core_.on_error(now_, id_, d);
    drain();
  }
  void datagram(Direction d, std::uint32_t bytes, std::uint64_t handle) {
    core_.on_datagram(now_, d, bytes, handle);
    drain();
  }
  void set(std::initializer_list<const char*> words) {
    core_.reconfigure(now_, config_of(words, core_.config()));
    drain();
  }
  void run_until(Time until) {
    while (true) {
      const auto next = core_.next_deadline();
      if (!next || *next > until) break;
      now_ = std::max(now_, *next);
      core_.on_deadline(now_);
      drain();
    }
    now_ = until;
    core_.on_deadline(now_);
    drain();
  }
  void run_for(Duration span) { run_until(now_ + span); }

  void drain() {
    while (const auto out = core_.poll_output()) note(*out);
    core_.check();
  }

  void note(const Output& out) {
    const double ms = static_cast<double>((out.at - Time{}).count()) / 1e6;
    const char* way = out.direction == Direction::kUp ? "up" : "down";
    if (out.what == Output::What::kDatagram)
      notes.push_back(fmt::format("{} datagram {} {}", ms, out.handle, way));
    if (out.what == Output::What::kDatagramLost) ++lost;
    if (out.what == Output::What::kRebind) notes.push_back(fmt::format("{} rebind", ms));
    if (out.what != Output::What::kConnection) return;
    const auto& action = out.action;
    const char* where = action.direction == Direction::kUp ? "server" : "client";
    switch (action.what) {
      case Action::What::kDial:
        notes.push_back(fmt::format("{} dial", ms));
        core_.on_dialed(out.at, out.connection, dial_ok);
        return;
      case Action::What::kWrite:
        notes.push_back(fmt::format("{} {} gets {}", ms, where, action.bytes));
        taken[static_cast<std::size_t>(action.direction)] += action.bytes;
        last_write = out.at;
        if (takes) core_.on_written(out.at, out.connection, action.direction, action.bytes);
        return;
      case Action::What::kDiscard:
        core_.on_written(out.at, out.connection, action.direction, action.bytes);
        return;
      case Action::What::kFinish:
        notes.push_back(fmt::format("{} {} eof", ms, where));
        return;
      case Action::What::kReset:
        notes.push_back(fmt::format("{} {} reset", ms, where));
        return;
      case Action::What::kForget:
        notes.push_back(fmt::format("{} over", ms));
        return;
    }
  }

  // Feeds as much as the core has room for until `total` bytes have gone in, then waits for them.
  void transfer(Direction d, std::uint64_t total) {
    std::uint64_t fed = 0;
    const auto& got = taken[static_cast<std::size_t>(d)];
    for (int i = 0; got < total && i < 20'000'000; ++i) {
      const auto bytes = std::min(total - fed, core_.room(id_, d));
      if (bytes > 0) {
        core_.on_read(now_, id_, d, bytes);
        fed += bytes;
        drain();
        continue;
      }
      const auto next = core_.next_deadline();
      ASSERT_TRUE(next) << "stuck at " << got;
      now_ = std::max(now_, *next);
      core_.on_deadline(now_);
      while (const auto out = core_.poll_output()) note(*out);
    }
    ASSERT_EQ(got, total);
  }

  Core core_;
  ConnectionId id_;
  Time now_{};
  bool dial_ok = true, takes = true;
  std::vector<std::string> notes;
  std::array<std::uint64_t, 2> taken{};
  std::uint64_t lost = 0;
  Time last_write{};
};

using Notes = std::vector<std::string>;

TEST(RelayCore, AnIdleLinkPassesEverythingAtOnce) {
  Bench bench({});
  bench.accept();
  bench.read(Direction::kUp, 1'000'000);
  bench.read(Direction::kDown, 7);
  bench.eof(Direction::kUp);
  bench.eof(Direction::kDown);
  EXPECT_EQ(bench.notes, (Notes{"0 dial", "0 server gets 1000000", "0 client gets 7",
                                "0 server eof", "0 client eof", "0 over"}));
}

TEST(RelayCore, TheHandshakeCostsARoundTrip) {
  Bench bench({"rtt=100ms"});
  bench.accept();
  bench.read(Direction::kUp, 1000);   // sent when SYN and SYN-ACK have crossed: 100 ms
  bench.read(Direction::kDown, 500);  // the server may speak when the handshake's ACK is there: 150
  bench.run_until(Time(1s));
  EXPECT_EQ(bench.notes, (Notes{"50 dial", "150 server gets 1000", "200 client gets 500"}));
}

TEST(RelayCore, ARefusedDialResetsTheClientAfterARoundTrip) {
  Bench bench({"rtt=100ms"});
  bench.dial_ok = false;
  bench.accept();
  bench.run_until(Time(1s));
  EXPECT_EQ(bench.notes, (Notes{"50 dial", "100 client reset", "100 over"}));
  EXPECT_EQ(bench.core_.counters().refused, 1U);
}

TEST(RelayCore, ALostSynIsRepeatedAfterASecond) {
  Bench bench({"rtt=100ms", "up.loss=pattern:10000000"});
  bench.accept();
  bench.run_until(Time(5s));
  EXPECT_EQ(bench.notes, (Notes{"1050 dial"}));
}

TEST(RelayCore, TheFirstWindowIsTenSegments) {
  Bench bench({"rtt=100ms"});
  bench.accept();
  bench.read(Direction::kUp, 20 * 1448);
  bench.run_until(Time(1s));
  std::uint64_t first = 0;
  for (const auto& note : bench.notes) first += note.starts_with("150 server gets 1448") ? 1U : 0U;
  EXPECT_EQ(first, 10U);
  EXPECT_EQ(bench.notes.back(), "250 server gets 1448");
  EXPECT_EQ(bench.taken[0], 20U * 1448);
}

TEST(RelayCore, TheRateSerialisesSegments) {
  // 1500 B on the wire at 1.5 MB/s: a millisecond each.
  Bench bench({"rtt=100ms", "up.rate=1.5MB/s", "congestion=none"});
  bench.accept();
  bench.run_until(Time(200ms));
  bench.read(Direction::kUp, 3 * 1448);
  bench.run_until(Time(1s));
  EXPECT_EQ(bench.notes.at(1), "251 server gets 1448");
  EXPECT_EQ(bench.notes.at(2), "252 server gets 1448");
  EXPECT_EQ(bench.notes.at(3), "253 server gets 1448");
}

TEST(RelayCore, ALossStallsTheStreamForARoundTrip) {
  // Up carries SYN, ACK, then data; the 5th packet is the third segment.
  Bench bench({"rtt=100ms", "up.loss=pattern:0000100000000000000000000000000"});
  bench.accept();
  bench.read(Direction::kUp, 10 * 1448);
  bench.run_until(Time(1s));
  EXPECT_EQ(bench.notes.at(1), "150 server gets 1448");
  EXPECT_EQ(bench.notes.at(2), "150 server gets 1448");
  // Three later segments arrive at 150, their acks at 200; the repeat arrives at 250 and frees all
  // eight.
  EXPECT_EQ(bench.notes.at(3), fmt::format("250 server gets {}", 8 * 1448));
  EXPECT_EQ(bench.core_.counters().flows[0].repeats, 1U);
  EXPECT_EQ(bench.core_.counters().flows[0].timeouts, 0U);
}

TEST(RelayCore, ALostTailWaitsForTheTimeout) {
  // One segment, lost: no round trip has been measured, so the timeout is a second.
  Bench bench({"rtt=100ms", "up.loss=pattern:00100000"});
  bench.accept();
  bench.read(Direction::kUp, 100);
  bench.run_until(Time(5s));
  EXPECT_EQ(bench.notes.at(1), "1150 server gets 100");
  EXPECT_EQ(bench.core_.counters().flows[0].timeouts, 1U);
}

TEST(RelayCore, AnOutageStallsAndThenEverythingArrives) {
  Bench bench({"rtt=100ms", "rate=10mbit", "queue=1bdp"});
  bench.accept();
  bench.run_until(Time(1s));
  bench.core_.happen(bench.now_, Outage{2s});
  bench.read(Direction::kUp, 100'000);
  bench.run_until(Time(2900ms));
  EXPECT_EQ(bench.taken[0], 0U);
  bench.run_until(Time(20s));
  EXPECT_EQ(bench.taken[0], 100'000U);
}

TEST(RelayCore, EndsTravelLikeDataAndHalfCloseKeepsTheOtherWay) {
  Bench bench({"rtt=100ms"});
  bench.accept();
  bench.run_until(Time(200ms));
  bench.eof(Direction::kUp);
  bench.run_until(Time(300ms));
  bench.read(Direction::kDown, 10);
  bench.run_until(Time(400ms));
  bench.eof(Direction::kDown);
  bench.run_until(Time(1s));
  EXPECT_EQ(bench.notes, (Notes{"50 dial", "250 server eof", "350 client gets 10", "450 client eof",
                                "450 over"}));
  EXPECT_EQ(bench.core_.connections(), 0U);
}

TEST(RelayCore, AFailedSocketResetsTheOtherSideAfterTheDelay) {
  Bench bench({"rtt=100ms"});
  bench.accept();
  bench.run_until(Time(200ms));
  bench.error(Direction::kUp);
  bench.run_until(Time(1s));
  EXPECT_EQ(bench.notes, (Notes{"50 dial", "250 server reset", "250 over"}));
}

TEST(RelayCore, ASlowReaderClosesTheWindow) {
  Bench bench({"rtt=100ms", "window=64KiB", "congestion=none"});
  bench.takes = false;
  bench.accept();
  bench.read(Direction::kUp, 200'000);
  bench.run_until(Time(10s));
  EXPECT_LE(bench.taken[0], 65'536U);
  EXPECT_GT(bench.taken[0], 65'536U - 1448);
  bench.takes = true;
  bench.core_.on_written(bench.now_, bench.id_, Direction::kUp, bench.taken[0]);
  bench.run_for(10s);
  EXPECT_EQ(bench.taken[0], 200'000U);
}

TEST(RelayCore, SlicesComeAtExactTimes) {
  Bench bench({"slice=100B/10ms"});
  bench.accept();
  bench.run_until(Time(100ms));
  bench.read(Direction::kUp, 250);
  bench.run_until(Time(1s));
  EXPECT_EQ(bench.notes,
            (Notes{"0 dial", "100 server gets 100", "110 server gets 100", "120 server gets 50"}));
}

TEST(RelayCore, ALimitClosesOrResetsAtThatByte) {
  Bench closing({"up.limit=100B"});
  closing.accept();
  closing.read(Direction::kUp, 250);
  EXPECT_EQ(closing.notes,
            (Notes{"0 dial", "0 server gets 100", "0 server eof", "0 client eof", "0 over"}));
  Bench resetting({"up.limit=100B,reset"});
  resetting.accept();
  resetting.read(Direction::kUp, 250);
  EXPECT_EQ(resetting.notes,
            (Notes{"0 dial", "0 server gets 100", "0 server reset", "0 client reset", "0 over"}));
}

TEST(RelayCore, ASlowCloseHoldsTheEndBack) {
  Bench bench({"up.slow-close=2s"});
  bench.accept();
  bench.read(Direction::kUp, 5);
  bench.eof(Direction::kUp);
  bench.run_until(Time(5s));
  EXPECT_EQ(bench.notes, (Notes{"0 dial", "0 server gets 5", "2000 server eof"}));
}

TEST(RelayCore, ABlackholeHoldsUntilItIsTurnedOff) {
  Bench bench({"down.blackhole=yes"});
  bench.accept();
  bench.read(Direction::kDown, 5);
  bench.read(Direction::kUp, 6);
  bench.run_until(Time(5s));
  EXPECT_EQ(bench.notes, (Notes{"0 dial", "0 server gets 6"}));
  bench.set({"down.blackhole=no"});
  EXPECT_EQ(bench.notes.back(), "5000 client gets 5");
}

TEST(RelayCore, HalfCloseAllDiscardsWhatStillComes) {
  Bench bench({});
  bench.accept();
  bench.core_.half_close_all(bench.now_, Direction::kUp);
  bench.drain();
  bench.read(Direction::kUp, 50);
  bench.read(Direction::kDown, 50);
  EXPECT_EQ(bench.notes, (Notes{"0 dial", "0 server eof", "0 client gets 50"}));
}

TEST(RelayCore, ALiveChangeMovesAStreamFromBypassToTheLinkInOrder) {
  Bench bench({});
  bench.accept();
  bench.read(Direction::kUp, 10);
  bench.set({"rtt=100ms"});
  bench.read(Direction::kUp, 20);
  bench.run_until(Time(1s));
  bench.set({"rtt=0"});
  bench.read(Direction::kUp, 30);
  EXPECT_EQ(bench.notes,
            (Notes{"0 dial", "0 server gets 10", "50 server gets 20", "1000 server gets 30"}));
}

TEST(RelayCore, DatagramsCrossTheLink) {
  Bench bench({"rtt=100ms", "up.loss=nth:2"});
  for (std::uint64_t i = 0; i < 4; ++i) bench.datagram(Direction::kUp, 100, i);
  bench.run_until(Time(1s));
  EXPECT_EQ(bench.notes, (Notes{"50 datagram 0 up", "50 datagram 2 up"}));
  EXPECT_EQ(bench.lost, 2U);
  EXPECT_EQ(bench.core_.counters().datagrams_lost[0], 2U);
}

TEST(RelayCore, ThroughputFollowsTheRate) {
  Bench bench({"rtt=20ms", "rate=100mbit", "queue=2bdp"});
  bench.accept();
  bench.transfer(Direction::kUp, 50'000'000);
  const double seconds = static_cast<double>((bench.last_write - Time{}).count()) / 1e9;
  const double wire = 50e6 * 1500 / 1448 / 12.5e6;  // with headers
  EXPECT_GT(seconds, wire);
  EXPECT_LT(seconds, wire * 1.1);
}

TEST(RelayCore, ThroughputUnderLossIsCubics) {
  // RFC 9438, section 5.1: average window 1.054 (RTT/p)^(3/4) segments; here 150 ms and p = 1e-3.
  Bench bench({"rtt=150ms", "up.loss=nth:1000"});
  bench.accept();
  bench.transfer(Direction::kUp, 60'000'000);
  const double seconds = static_cast<double>((bench.last_write - Time{}).count()) / 1e9;
  const double measured = 60e6 / 1448 / seconds * 0.15;  // segments a round trip
  const double expected = 45.2;                          // 1.054 * (0.15 / 1e-3)^0.75
  EXPECT_GT(measured, expected * 0.75);
  EXPECT_LT(measured, expected * 1.25);
}

TEST(RelayCore, TheSameSeedGivesTheSameRun) {
  Notes runs[2];
  for (Notes& run : runs) {
    Bench bench(
        {"rtt=80ms", "jitter=pareto:4ms/30ms", "loss=ge:1%/3", "rate=20mbit", "queue=100ms"}, 7);
    bench.accept();
    bench.transfer(Direction::kDown, 2'000'000);
    run = bench.notes;
  }
  EXPECT_EQ(runs[0], runs[1]);
}

TEST(RelayCore, BytesAreNeitherLostNorMadeInRandomWorlds) {
  for (std::uint64_t seed = 1; seed <= 30; ++seed) {
    Rng rng(seed, "relay worlds");
    const std::string loss = fmt::format("loss={}%", rng.below(8));
    const std::string rtt = fmt::format("rtt={}ms", rng.below(200));
    const std::string rate = fmt::format("rate={}kbit", rng.between(500, 50'000));
    const std::string queue = fmt::format("queue={}p", rng.between(2, 100));
    const std::string jitter = fmt::format("jitter=uniform:{}us", rng.below(5'000));
    SCOPED_TRACE(fmt::format("seed {}: {} {} {} {} {}", seed, loss, rtt, rate, queue, jitter));
    Bench bench(
        {loss.c_str(), rtt.c_str(), rate.c_str(), queue.c_str(), jitter.c_str(), "may-reorder=yes"},
        seed);
    bench.accept();
    bench.transfer(Direction::kUp, 300'000);
    bench.eof(Direction::kUp);
    bench.eof(Direction::kDown);
    bench.run_for(1h);
    EXPECT_EQ(bench.taken[0], 300'000U);
    EXPECT_EQ(bench.core_.connections(), 0U);
  }
}

}  // namespace
}  // namespace netsim::relay
