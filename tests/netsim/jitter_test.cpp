#include "netsim/jitter.hpp"

#include <gmock/gmock.h>

#include <algorithm>
#include <cmath>

#include "netsim/delay_line.hpp"
#include "netsim/integer_math.hpp"
#include "netsim/normal_table.hpp"

namespace netsim {
namespace {

using namespace longhaul;  // literals

struct Sample {
  double mean_ms, deviation_ms, least_ms, most_ms, neighbour_correlation;
};

Sample sample(const DelayConfig& config, int count = 400'000) {
  Jitter jitter(config, Rng(1, "jitter"));
  std::vector<double> ms;
  for (int i = 0; i < count; ++i) ms.push_back(static_cast<double>(jitter.draw().count()) * 1e-6);
  double mean = 0, variance = 0, product = 0;
  for (const double x : ms) mean += x / count;
  for (std::size_t i = 0; i < ms.size(); ++i) {
    variance += (ms[i] - mean) * (ms[i] - mean) / count;
    if (i > 0) product += (ms[i] - mean) * (ms[i - 1] - mean) / count;
  }
  const auto [least, most] = std::minmax_element(ms.begin(), ms.end());
  EXPECT_GE(*least, static_cast<double>(jitter.least().count()) * 1e-6);
  return {mean, std::sqrt(variance), *least, *most, product / variance};
}

DelayConfig far(JitterConfig jitter, double correlation = 0) {
  return {.base = 100ms, .jitter = std::move(jitter), .correlation = correlation};
}

TEST(NormalTable, AgreesWithErf) {
  for (double z = -3.9; z < 4; z += 0.1)
    EXPECT_NEAR(normal_cdf(z), 0.5 * (1 + std::erf(z / std::sqrt(2))), 4e-5) << z;
  for (double u = 0.001; u < 1; u += 0.001)
    EXPECT_NEAR(normal_cdf(normal_quantile(u)), u, 1e-9) << u;
}

TEST(IntegerMath, RootsAreRoots) {
  for (const std::uint64_t x : {0ULL, 1ULL, 3ULL, 4ULL, 99ULL, 1ULL << 62, ~0ULL}) {
    const std::uint64_t r = square_root(x);
    EXPECT_LE(r, r == 0 ? 0 : x / r);
    EXPECT_GT(r + 1, x / (r + 1));
  }
  for (const double x : {1e-12, 0.3, 1.0, 2.0, 12345.0, 9e15}) {
    EXPECT_NEAR(real_square_root(x) / std::sqrt(x), 1, 1e-14);
    EXPECT_NEAR(real_cube_root(x) / std::cbrt(x), 1, 1e-14);
  }
}

TEST(Jitter, UniformSpreadsBothWays) {
  const Sample s = sample(far(UniformJitter{10ms}));
  EXPECT_NEAR(s.mean_ms, 100, 0.05);
  EXPECT_NEAR(s.deviation_ms, 10 / std::sqrt(3), 0.02);
  EXPECT_GE(s.least_ms, 90);
  EXPECT_LE(s.most_ms, 110);
}

TEST(Jitter, NormalHasItsSigmaAndIsCutAtFour) {
  const Sample s = sample(far(NormalJitter{5ms}));
  EXPECT_NEAR(s.mean_ms, 100, 0.05);
  EXPECT_NEAR(s.deviation_ms, 5, 0.05);
  EXPECT_GE(s.least_ms, 80);
  EXPECT_LE(s.most_ms, 120);
}

TEST(Jitter, ParetoHasItsMeanInSpiteOfTheCut) {
  const Sample s = sample(far(ParetoJitter{4ms, 30ms}));
  EXPECT_NEAR(s.mean_ms, 104, 0.05);
  EXPECT_GE(s.least_ms, 100);
  EXPECT_NEAR(s.most_ms, 130, 1e-6);
}

TEST(Jitter, ParetoNormalHasItsSigma) {
  const Sample s = sample(far(ParetoNormalJitter{2ms, 500ms}), 2'000'000);
  EXPECT_NEAR(s.mean_ms, 100, 0.05);
  EXPECT_NEAR(s.deviation_ms, 2, 0.15);  // a heavy tail converges slowly
}

TEST(Jitter, EmpiricalFollowsItsTable) {
  const Sample s = sample(far(EmpiricalJitter{{0ms, 1ms, 2ms, 3ms, 10ms}}));
  EXPECT_NEAR(s.mean_ms, 100 + (0.5 + 1.5 + 2.5 + 6.5) / 4, 0.05);
  EXPECT_LE(s.most_ms, 110);
}

TEST(Jitter, CorrelationLeavesTheDistributionAsItIs) {
  const Sample loose = sample(far(NormalJitter{5ms}));
  const Sample tight = sample(far(NormalJitter{5ms}, 0.8));
  EXPECT_NEAR(loose.neighbour_correlation, 0, 0.01);
  EXPECT_NEAR(tight.neighbour_correlation, 0.8, 0.01);
  EXPECT_NEAR(tight.deviation_ms, loose.deviation_ms, 0.1);
  EXPECT_NEAR(sample(far(ParetoJitter{4ms, 40ms}, 0.6)).mean_ms, 104, 0.1);
}

TEST(Jitter, IsNeverNegative) {
  const Sample s = sample({.base = 1ms, .jitter = NormalJitter{5ms}});
  EXPECT_GE(s.least_ms, 0);
}

int overtakers(bool may_reorder) {
  DirectionConfig config;
  config.delay = far(UniformJitter{10ms});
  config.delay.may_reorder = may_reorder;
  DelayLine line(config, Rng(1));
  PipeCounters counters;
  for (std::uint64_t i = 0; i < 1000; ++i) line.push(Time(i * 1ms), i, false, counters);
  int count = 0;
  std::uint64_t newest = 0;
  Time last{};
  while (const auto delivery = line.pop(Time(1h))) {
    EXPECT_GE(delivery->at, last);
    last = delivery->at;
    count += delivery->cookie < newest ? 1 : 0;
    newest = std::max(newest, delivery->cookie);
  }
  return count;
}

TEST(DelayLine, KeepsTheOrderUnlessAllowedNotTo) {
  EXPECT_EQ(overtakers(false), 0);
  EXPECT_GT(overtakers(true), 300);
}

TEST(DelayLine, HoldsBackTheShareItWasAskedTo) {
  DirectionConfig config;
  config.delay.base = 10ms;
  config.reorder = {0.1, 5ms};
  DelayLine line(config, Rng(1));
  PipeCounters counters;
  for (std::uint64_t i = 0; i < 100'000; ++i) line.push(Time(i * 1ms), i, false, counters);
  std::uint64_t late = 0;
  while (const auto delivery = line.pop(Time(1h))) {
    const Duration delay = delivery->at - Time(delivery->cookie * 1ms);
    EXPECT_TRUE(delay == 10ms || delay == 15ms);
    late += delay == 15ms ? 1U : 0U;
  }
  EXPECT_EQ(late, counters.held_back);
  EXPECT_NEAR(static_cast<double>(late), 10'000, 2.576 * std::sqrt(100'000 * 0.1 * 0.9));
}

}  // namespace
}  // namespace netsim
