// The controllers against their RFCs, then what they do to a TCP flow.
#include <gmock/gmock.h>

#include "netsim/codel.hpp"
#include "netsim/pie.hpp"
#include "netsim/testing/wan_test.hpp"

namespace netsim {
namespace {

using namespace longhaul;  // literals

constexpr std::uint64_t kBacklog = 100'000;

std::vector<Duration> drops_of(CoDelState& codel, Duration from, Duration until, Duration sojourn) {
  std::vector<Duration> drops;
  for (Duration t = from; t < until; t += 1ms)
    while (codel.should_drop(at(t), sojourn, kBacklog)) drops.push_back(t);
  return drops;
}

TEST(CoDel, DropsAfterAnIntervalThenAtTheInverseSquareRoot) {
  CoDelState codel(CoDel{5ms, 100ms});
  // 100, then + 100, + 70.7, + 57.7, + 50, + 44.7 ms from the times before rounding up to a packet
  EXPECT_THAT(drops_of(codel, 0ms, 450ms, 20ms),
              testing::ElementsAre(100ms, 200ms, 271ms, 329ms, 379ms, 424ms));
}

TEST(CoDel, LetsAShortBurstPass) {
  CoDelState codel(CoDel{5ms, 100ms});
  EXPECT_THAT(drops_of(codel, 0ms, 99ms, 50ms), testing::IsEmpty());
  EXPECT_FALSE(codel.should_drop(at(99ms), 4ms, kBacklog));  // one packet below the target
  EXPECT_THAT(drops_of(codel, 100ms, 199ms, 50ms), testing::IsEmpty());
}

TEST(CoDel, NeverEmptiesTheLine) {
  CoDelState codel(CoDel{5ms, 100ms});
  for (Duration t = 0ms; t < 1s; t += 1ms)
    EXPECT_FALSE(codel.should_drop(at(t), 50ms, 1514));  // no more than one packet waits
}

TEST(CoDel, ResumesNearItsLastRateWhenTheQueueComesBack) {
  CoDelState codel(CoDel{5ms, 100ms});
  const auto first = drops_of(codel, 0ms, 1s, 20ms);
  EXPECT_FALSE(codel.should_drop(at(1s), 1ms, kBacklog));
  const auto second = drops_of(codel, 1s, 2s, 20ms);
  ASSERT_GE(second.size(), 3U);
  EXPECT_LT(second[2] - second[1], 50ms);  // count goes on, where a fresh start would wait 70.7 ms
  EXPECT_GT(second.size(), first.size());
}

double probability_after(PieState& pie, Duration& now, int updates, Duration delay) {
  for (int i = 0; i < updates; ++i) {
    now += 15ms;
    pie.on_departure(at(now), delay);
  }
  return pie.probability();
}

TEST(Pie, MovesTheProbabilityAsTheRfcSays) {
  PieState pie(Pie{}, Time{});
  Duration now{};
  probability_after(pie, now, 1, 35ms);  // the update at 15 ms has seen no delay yet
  EXPECT_EQ(pie.probability(), 0);
  // At 30 ms: alpha * 20 ms + beta * 35 ms, divided by 2048 below 1e-6
  EXPECT_DOUBLE_EQ(probability_after(pie, now, 1, 35ms), (0.125 * 0.020 + 1.25 * 0.035) / 2048);
  // At 45 ms the trend is gone: alpha alone, divided by 128 between 1e-5 and 1e-4
  const double before = pie.probability();
  EXPECT_DOUBLE_EQ(probability_after(pie, now, 1, 35ms), before + 0.125 * 0.020 / 128);
}

TEST(Pie, RisesWhileOverTheTargetAndDecaysWhenIdle) {
  PieState pie(Pie{}, Time{});
  Duration now{};
  const double high = probability_after(pie, now, 2000, 60ms);
  EXPECT_GT(high, 0.1);
  EXPECT_LT(probability_after(pie, now, 2000, 0ms), 1e-6);
}

TEST(Pie, ToleratesABurstThenDropsSpacedOut) {
  PieState pie(Pie{}, Time{});
  Rng rng(1);
  Duration now{};
  for (; now < 149ms; now += 1ms) {
    pie.on_departure(at(now), 100ms);
    EXPECT_EQ(pie.on_arrival(at(now), kBacklog, false, rng), PieState::Verdict::kPass);
  }
  while (pie.probability() < 0.1) probability_after(pie, now, 1, 30ms);
  const double p = pie.probability();
  ASSERT_GT(p, 0.05);
  int drops = 0, gap = 1000, least_gap = 1000;
  for (int i = 0; i < 10'000; ++i, ++gap)
    if (pie.on_arrival(at(now), kBacklog, false, rng) == PieState::Verdict::kDrop) {
      ++drops;
      least_gap = std::min(least_gap, gap);
      gap = 0;
    }
  EXPECT_GE(least_gap * p, 0.85 - p);           // section 5.4: no two drops too close
  EXPECT_NEAR(drops / 10'000.0 / p, 0.6, 0.2);  // spacing costs some of the rate
}

TEST(Pie, MarksWhatCanBeMarkedWhileTheProbabilityIsSmall) {
  PieState pie(Pie{}, Time{});
  Rng rng(1);
  Duration now{};
  while (pie.probability() < 0.05) probability_after(pie, now, 1, 40ms);
  int marks = 0, drops = 0;
  for (int i = 0; i < 1000; ++i) {
    const auto verdict = pie.on_arrival(at(now), kBacklog, true, rng);
    marks += verdict == PieState::Verdict::kMark ? 1 : 0;
    drops += verdict == PieState::Verdict::kDrop ? 1 : 0;
  }
  EXPECT_GT(marks, 0);
  EXPECT_EQ(drops, 0);
}

// ---- A long TCP flow through a bloated queue ----

class Sink : public StreamUser {
 public:
  explicit Sink(Wan& wan) : wan_(wan) {}
  void on_connected(Time, StreamId id) override { on_writable({}, id); }
  void on_writable(Time, StreamId id) override {
    while (wan_.streams().write(id, block_) == block_.size()) {
    }
  }
  void on_bytes(Time, StreamId, Slice bytes) override { received += bytes.size(); }
  void on_closed(Time, StreamId, CloseReason) override {}
  std::uint64_t received = 0;

 private:
  Wan& wan_;
  Slice block_ = Slice::copy_of(ByteVector(64 << 10));
};

struct Settled {
  double queue_ms = 0, utilisation = 0;
  std::uint64_t marked = 0, dropped = 0;
};

Settled flow_through(const QueueConfig& queue, bool ecn) {
  Wan wan(1);
  auto config = wan_of(40ms, 20'000'000);
  config.up.queue = queue;
  const HostId a = wan.add_host("a"), b = wan.add_host("b");
  const LinkId link = wan.connect(a, b, config);
  Sink sender(wan), sink(wan);
  wan.streams().listen(endpoint(b, 1), [&](Time, StreamId, Endpoint) { return &sink; });
  StreamOptions options;
  options.ecn = ecn;
  wan.streams().dial(a, endpoint(b, 1), sender, options);
  wan.run_until(at(20s));
  const std::uint64_t received = sink.received;
  double sum = 0;
  for (int i = 0; i < 2000; ++i) {
    wan.run_for(10ms);
    sum += static_cast<double>(wan.link(link).pipe(Direction::kUp).queue_bytes()) / 2.5e6 * 1e3;
  }
  const auto& counters = wan.link(link).pipe(Direction::kUp).counters();
  return {sum / 2000, static_cast<double>(sink.received - received) / 20 / 2.5e6, counters.marked,
          counters.dropped_for(DropReason::kAqm)};
}

QueueConfig bloated() {
  return QueueConfig{.bytes_max = 5'000'000_B};
}  // two seconds

TEST(Aqm, DropTailLetsAFlowFillTheBuffer) {
  const Settled settled = flow_through(bloated(), false);
  EXPECT_GT(settled.queue_ms, 300);
  EXPECT_GT(settled.utilisation, 0.9);
}

TEST(Aqm, CoDelKeepsTheQueueShortAndTheLineBusy) {
  auto queue = bloated();
  queue.discipline = CoDel{};
  const Settled settled = flow_through(queue, false);
  EXPECT_LT(settled.queue_ms, 20);
  EXPECT_GT(settled.utilisation, 0.8);
  EXPECT_GT(settled.dropped, 0U);
}

TEST(Aqm, PieKeepsTheQueueNearItsTarget) {
  auto queue = bloated();
  queue.discipline = Pie{};
  const Settled settled = flow_through(queue, false);
  EXPECT_LT(settled.queue_ms, 30);
  EXPECT_GT(settled.utilisation, 0.8);
}

TEST(Aqm, WithEcnNothingIsLostAndTheQueueIsAsShort) {
  auto queue = bloated();
  queue.discipline = CoDel{};
  queue.ecn = true;
  const Settled settled = flow_through(queue, true);
  EXPECT_EQ(settled.dropped, 0U);
  EXPECT_GT(settled.marked, 0U);
  EXPECT_LT(settled.queue_ms, 20);
  EXPECT_GT(settled.utilisation, 0.8);
}

}  // namespace
}  // namespace netsim
