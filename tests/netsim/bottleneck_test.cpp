#include "netsim/bottleneck.hpp"

#include <gmock/gmock.h>

#include "netsim/policer.hpp"

namespace netsim {
namespace {

using namespace longhaul;  // literals
using testing::ElementsAre;

Time at(Duration d) {
  return Time(d);
}

class Line {
 public:
  explicit Line(const DirectionConfig& config) : bottleneck_(config, Rng(1), Time{}) {}
  void push(Duration when, std::uint64_t cookie, std::uint32_t bytes, Ecn ecn = Ecn::kNotEct) {
    take(when);
    bottleneck_.push(at(when), {cookie, bytes, ecn}, drops_);
  }
  void collect(Duration until) {
    take(until);
    bottleneck_.check();
  }
  std::vector<std::pair<std::uint64_t, Duration>> exits;
  std::vector<std::uint64_t> dropped;
  int marked = 0;

 private:
  void take(Duration until) {
    while (const auto exit = bottleneck_.advance(at(until), drops_)) {
      exits.emplace_back(exit->cookie, exit->at.time_since_epoch());
      marked += exit->marked ? 1 : 0;
    }
    while (!drops_.empty()) dropped.push_back(drops_.pop().cookie);
  }

  Bottleneck bottleneck_;
  Ring<Drop> drops_;
};

DirectionConfig with_rate(RateConfig rate) {
  DirectionConfig config;
  config.rate = std::move(rate);
  return config;
}

TEST(Bottleneck, LongRunRateErrorIsZero) {
  // 3 bytes a nanosecond do not divide a packet: fractions are carried, not rounded away.
  Line line(with_rate(ConstantRate{BytesPerSecond(2'999'999'999)}));
  for (std::uint64_t i = 0; i < 100'000; ++i) line.push(0s, i, 1000);
  line.collect(1h);
  const std::uint64_t exact_ns = 100'000ULL * 1000 * 1'000'000'000 / 2'999'999'999;
  EXPECT_EQ(line.exits.back().second, Duration(static_cast<std::int64_t>(exact_ns)));
}

TEST(Bottleneck, CountsOverheadPerPacket) {
  Line line(with_rate(ConstantRate{BytesPerSecond(1'000'000), 38}));
  line.push(0s, 1, 62);
  line.push(0s, 2, 962);
  line.collect(1s);
  EXPECT_THAT(line.exits, ElementsAre(std::pair(1, 100us), std::pair(2, 1100us)));
}

TEST(Bottleneck, TracePassesPacketsAtItsOpportunities) {
  Line line(with_rate(TraceRate{{1ms, 1ms, 4ms}, 5ms}));
  line.push(0s, 1, 1504);   // takes the first
  line.push(0s, 2, 752);    // half of the second
  line.push(0s, 3, 752);    // the other half
  line.push(0s, 4, 3000);   // 4 ms and 6 ms, 8 bytes stay
  line.push(0s, 5, 9);      // 8 of them at 6 ms, the ninth with the second opportunity of 6 ms
  line.push(17ms, 6, 100);  // what passed meanwhile is gone
  line.collect(1s);
  EXPECT_THAT(line.exits, ElementsAre(std::pair(1, 1ms), std::pair(2, 1ms), std::pair(3, 1ms),
                                      std::pair(4, 6ms), std::pair(5, 6ms), std::pair(6, 19ms)));
}

TEST(Bottleneck, TraceLeapsOverLongIdleTimes) {
  Line line(with_rate(TraceRate{{2ms}, 3ms}));
  line.push(30h, 1, 100);
  line.collect(31h);
  EXPECT_THAT(line.exits, ElementsAre(std::pair(1, 30h + 2ms)));
}

TEST(Bottleneck, TraceCarriesItsMeanRate) {
  Line line(with_rate(TraceRate{{1ms, 2ms, 2ms, 7ms}, 10ms}));
  for (std::uint64_t i = 0; i < 4000; ++i) line.push(0s, i, 1504);
  line.collect(1h);
  EXPECT_EQ(line.exits.back().second, 999 * 10ms + 7ms);
}

TEST(Bottleneck, DropTailAndDropHeadDifferInWhomTheyHit) {
  auto config = with_rate(ConstantRate{BytesPerSecond(1'000'000)});
  config.queue.packets_max = 2;
  Line tail(config);
  config.queue.discipline = DropHead{};
  Line head(config);
  for (std::uint64_t i = 1; i <= 5; ++i) {
    tail.push(0s, i, 1000);
    head.push(0s, i, 1000);
  }
  tail.collect(1s);
  head.collect(1s);
  EXPECT_THAT(tail.dropped, ElementsAre(4, 5));
  EXPECT_THAT(head.dropped, ElementsAre(2, 3));  // 1 is being sent
}

TEST(Bottleneck, AggregationWaitsThenSendsABurst) {
  auto config = with_rate(ConstantRate{BytesPerSecond(1'000'000)});
  config.aggregation = AggregationConfig{3, 2ms};
  Line line(config);
  for (std::uint64_t i = 1; i <= 4; ++i) line.push(0s, i, 1000);
  line.collect(1s);
  EXPECT_THAT(line.exits, ElementsAre(std::pair(1, 5ms), std::pair(2, 5ms), std::pair(3, 5ms),
                                      std::pair(4, 8ms)));
}

TEST(Policer, AdmitsABurstThenTheRateWithoutAQueue) {
  Policer policer({BytesPerSecond(1'000'000), 3000_B}, Time{});
  int admitted = 0;
  for (int i = 0; i < 5; ++i) admitted += policer.admit(at(0s), 1000) ? 1 : 0;
  EXPECT_EQ(admitted, 3);
  EXPECT_FALSE(policer.admit(at(1ms - 1ns), 1000));
  EXPECT_TRUE(policer.admit(at(1ms), 1000));
  EXPECT_TRUE(policer.admit(at(10h), 3000));  // full again, no more than the burst
  EXPECT_FALSE(policer.admit(at(10h), 1));
}

TEST(Policer, LongRunRateIsExact) {
  Policer policer({BytesPerSecond(999'983), 1500_B}, Time{});
  std::uint64_t bytes = 0;
  for (int i = 0; i < 1'000'000; ++i) bytes += policer.admit(at(i * 10us), 100) ? 100U : 0U;
  EXPECT_NEAR(static_cast<double>(bytes), 9'999'830 + 1500, 100);
}

}  // namespace
}  // namespace netsim
