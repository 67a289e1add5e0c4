// A mirror of many attempts, read within any memory.
#include "proxy/daemon/mirror_reading.hpp"

#include <gtest/gtest.h>

#include "lib/feed/history.hpp"
#include "tests/feed/read_all.hpp"
#include "tests/feed/run_writer.hpp"
#include "tests/sim/crash_files.hpp"

namespace longhaul::daemon {
namespace {

std::unique_ptr<feed::Mirror> open_mirror(store::Files& files) {
  return *feed::Mirror::open(files, store::TreeName::known("mirror"));
}

TEST(MirrorReading, IsTheSameInALittleMemory) {
  sim::CrashFiles site, laptop;
  {
    const auto mirror = open_mirror(laptop);
    ASSERT_FALSE(mirror->next().value().has_value());
    for (std::uint32_t attempt = 1; attempt <= 5; ++attempt) {
      test::RunWriter log(site, "r", attempt, "{}", WallTime{1'000 + attempt});
      for (std::uint64_t step = 0; step < 70'000; ++step) log.step(10 * attempt + step);
      log.event(run::EventKind::kApplied, 3, attempt, "lr=0.5");
      for (const auto& one : feed::read_all(site, "r", {attempt, 0, 0}))
        ASSERT_TRUE(mirror->append(one).has_value());
    }
  }
  for (const std::size_t held_most : {std::size_t{1}, std::size_t{100'000}, kMirrorHeldMost}) {
    const auto mirror = open_mirror(laptop);
    const auto reading = read_mirror(*mirror, held_most);
    ASSERT_TRUE(reading.has_value());
    ASSERT_EQ(reading->read.steps.size(), 5U) << held_most;
    for (const auto& [attempt, step] : reading->read.steps)
      EXPECT_EQ(step, 10 * attempt + 69'999) << held_most;
    ASSERT_EQ(reading->read.decided.size(), 5U);
    EXPECT_EQ(reading->read.decided[4].second.id, 5U);
    EXPECT_EQ(reading->began.at(5), WallTime{1'005});
    EXPECT_EQ(reading->read.have.size(), 5U);
    EXPECT_TRUE(reading->read.appends);
  }
}

TEST(MirrorReading, KeepsTheNewestVerdictsOfVeryMany) {
  sim::CrashFiles site, laptop;
  constexpr std::uint64_t kMany = 3 * kDecidedMax;
  const auto mirror = open_mirror(laptop);
  ASSERT_FALSE(mirror->next().value().has_value());
  test::RunWriter log(site, "r", 1);
  for (std::uint64_t id = 1; id <= kMany; ++id)
    log.event(run::EventKind::kApplied, id, id, "pause");
  for (const auto& one : feed::read_all(site, "r", {1, 0, 0}))
    ASSERT_TRUE(mirror->append(one).has_value());
  const auto again = open_mirror(laptop);
  const auto reading = read_mirror(*again);
  ASSERT_TRUE(reading.has_value());
  EXPECT_GE(reading->read.decided.size(), kDecidedMax);
  EXPECT_LT(reading->read.decided.size(), 2 * kDecidedMax);
  EXPECT_EQ(reading->read.decided.back().second.id, kMany);
}

}  // namespace
}  // namespace longhaul::daemon
