#include "trainer/schedule.hpp"

#include <gtest/gtest.h>

#include <cmath>

namespace longhaul::trainer {
namespace {

TEST(Schedule, WarmsUpInALine) {
  const Schedule schedule{.kind = ScheduleKind::kConstant, .warmup = 4, .total = 10};
  EXPECT_EQ(schedule.factor(0), 0.25);
  EXPECT_EQ(schedule.factor(3), 1);
  EXPECT_EQ(schedule.factor(1000), 1);
}

TEST(Schedule, CosineFallsToItsFloor) {
  const Schedule schedule{.kind = ScheduleKind::kCosine, .warmup = 10, .total = 110, .floor = 0.1};
  EXPECT_EQ(schedule.factor(10), 1);
  EXPECT_NEAR(schedule.factor(60), 0.55, 1e-12);
  EXPECT_NEAR(schedule.factor(110), 0.1, 1e-12);
  EXPECT_NEAR(schedule.factor(500), 0.1, 1e-12);
}

TEST(Schedule, CoolsDownOverItsLastShare) {
  const Schedule linear{.kind = ScheduleKind::kLinear, .total = 100, .floor = 0, .cooldown = 0.4};
  EXPECT_EQ(linear.factor(59), 1);
  EXPECT_NEAR(linear.factor(80), 0.5, 1e-12);
  const Schedule wsd{.kind = ScheduleKind::kWsd, .total = 100, .floor = 0, .cooldown = 0.4};
  EXPECT_EQ(wsd.factor(59), 1);
  EXPECT_NEAR(wsd.factor(70), 0.5, 1e-12);
  EXPECT_NEAR(wsd.factor(100), 0, 1e-12);
}

TEST(Schedule, KnowsItsNames) {
  EXPECT_EQ(parse_schedule("wsd").value(), ScheduleKind::kWsd);
  EXPECT_EQ(parse_schedule("exponential").error().kind(), Kind::kUsage);
}

}  // namespace
}  // namespace longhaul::trainer
