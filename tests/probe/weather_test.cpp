// What a probe says of a link's loss, of its bursts, of jitter and of round trips under load,
// against what the link is made of.
#include <gmock/gmock.h>

#include "tests/probe/probe_world.hpp"

namespace longhaul::test {
namespace {

constexpr std::uint64_t kSeeds = 20;

netsim::LinkConfig calm() {
  netsim::LinkConfig link;
  for (netsim::DirectionConfig* way : {&link.up, &link.down}) {
    way->rate = netsim::ConstantRate{BytesPerSecond::from_bits(50'000'000)};
    way->queue.bytes_max = ByteCount(625'000);  // 100 ms
    way->delay.base = 40ms;
  }
  return link;
}

probe::Figures probed(std::uint64_t seed, const netsim::LinkConfig& link) {
  ProbeWorld world(seed, link);
  EXPECT_TRUE(world.run());
  EXPECT_FALSE(world.prober().error());
  return world.figures();
}

// Of forty intervals of 95 % two may miss by chance, and now and then some more.
void expect_in_interval(const netsim::LossConfig& loss, double share) {
  netsim::LinkConfig link = calm();
  link.up.loss = link.down.loss = loss;
  std::uint64_t held = 0;
  double found = 0;
  for (std::uint64_t seed = 1; seed <= kSeeds; ++seed) {
    const probe::Figures figures = probed(seed, link);
    for (const probe::WayFigures* way : {&figures.up, &figures.down}) {
      ASSERT_TRUE(way->loss);
      EXPECT_LE(way->loss->low, way->loss->value);
      EXPECT_LE(way->loss->value, way->loss->high);
      if (way->loss->low <= share && share <= way->loss->high) ++held;
      found += way->loss->value / (2 * kSeeds);
    }
  }
  EXPECT_GE(held, 2 * kSeeds * 88 / 100) << share;
  EXPECT_NEAR(found, share, share * 0.3);
}

TEST(ProbeLoss, LiesInItsInterval) {
  for (const double share : {0.001, 0.01}) expect_in_interval(netsim::BernoulliLoss{share}, share);
}
TEST(ProbeLoss, OfBurstsLiesInItsInterval) {
  expect_in_interval(netsim::GilbertElliottLoss::of(0.02, 10), 0.02);
}

// An interval that holds everything would hold the truth as well.
TEST(ProbeLoss, OfOnePercentIsToldFromHalfAndFromTwo) {
  netsim::LinkConfig link = calm();
  link.up.loss = netsim::BernoulliLoss{0.01};
  const probe::Figures figures = probed(1, link);
  EXPECT_GT(figures.up.loss->low, 0.005);
  EXPECT_LT(figures.up.loss->high, 0.02);
  EXPECT_LT(figures.down.loss->high, 0.005);  // where nothing was lost
  EXPECT_EQ(figures.down.loss->low, 0);
}

TEST(ProbeLoss, BurstsAreToldFromSingleLosses) {
  double single = 0, ten = 0;
  for (std::uint64_t seed = 1; seed <= kSeeds; ++seed) {
    netsim::LinkConfig link = calm();
    link.up.loss = netsim::BernoulliLoss{0.02};
    link.down.loss = netsim::GilbertElliottLoss::of(0.02, 10);
    const probe::Figures figures = probed(seed, link);
    single += figures.up.loss_burst / kSeeds;
    ten += figures.down.loss_burst / kSeeds;
  }
  EXPECT_NEAR(single, 1, 0.1);
  EXPECT_NEAR(ten, 10, 3);
}

// Excess over the least delay, at each twentieth: of a delay that is even over 10 ms, half a
// millisecond each.
TEST(ProbeJitter, IsThatOfTheLink) {
  netsim::LinkConfig link = calm();
  link.up.delay.jitter = netsim::UniformJitter{5ms};
  link.up.delay.may_reorder = true;
  probe::JitterTable mean{};
  for (std::uint64_t seed = 1; seed <= kSeeds; ++seed) {
    const probe::Figures figures = probed(seed, link);
    ASSERT_TRUE(figures.up.jitter && figures.down.jitter);
    for (std::size_t i = 0; i < mean.size(); ++i) {
      EXPECT_NEAR((*figures.up.jitter)[i], 500.0 * static_cast<double>(i), 2'000) << seed;
      mean[i] += (*figures.up.jitter)[i] / kSeeds;
    }
    EXPECT_LE((*figures.down.jitter)[18], 300);
    EXPECT_GT(figures.up.reordered, 0.01);
    EXPECT_EQ(figures.down.reordered, 0);
  }
  for (std::size_t i = 0; i < mean.size(); ++i)
    EXPECT_NEAR(mean[i], 500.0 * static_cast<double>(i), 500) << i;
}

// Nine tenths of a link leave no queue by themselves. A way that has become longer when the link is
// loaded shows that the two are not the same figure.
TEST(ProbeRoundTrip, UnderLoadIsThatOfTheTimeUnderLoad) {
  const probe::Figures calm_one = probed(1, calm());
  ASSERT_TRUE(calm_one.idle && calm_one.loaded);
  EXPECT_GE(calm_one.loaded->samples, 20U);
  EXPECT_NEAR(calm_one.loaded->p50_ms, calm_one.idle->p50_ms + 1, 1.1);
  EXPECT_LE(calm_one.loaded->p50_ms, calm_one.loaded->p99_ms);

  ProbeWorld world(1, calm());
  world.start();
  ASSERT_TRUE(world.wan().run_until(
      [&world] { return world.prober().stage() >= probe::Prober::Stage::kFillUp; }, 60s));
  world.wan().apply(netsim::LinkId(0), netsim::RouteStep{15ms});
  ASSERT_TRUE(world.run_on());
  const probe::Figures longer = world.figures();
  ASSERT_TRUE(longer.idle && longer.loaded);
  EXPECT_NEAR(longer.idle->least_ms, calm_one.idle->least_ms, 1);
  EXPECT_NEAR(longer.loaded->p50_ms, calm_one.loaded->p50_ms + 30, 2);
}

}  // namespace
}  // namespace longhaul::test
