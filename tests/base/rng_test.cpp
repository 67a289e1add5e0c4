#include "lib/base/rng.hpp"

#include <gtest/gtest.h>

namespace longhaul {
namespace {

// The stream is part of every recorded trace and failing seed: it must never change.
TEST(Rng, GivesTheSameNumbersForEver) {
  Rng rng(1, "loss.up");
  EXPECT_EQ(rng.next(), Rng(1, "loss.up").next());
  Rng plain(0);
  EXPECT_EQ(plain.next(), 0x99ec5f36cb75f2b4U);  // xoshiro256** seeded by SplitMix64(0)
  EXPECT_EQ(plain.next(), 0xbf6e1f784956452aU);
}

TEST(Rng, StreamsDoNotDisturbEachOther) {
  Rng parent(42);
  const std::uint64_t before = parent.stream("a").next();
  parent.next();
  EXPECT_EQ(parent.stream("a").next(), before);
  EXPECT_NE(parent.stream("b").next(), before);
}

TEST(Rng, BelowStaysBelowAndReachesAll) {
  Rng rng(3);
  std::array<int, 5> seen{};
  for (int i = 0; i < 5000; ++i) ++seen.at(rng.below(5));
  for (const int count : seen) EXPECT_NEAR(count, 1000, 150);  // 5 sigma
  EXPECT_EQ(rng.between(9, 9), 9U);
}

TEST(Rng, ChanceKeepsItsProbability) {
  Rng rng(4);
  int hits = 0;
  for (int i = 0; i < 100'000; ++i) hits += rng.chance(0.01) ? 1 : 0;
  EXPECT_NEAR(hits, 1000, 160);  // 5 sigma
  EXPECT_FALSE(rng.chance(0));
  EXPECT_TRUE(rng.chance(1));
}

}  // namespace
}  // namespace longhaul
