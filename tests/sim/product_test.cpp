// Random worlds of the whole product: a random link and a random set of the faults that a stream
// path can meet. Whatever happens, one push publishes exactly its source, over one session.
//
//   LONGHAUL_SEED=17 LONGHAUL_WORLDS=1 product_sim_test --gtest_filter='Worlds/*/0'
//
// runs seed 17 alone. LONGHAUL_WORLDS sets how many there are in all. A failing seed becomes a
// named test.
#include <gtest/gtest.h>

#include <charconv>
#include <cstdlib>
#include <cstring>

#include "tests/sim/product_world.hpp"

namespace longhaul::test {
namespace {

constexpr std::uint64_t kParts = 10;  // entries of ctest, which run side by side
constexpr std::uint64_t kWorlds = 1000;
constexpr std::uint64_t kSeedsPerFault = 20;

std::uint64_t number_of(const char* variable, std::uint64_t otherwise) {
  const char* text = std::getenv(variable);
  std::uint64_t number = otherwise;
  if (text != nullptr) std::from_chars(text, text + std::strlen(text), number);
  return number;
}

void expect_right(std::uint64_t seed, const FaultSet& faults) {
  ProductWorld world(seed, faults);
  if (number_of("LONGHAUL_WORLDS", kWorlds) == 1) std::printf("%s\n", world.told().c_str());
  const std::string wrong = world.run();
  EXPECT_EQ(wrong, "") << "seed " << seed << ": " << world.told();
}

class Worlds : public testing::TestWithParam<std::uint64_t> {};

TEST_P(Worlds, P3APushPublishesExactlyItsSource) {
  const std::uint64_t first = number_of("LONGHAUL_SEED", 1);
  const std::uint64_t worlds = number_of("LONGHAUL_WORLDS", kWorlds);
  for (std::uint64_t seed = first + GetParam(); seed < first + worlds; seed += kParts) {
    Rng rng(seed, "faults");
    expect_right(seed, random_faults(rng));
    if (testing::Test::HasFailure()) {
      std::printf(
          "run it alone: LONGHAUL_SEED=%llu LONGHAUL_WORLDS=1 product_sim_test "
          "--gtest_filter='Worlds/*/0'\n",
          static_cast<unsigned long long>(seed));
      return;
    }
  }
}
// Seeds that once failed.
TEST(OldWorlds, P3Seed25WhereAFullConnectionHadAPingToSend) {
  Rng rng(25, "faults");
  expect_right(25, random_faults(rng));
}
TEST(OldWorlds, P3Seed219WhereABrokenLinkWasTakenForASlowOne) {
  Rng rng(219, "faults");
  expect_right(219, random_faults(rng));
}
TEST(OldWorlds, P3Seed31WhereAChangedByteEndedTheSession) {
  Rng rng(31, "faults");
  expect_right(31, random_faults(rng));
}

INSTANTIATE_TEST_SUITE_P(Worlds, Worlds, testing::Range<std::uint64_t>(0, kParts));

// Each fault by itself, twenty seeds each.
void expect_survived(Fault fault) {
  for (std::uint64_t seed = 1; seed <= kSeedsPerFault; ++seed) {
    expect_right(100'000 + seed, {fault});
    if (testing::Test::HasFailure()) return;
  }
}

TEST(ProductFaults, L1EveryProfile) {
  expect_survived(Fault::kL1Profile);
}
TEST(ProductFaults, L2Loss) {
  expect_survived(Fault::kL2Loss);
}
TEST(ProductFaults, L3ReorderedAndRepeatedPackets) {
  expect_survived(Fault::kL3Reorder);
}
TEST(ProductFaults, L4BitFlipsBehindTheChecksum) {
  expect_survived(Fault::kL4BitFlips);
}
TEST(ProductFaults, L5Blackouts) {
  expect_survived(Fault::kL5Blackout);
}
TEST(ProductFaults, L6OneDirectionDead) {
  expect_survived(Fault::kL6HalfOpen);
}
TEST(ProductFaults, L7APmtuBlackHole) {
  expect_survived(Fault::kL7Pmtu);
}
TEST(ProductFaults, L8ALongerRouteAndBackLosesNoConnection) {
  for (std::uint64_t seed = 1; seed <= kSeedsPerFault; ++seed) {
    ProductWorld world(100'000 + seed, {Fault::kL8Route});
    ASSERT_EQ(world.run(), "") << "seed " << seed << ": " << world.told();
    EXPECT_EQ(world.link_downs(), 0U) << "seed " << seed << ": " << world.told();
  }
}
TEST(ProductFaults, L8ARouteFifteenTimesLonger) {
  expect_survived(Fault::kL8FarRoute);
}
TEST(ProductFaults, L9FromAGigabitToAMegabitAndBack) {
  expect_survived(Fault::kL9Rate);
}
TEST(ProductFaults, L10AHundredToOneWithQueuesOfASecond) {
  expect_survived(Fault::kL10Lopsided);
}
TEST(ProductFaults, L13Rebinding) {
  expect_survived(Fault::kL13Rebinding);
}
TEST(ProductFaults, L11ResetsAndEndsAnywhere) {
  expect_survived(Fault::kL11Cut);
}
TEST(ProductFaults, L12OneByteAtATime) {
  expect_survived(Fault::kL12Slices);
}
TEST(ProductFaults, L16ClocksThatLeapAndDrift) {
  expect_survived(Fault::kL16Clock);
}
TEST(ProductFaults, L17StaleAndRepeatedHandshakes) {
  expect_survived(Fault::kL17Stale);
}

// kill -9 of either side at points all over the life of a session and a push: dialling, TLS,
// greeting, manifest, blocks, seal, publishing, receipt. LONGHAUL_LONG takes every event instead of
// some.
void expect_no_kill_harms(ProductWorld::Side side) {
  constexpr std::uint64_t kPoints = 100, kNever = ~std::uint64_t{0};
  ProductWorld whole(300'000, {});
  ASSERT_EQ(whole.run_killed(side, kNever), "");
  const std::uint64_t events = whole.events();
  ASSERT_GT(events, kPoints);
  const std::uint64_t stride = std::getenv("LONGHAUL_LONG") != nullptr ? 1 : events / kPoints;
  // The last event tells the laptop of the end: nothing is left to be noticed or pushed again.
  for (std::uint64_t at = 1; at + 1 < events; at += stride) {
    ProductWorld world(300'000, {});
    ASSERT_EQ(world.run_killed(side, at), "") << "killed after event " << at << " of " << events;
  }
}

TEST(ProductProcesses, P3R1TheLaptopKilledAnywhereIsFinishedByTheNextPush) {
  expect_no_kill_harms(ProductWorld::Side::kLaptop);
}
TEST(ProductProcesses, P3R1TheSiteKilledAnywhereIsFinishedByTheNextPush) {
  expect_no_kill_harms(ProductWorld::Side::kSite);
}

TEST(ProductFaults, P9TheSameSeedGivesTheSameWorld) {
  const auto run = [](std::uint64_t seed) {
    Rng rng(seed, "faults");
    ProductWorld world(seed, random_faults(rng));
    EXPECT_EQ(world.run(), "");
    return world.trace_hash();
  };
  EXPECT_EQ(run(7), run(7));
  EXPECT_NE(run(7), run(8));
}

}  // namespace
}  // namespace longhaul::test
