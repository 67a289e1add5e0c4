// Power loss at the laptop while a checkpoint comes home: whole or not there, and there for good
// once it was said to be home.
#include <gtest/gtest.h>

#include "tests/checkpoint/home_world.hpp"

namespace longhaul::test {
namespace {

using sim::CrashFiles;

constexpr CrashFiles::Options kSyncAll = {true, false, true}, kSyncEach = {false, false, true};

// By name; times apart, which nothing rests on.
std::map<std::string, ByteVector> contents(Home& home, const TreeName& folder) {
  std::map<std::string, ByteVector> out;
  for (const auto& [name, shown] : snapshot(*home.laptop, folder))
    out[name] = home.content(folder.text() + "/" + name);
  return out;
}

void lose_power(Home& home, CrashFiles::Keep keep) {
  home.kill(End::kA);
  home.kill(End::kB);
  home.laptop->lose_power(keep);
}

TEST(HomeSyncs, WhatIsHomeIsThereAfterPowerLoss) {
  for (const CrashFiles::Options& disk : {kSyncAll, kSyncEach})
    for (std::uint64_t seed = 0; seed < 20; ++seed) {
      SCOPED_TRACE(seed);
      Home home(1, {}, disk);
      home.announce(100);
      ASSERT_EQ(home.pull(weights(100)), std::nullopt);
      lose_power(home, seed == 0 ? CrashFiles::Keep::none() : CrashFiles::Keep::subset(seed));
      home.expect_whole(weights(100));
    }
}

// The place passes from an older attempt's step to a newer's: one of them, whole, or neither.
TEST(HomeSyncs, WhatIsReplacedIsWholeOrNotThere) {
  const TreeName place = checkpoint::home_name(weights(100));
  for (const CrashFiles::Options& disk : {kSyncAll, kSyncEach})
    for (std::uint64_t stop = 0;; ++stop) {
      SCOPED_TRACE(stop);
      bool ended = false;
      for (std::uint64_t seed = 0; seed < 4; ++seed) {
        Home home(1, {}, disk);
        home.announce(100);
        ASSERT_EQ(home.pull(weights(100)), std::nullopt);
        const auto older = contents(home, place);
        home.announce(100);  // other weights
        home.laptop->stop_after(stop);
        home.start(weights(100, 2));
        const auto end = home.run();
        ended = end && !end->error;
        lose_power(home, CrashFiles::Keep::subset(4 * stop + seed));
        if (!home.laptop->stat(place)) continue;
        const auto held = checkpoint::read_held(*home.laptop, place);
        if (held && held->what == weights(100, 2)) {
          home.expect_whole(weights(100, 2));
        } else {
          ASSERT_FALSE(ended);
          ASSERT_TRUE(contents(home, place) == older);
        }
      }
      if (ended) break;
    }
}

}  // namespace
}  // namespace longhaul::test
