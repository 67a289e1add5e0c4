#include "lib/run/curve.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <limits>

#include "lib/base/rng.hpp"

namespace longhaul::run {
namespace {

Curve random_curve(std::size_t points, Rng& rng) {
  Curve curve;
  std::uint64_t step = 0;
  for (std::size_t i = 0; i < points; ++i) {
    step += 1 + rng.below(3);
    curve.append(step, rng.chance(0.01) ? std::numeric_limits<double>::quiet_NaN()
                                        : std::sin(static_cast<double>(i) / 50) + rng.unit());
  }
  return curve;
}

TEST(Curve, ColumnsAreThoseOfThePointsThemselves) {
  Rng rng(1, "curve");
  for (int round = 0; round < 100; ++round) {
    const Curve curve = random_curve(rng.below(3000), rng);
    const std::uint64_t from = rng.below(500), to = from + rng.below(9000);
    const std::size_t count = 1 + rng.below(90);
    const auto columns = curve.columns(from, to, count);
    ASSERT_EQ(columns.size(), count);
    for (std::size_t i = 0; i < count && to > from; ++i) {
      const std::uint64_t a = from + (to - from) * i / count,
                          b = from + (to - from) * (i + 1) / count;
      Extremes expected;
      for (const CurvePoint& p : curve.points()) {
        if (p.step < a || p.step >= b) continue;
        ++expected.points;
        if (!std::isfinite(p.value)) continue;
        expected.least = expected.finite == 0 ? p.value : std::min(expected.least, p.value);
        expected.greatest = expected.finite == 0 ? p.value : std::max(expected.greatest, p.value);
        ++expected.finite;
      }
      ASSERT_EQ(columns[i].points, expected.points);
      ASSERT_EQ(columns[i].finite, expected.finite);
      if (expected.finite > 0) {
        ASSERT_EQ(columns[i].least, expected.least);
        ASSERT_EQ(columns[i].greatest, expected.greatest);
      }
    }
  }
}

TEST(Curve, AStepThatGoesBackDrawsOverWhatWasBehindIt) {
  Curve curve;
  for (std::uint64_t step = 0; step < 1000; ++step) curve.append(step, 1);
  for (std::uint64_t step = 600; step < 700; ++step) curve.append(step, 2);
  ASSERT_EQ(curve.size(), 700U);
  EXPECT_EQ(curve.columns(0, 600, 1)[0].greatest, 1);
  EXPECT_EQ(curve.columns(600, 1000, 1)[0].least, 2);
  EXPECT_EQ(curve.columns(600, 1000, 1)[0].points, 100U);
}

TEST(Curve, ThinKeepsSpikesAndEnds) {
  Rng rng(2, "thin");
  Curve curve = random_curve(20'000, rng);
  const std::uint64_t last = curve.points().back().step;
  curve.append(last + 1, 100);  // a spike of one point
  for (int i = 0; i < 5000; ++i) curve.append(last + 2 + static_cast<std::uint64_t>(i), 0.5);
  const auto thin = curve.thin(0, last + 10'000, 400);
  EXPECT_LE(thin.size(), 400U);
  EXPECT_GE(thin.size(), 300U);
  const auto higher = [](const CurvePoint& a, const CurvePoint& b) { return a.value < b.value; };
  EXPECT_EQ(std::max_element(thin.begin(), thin.end(), higher)->value, 100);
  EXPECT_EQ(thin.back(), curve.points().back());
  for (std::size_t i = 1; i < thin.size(); ++i) EXPECT_LT(thin[i - 1].step, thin[i].step);
  EXPECT_EQ(curve.thin(5, 20, 100).size(), [&] {  // few enough: all of them
    std::size_t n = 0;
    for (const CurvePoint& p : curve.points())
      n += p.step >= 5 && p.step < 20 && std::isfinite(p.value);
    return n;
  }());
}

}  // namespace
}  // namespace longhaul::run
