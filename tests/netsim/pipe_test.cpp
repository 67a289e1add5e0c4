#include "netsim/pipe.hpp"

#include <gmock/gmock.h>

#include <vector>

namespace netsim {
namespace {

using namespace longhaul;  // literals
using longhaul::Rng;
using testing::ElementsAre;

Time at(Duration since_start) {
  return Time(since_start);
}

DirectionConfig slow_line() {  // 1 us a byte, 10 ms away
  DirectionConfig config;
  config.rate = ConstantRate{BytesPerSecond(1'000'000)};
  config.delay.base = 10ms;
  return config;
}

std::vector<std::pair<std::uint64_t, Duration>> arrivals(Pipe& pipe, Time until) {
  std::vector<std::pair<std::uint64_t, Duration>> out;
  while (const auto delivery = pipe.pop(until))
    out.emplace_back(delivery->cookie, delivery->at.time_since_epoch());
  return out;
}

std::vector<std::pair<std::uint64_t, DropReason>> drops(Pipe& pipe) {
  std::vector<std::pair<std::uint64_t, DropReason>> out;
  while (const auto drop = pipe.pop_drop()) out.emplace_back(drop->cookie, drop->why);
  return out;
}

TEST(Pipe, DelaysByQueueThenTransmissionThenPropagation) {
  Pipe pipe(slow_line(), Rng(1), Time{});
  pipe.push(at(0ms), {1, 1000});
  pipe.push(at(0ms), {2, 500});
  pipe.push(at(5ms), {3, 1000});
  EXPECT_THAT(arrivals(pipe, at(1s)),
              ElementsAre(std::pair(1, 11ms), std::pair(2, 11500us), std::pair(3, 16ms)));
  pipe.check();
}

TEST(Pipe, GivesNothingBeforeItsTime) {
  Pipe pipe(slow_line(), Rng(1), Time{});
  pipe.push(at(0ms), {1, 1000});
  EXPECT_FALSE(pipe.pop(at(11ms - 1ns)));
  EXPECT_TRUE(pipe.pop(at(11ms)));
}

TEST(Pipe, DeadlinesLeadToEveryDelivery) {
  auto config = slow_line();
  config.delay.jitter = UniformJitter{4ms};
  config.delay.may_reorder = true;
  Pipe pipe(config, Rng(7), Time{});
  for (std::uint64_t i = 0; i < 100; ++i) pipe.push(at(i * 100us), {i, 1000});
  std::uint64_t seen = 0;
  Time last{};
  while (const auto deadline = pipe.next_deadline()) {
    while (const auto delivery = pipe.pop(*deadline)) {
      EXPECT_EQ(delivery->at, *deadline);  // asked at each deadline, nothing is ever late
      EXPECT_GE(delivery->at, last);
      last = delivery->at;
      ++seen;
    }
  }
  EXPECT_EQ(seen, 100U);
}

TEST(Pipe, LatePushOfTheCallerAddsNothing) {
  Pipe pipe(slow_line(), Rng(1), Time{});
  pipe.push(at(1ms), {1, 100});
  EXPECT_FALSE(pipe.pop(at(5ms)));  // the caller looks at 5 ms,
  pipe.push(at(2ms), {2, 100});     // then learns of a packet that came at 2 ms
  EXPECT_THAT(arrivals(pipe, at(1s)), ElementsAre(std::pair(1, 11100us), std::pair(2, 12100us)));
}

TEST(Pipe, QueueLimitLeavesOutWhatIsSentAndWhatFlies) {
  auto config = slow_line();
  config.queue.bytes_max = 2000_B;
  Pipe pipe(config, Rng(1), Time{});
  for (std::uint64_t i = 1; i <= 5; ++i) pipe.push(at(0ms), {i, 1000});
  EXPECT_THAT(drops(pipe), ElementsAre(std::pair(4, DropReason::kQueueFull),
                                       std::pair(5, DropReason::kQueueFull)));
  pipe.push(at(3ms), {6, 1000});  // all three have left; they still fly
  EXPECT_THAT(drops(pipe), ElementsAre());
  EXPECT_EQ(pipe.counters().queue_bytes_max, 2000U);
}

TEST(Pipe, TooBigIsAnsweredOrVanishes) {
  auto config = slow_line();
  Pipe open(config, Rng(1), Time{});
  open.push(at(0ms), {1, 1501});
  EXPECT_THAT(drops(open), ElementsAre(std::pair(1, DropReason::kTooBig)));
  config.pmtu_reply = false;
  Pipe hole(config, Rng(1), Time{});
  hole.push(at(0ms), {1, 1501});
  EXPECT_THAT(drops(hole), ElementsAre(std::pair(1, DropReason::kBlackHole)));
}

TEST(Pipe, CutLosesWhatIsInsideAndSparesWhatHasArrived) {
  Pipe pipe(slow_line(), Rng(1), Time{});
  pipe.push(at(0ms), {1, 1000});   // arrives at 11 ms
  pipe.push(at(0ms), {2, 1000});   // flies at 11.5 ms
  pipe.push(at(11ms), {3, 1000});  // is being sent
  pipe.push(at(11ms), {4, 1000});  // waits
  pipe.cut(at(11500us));
  pipe.push(at(12ms), {5, 1000});
  EXPECT_THAT(drops(pipe),
              ElementsAre(std::pair(3, DropReason::kOutage), std::pair(4, DropReason::kOutage),
                          std::pair(2, DropReason::kOutage), std::pair(5, DropReason::kOutage)));
  pipe.mend(at(20ms));
  pipe.push(at(20ms), {6, 1000});
  EXPECT_THAT(arrivals(pipe, at(1s)), ElementsAre(std::pair(1, 11ms), std::pair(6, 31ms)));
  pipe.check();
}

TEST(Pipe, ReconfigureKeepsWhatWaitsAndFlies) {
  auto config = slow_line();
  Pipe pipe(config, Rng(1), Time{});
  for (std::uint64_t i = 1; i <= 3; ++i) pipe.push(at(0ms), {i, 1000});
  config.rate = ConstantRate{BytesPerSecond(500'000)};
  config.delay.base = 20ms;
  pipe.reconfigure(at(1500us), config);  // 1 flies, 2 is being sent, 3 waits
  EXPECT_THAT(arrivals(pipe, at(1s)),
              ElementsAre(std::pair(1, 11ms), std::pair(2, 22ms), std::pair(3, 24ms)));
}

TEST(Pipe, CopiesComeBeforeTheOriginal) {
  auto config = slow_line();
  config.duplicate = 1;
  Pipe pipe(config, Rng(1), Time{});
  pipe.push(at(0ms), {9, 1000});
  const auto copy = pipe.pop(at(1s));
  const auto original = pipe.pop(at(1s));
  ASSERT_TRUE(copy && original);
  EXPECT_TRUE(copy->duplicate);
  EXPECT_FALSE(original->duplicate);
  EXPECT_EQ(copy->at, original->at);
  EXPECT_FALSE(pipe.pop(at(1s)));
}

TEST(Pipe, SameSeedGivesTheSameRun) {
  auto config = slow_line();
  config.loss = BernoulliLoss{0.1};
  config.delay.jitter = NormalJitter{3ms};
  config.delay.may_reorder = true;
  const auto run = [&](std::uint64_t seed) {
    Pipe pipe(config, Rng(seed), Time{});
    for (std::uint64_t i = 0; i < 1000; ++i) pipe.push(at(i * 1ms), {i, 100});
    return arrivals(pipe, at(100s));
  };
  EXPECT_EQ(run(1), run(1));
  EXPECT_NE(run(1), run(2));
}

TEST(Pipe, EveryPacketIsAccountedForUnderAllFaultsAtOnce) {
  auto config = slow_line();
  config.loss = GilbertElliottLoss::of(0.05, 4);
  config.queue = QueueConfig{.bytes_max = 20000_B, .packets_max = {}, .discipline = CoDel{}};
  config.policer = PolicerConfig{BytesPerSecond(1'500'000), 30000_B};
  config.aggregation = AggregationConfig{8, 2ms};
  config.delay.jitter = ParetoJitter{2ms, 30ms};
  config.delay.correlation = 0.5;
  config.reorder = {0.05, 8ms};
  config.duplicate = 0.02;
  config.corrupt = {0.01, false};
  Pipe pipe(config, Rng(3), Time{});
  std::vector<int> fate(20000);
  Time now{};
  const auto drain = [&] {
    while (const auto delivery = pipe.pop(now))
      if (!delivery->duplicate) ++fate[delivery->cookie];
    while (const auto drop = pipe.pop_drop()) ++fate[drop->cookie];
    pipe.check();
  };
  for (std::uint64_t i = 0; i < fate.size(); ++i) {
    now = at(i * 900us);
    if (i % 3000 == 2000) pipe.cut(now);
    if (i % 3000 == 2100) pipe.mend(now);
    pipe.push(now, {i, static_cast<std::uint32_t>(100 + i * 37 % 1400)});
    drain();
  }
  now = at(1h);
  drain();
  EXPECT_THAT(fate, testing::Each(1));
  EXPECT_EQ(pipe.packets_inside(), 0U);
}

}  // namespace
}  // namespace netsim
