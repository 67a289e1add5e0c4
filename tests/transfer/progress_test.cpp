#include "lib/transfer/progress.hpp"

#include <gtest/gtest.h>

namespace longhaul::transfer {
namespace {

constexpr Time kStart = Time{} + 100s;

TEST(RateMeter, KnowsNothingBeforeTheFirstByte) {
  const RateMeter meter;
  EXPECT_EQ(meter.rate(kStart).value(), 0U);
}

TEST(RateMeter, OfASteadyStreamIsItsRate) {
  RateMeter meter;
  Time now = kStart;
  for (int i = 0; i < 80; ++i, now += 100ms) meter.add(now, 100'000);
  EXPECT_NEAR(static_cast<double>(meter.rate(now).value()), 1e6, 5e4);
}

TEST(RateMeter, DividesByItsAgeWhileItIsYoung) {
  RateMeter meter;
  meter.add(kStart, 500'000);
  EXPECT_EQ(meter.rate(kStart).value(), 2'000'000U);  // a quarter of a second at least
  EXPECT_EQ(meter.rate(kStart + 1s).value(), 500'000U);
}

TEST(RateMeter, ForgetsWhatIsFourSecondsOld) {
  RateMeter meter;
  meter.add(kStart, 4'000'000);
  EXPECT_GT(meter.rate(kStart + 3900ms).value(), 0U);
  EXPECT_EQ(meter.rate(kStart + 4s).value(), 0U);
  meter.add(kStart + 60s, 1'000'000);  // slots are used anew
  EXPECT_LE(meter.rate(kStart + 60s).value(), 300'000U);
}

TEST(StageMeter, NamesTheStageOfMostOfTheRecentTime) {
  StageMeter meter;
  EXPECT_EQ(meter.limit(kStart), Stage::kPeer);
  meter.enter(kStart, Stage::kDisk);
  meter.enter(kStart + 3s, Stage::kLink);
  EXPECT_EQ(meter.limit(kStart + 4s), Stage::kDisk);
  EXPECT_EQ(meter.limit(kStart + 6s), Stage::kLink);  // the disk's time is old by now
  meter.enter(kStart + 6s, Stage::kCpu);
  EXPECT_EQ(meter.spent(Stage::kDisk), 3s);
  EXPECT_EQ(meter.spent(Stage::kLink), 3s);
  EXPECT_EQ(meter.spent(Stage::kCpu), 0s);
}

TEST(StageMeter, AfterASleepOnlyTheNewCounts) {
  StageMeter meter;
  meter.enter(kStart, Stage::kDisk);
  meter.enter(kStart + 1h, Stage::kLink);
  meter.enter(kStart + 2h, Stage::kCpu);
  EXPECT_EQ(meter.limit(kStart + 2h + 5s), Stage::kCpu);
}

Progress completed(Progress progress, std::uint64_t bytes_a_second) {
  RateMeter logical;
  const RateMeter wire;
  const StageMeter stages;
  if (bytes_a_second > 0) logical.add(kStart, bytes_a_second);
  complete(progress, kStart + 1s, logical, wire, stages);
  return progress;
}

TEST(Progress, TheTimeLeftIsTheRestAtTheRateOfNow) {
  Progress progress;
  progress.bytes_total = 10'000'000;
  progress.bytes_done = 4'000'000;
  progress.totals_final = true;
  EXPECT_EQ(completed(progress, 2'000'000).remaining, Duration(3s));
  progress.bytes_done = 10'000'000;
  EXPECT_EQ(completed(progress, 2'000'000).remaining, Duration(0s));
}

TEST(Progress, TheTimeLeftIsUnknownWhileTotalsGrowOrNothingMoves) {
  Progress progress;
  progress.bytes_total = 10'000'000;
  EXPECT_FALSE(completed(progress, 2'000'000).remaining.has_value());
  progress.totals_final = true;
  EXPECT_TRUE(completed(progress, 2'000'000).remaining.has_value());
  EXPECT_FALSE(completed(progress, 0).remaining.has_value());
}

}  // namespace
}  // namespace longhaul::transfer
