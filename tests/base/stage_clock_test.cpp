#include "lib/base/stage_clock.hpp"

#include <gtest/gtest.h>

#include <optional>

namespace longhaul {
namespace {

thread_local Duration t_now{};
Duration now() {
  return t_now;
}

struct StageClockTest : testing::Test {
  StageClockTest() { t_now = {}; }
  StageClock clock{&now};
};

TEST_F(StageClockTest, BusyCountsOverlapOnceAndSpentCountsItTwice) {
  std::optional<StageClock::Span> first, second;
  first.emplace(&clock, WorkStage::kHash);
  t_now = 2s;
  second.emplace(&clock, WorkStage::kHash);
  t_now = 3s;
  first.reset();
  t_now = 7s;
  second.reset();
  EXPECT_EQ(clock.at(WorkStage::kHash).busy, 7s);
  EXPECT_EQ(clock.at(WorkStage::kHash).spent, 8s);
}

TEST_F(StageClockTest, IdleTimeBetweenSpansIsNobodys) {
  for (int i = 0; i < 3; ++i) {
    const StageClock::Span span(&clock, WorkStage::kWrite);
    t_now += 1s;
  }
  t_now += 5s;
  { const StageClock::Span span(&clock, WorkStage::kWrite); }
  EXPECT_EQ(clock.at(WorkStage::kWrite).busy, 3s);
  EXPECT_EQ(clock.at(WorkStage::kWrite).spent, 3s);
  EXPECT_EQ(clock.at(WorkStage::kRead).busy, Duration{});
}

}  // namespace
}  // namespace longhaul
