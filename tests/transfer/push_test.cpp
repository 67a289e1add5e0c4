// Push and pull between two exchanges over a session double: what arrives, what crosses the link,
// what survives.
#include <gtest/gtest.h>

#include "tests/transfer/world.hpp"

namespace longhaul::test {
namespace {

using store::TreeName;

void expect_arrived(World& world) {
  EXPECT_EQ(snapshot(world.disk(End::kB), TreeName()),
            snapshot(world.disk(End::kA), TreeName::known("src")));
}

TEST(Push, DeliversATreeWithItsModesTimesLinksAndHoles) {
  for (std::uint64_t seed = 1; seed <= 30; ++seed) {
    SCOPED_TRACE(seed);
    World world(seed);
    put_random_tree(world.disk(End::kA), "src", world.rng(), 3'000'000);
    world.push("data");
    const auto end = world.run(End::kA);
    ASSERT_TRUE(end.has_value());
    ASSERT_FALSE(end->error.has_value()) << end->error->message();
    expect_arrived(world);
  }
}

}  // namespace
}  // namespace longhaul::test
