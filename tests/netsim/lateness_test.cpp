#include "netsim/lateness.hpp"

#include <gtest/gtest.h>

namespace netsim {
namespace {

using std::chrono::microseconds;
using std::chrono::milliseconds;

TEST(Lateness, QuantilesAreWithinOneStep) {
  Lateness late;
  for (int us = 1; us <= 1000; ++us) late.add(microseconds(us));
  EXPECT_EQ(late.count(), 1000U);
  EXPECT_EQ(late.max(), microseconds(1000));
  EXPECT_NEAR(static_cast<double>(late.quantile(0.5).count()), 500e3, 500e3 / 16);
  EXPECT_NEAR(static_cast<double>(late.quantile(0.99).count()), 990e3, 990e3 / 16);
  EXPECT_EQ(late.quantile(1), microseconds(1000));
}

TEST(Lateness, WeightsCountAndEarlyIsNotLate) {
  Lateness late;
  late.add(microseconds(-5), 99);
  late.add(milliseconds(3));
  EXPECT_EQ(late.count(), 100U);
  EXPECT_EQ(late.quantile(0.5), Duration(0));
  EXPECT_EQ(late.mean(), microseconds(30));
}

TEST(Lateness, EveryMagnitudeFallsIntoAStepThatHoldsIt) {
  for (std::int64_t ns = 0; ns < 100'000'000'000; ns = ns * 5 / 4 + 1) {
    Lateness late;
    late.add(Duration(ns));
    late.add(Duration(ns * 4));  // so that the maximum does not hide the step's edge
    const auto edge = late.quantile(0.0).count();
    EXPECT_GE(edge, ns);
    EXPECT_LE(edge, ns + ns / 15);
  }
}

TEST(Lateness, OnePercentOverTheBudgetIsInvalid) {
  Lateness late;
  late.add(microseconds(50), 980);
  late.add(microseconds(900), 20);
  EXPECT_TRUE(invalid_because(late, milliseconds(20)));    // the budget is 0.2 ms
  EXPECT_FALSE(invalid_because(late, milliseconds(158)));  // 1.58 ms
}

TEST(Lateness, OnePacketOverTenMillisecondsIsInvalid) {
  Lateness late;
  late.add(microseconds(50), 1'000'000);
  EXPECT_FALSE(invalid_because(late, milliseconds(158)));
  late.add(milliseconds(11));
  EXPECT_TRUE(invalid_because(late, milliseconds(158)));
}

TEST(Lateness, MergingIsAddingBoth) {
  Lateness a, b;
  a.add(microseconds(10), 3);
  b.add(microseconds(70), 1);
  a.merge(b);
  EXPECT_EQ(a.count(), 4U);
  EXPECT_EQ(a.max(), microseconds(70));
  EXPECT_EQ(a.mean(), microseconds(25));
}

}  // namespace
}  // namespace netsim
