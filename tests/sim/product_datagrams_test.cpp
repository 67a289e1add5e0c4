// Random worlds of the whole product with the fast path: every fault of the checklist, on datagrams
// and on the connections beside them. Whatever happens, one push publishes exactly its source, over
// one session, and what is stale, forged or sent to the wrong place changes nothing. In the same
// session a run is watched and steered: each of its points comes once, its command takes effect
// once.
//
//   LONGHAUL_SEED=17 LONGHAUL_WORLDS=1 product_datagrams_test --gtest_filter='*DatagramWorlds*/0'
//
// runs seed 17 alone, and '*HealedWorlds*/0' the one in which all faults end and the rest must be
// done in time. LONGHAUL_WORLDS sets how many there are in all. A failing seed becomes a
// named test.
#include <gtest/gtest.h>

#include <charconv>
#include <cstdlib>
#include <cstring>

#include "tests/sim/product_world.hpp"

namespace longhaul::test {
namespace {

constexpr std::uint64_t kParts = 10;  // entries of ctest, which run side by side
constexpr std::uint64_t kSeedsPerFault = 20;
constexpr std::uint64_t kWorlds = 1000, kHealedWorlds = 200;

std::uint64_t number_of(const char* variable, std::uint64_t otherwise) {
  const char* text = std::getenv(variable);
  std::uint64_t number = otherwise;
  if (text != nullptr) std::from_chars(text, text + std::strlen(text), number);
  return number;
}

void expect_right(std::uint64_t seed, const FaultSet& faults) {
  ProductWorld world(seed, faults, true);
  if (number_of("LONGHAUL_WORLDS", kWorlds) == 1) std::printf("%s\n", world.told().c_str());
  const std::string wrong = world.run();
  EXPECT_EQ(wrong, "") << "seed " << seed << ": " << world.told();
}

class DatagramWorlds : public testing::TestWithParam<std::uint64_t> {};

TEST_P(DatagramWorlds, P3APushPublishesExactlyItsSource) {
  const std::uint64_t first = number_of("LONGHAUL_SEED", 1);
  const std::uint64_t worlds = number_of("LONGHAUL_WORLDS", kWorlds);
  for (std::uint64_t seed = first + GetParam(); seed < first + worlds; seed += kParts) {
    Rng rng(seed, "faults");
    expect_right(seed, random_faults_of_all(rng));
    if (testing::Test::HasFailure()) {
      std::printf(
          "run it alone: LONGHAUL_SEED=%llu LONGHAUL_WORLDS=1 product_datagrams_test "
          "--gtest_filter='*DatagramWorlds*/0'\n",
          static_cast<unsigned long long>(seed));
      return;
    }
  }
}
INSTANTIATE_TEST_SUITE_P(Worlds, DatagramWorlds, testing::Range<std::uint64_t>(0, kParts));

// Liveness: once all is well the rest takes no longer than a stated time.
void expect_in_time(std::uint64_t seed, const FaultSet& faults, std::uint64_t* under_way) {
  ProductWorld world(seed, faults, true);
  if (number_of("LONGHAUL_WORLDS", kHealedWorlds) == 1) std::printf("%s\n", world.told().c_str());
  const std::string wrong = world.run_healed();
  EXPECT_EQ(wrong, "") << "seed " << seed << ": " << world.told();
  if (world.was_under_way()) ++*under_way;
}

class HealedWorlds : public testing::TestWithParam<std::uint64_t> {};

TEST_P(HealedWorlds, P3WhatIsLeftIsDoneInTime) {
  const std::uint64_t first = number_of("LONGHAUL_SEED", 300'001);
  const std::uint64_t worlds = number_of("LONGHAUL_WORLDS", kHealedWorlds);
  std::uint64_t under_way = 0;
  for (std::uint64_t seed = first + GetParam(); seed < first + worlds; seed += kParts) {
    Rng rng(seed, "faults");
    expect_in_time(seed, random_faults_of_all(rng), &under_way);
    if (testing::Test::HasFailure()) {
      std::printf(
          "run it alone: LONGHAUL_SEED=%llu LONGHAUL_WORLDS=1 product_datagrams_test "
          "--gtest_filter='*HealedWorlds*/0'\n",
          static_cast<unsigned long long>(seed));
      return;
    }
  }
  EXPECT_GE(under_way, worlds / kParts / 4);  // or nothing was shown
}
INSTANTIATE_TEST_SUITE_P(Healed, HealedWorlds, testing::Range<std::uint64_t>(0, kParts));

// Each fault by itself, twenty seeds each.
class DatagramFaults : public testing::TestWithParam<Fault> {};

TEST_P(DatagramFaults, P3IsSurvived) {
  for (std::uint64_t seed = 1; seed <= kSeedsPerFault; ++seed) {
    expect_right(200'000 + seed, {GetParam()});
    if (testing::Test::HasFailure()) return;
  }
}
TEST_P(DatagramFaults, P3WhatIsLeftIsDoneInTimeOnceItIsOver) {
  std::uint64_t under_way = 0;
  for (std::uint64_t seed = 1; seed <= kSeedsPerFault; ++seed) {
    expect_in_time(400'000 + seed, {GetParam()}, &under_way);
    if (testing::Test::HasFailure()) return;
  }
  EXPECT_GE(under_way, kSeedsPerFault / 5);
}
std::string word_of(const testing::TestParamInfo<Fault>& info) {
  std::string word;
  for (const char c : name_of(info.param)) {
    if (std::isalnum(static_cast<unsigned char>(c)) != 0) word += c;
  }
  return word;
}
std::vector<Fault> all_faults() {
  std::vector<Fault> all;
  for (std::size_t i = 0; i < kFaults; ++i) all.push_back(static_cast<Fault>(i));
  return all;
}
INSTANTIATE_TEST_SUITE_P(All, DatagramFaults, testing::ValuesIn(all_faults()), word_of);

// Its laptop's clock leaps by 23 hours twice in three seconds; the second new keys ended the
// session.
TEST(DatagramFault, Seed8WhereNewKeysCameTooSoon) {
  Rng rng(8, "faults");
  expect_right(8, random_faults_of_all(rng));
}

TEST(DatagramFault, P9TheSameSeedGivesTheSameWorld) {
  const auto run = [](std::uint64_t seed) {
    Rng rng(seed, "faults");
    ProductWorld world(seed, random_faults_of_all(rng), true);
    EXPECT_EQ(world.run(), "");
    return world.trace_hash();
  };
  EXPECT_EQ(run(7), run(7));
  EXPECT_NE(run(7), run(8));
}

}  // namespace
}  // namespace longhaul::test
