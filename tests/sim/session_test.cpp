#include <gtest/gtest.h>

#include "tests/sim/session_world.hpp"

namespace longhaul::test {
namespace {

using session::Lane;

TEST(SessionSim, MessagesOfAllLanesArriveOnce) {
  SessionWorld world(1);
  for (std::uint64_t i = 0; i < 20; ++i) {
    world.laptop.service.send(Lane::kControl, i, 100);
    world.site.service.send(Lane::kControl, i, 1000);
  }
  world.laptop.service.send(Lane::kLive, 1, 500, 7);
  world.laptop.service.send(Lane::kUpdate, 2, 3U << 20);
  world.laptop.service.send(Lane::kDemand, 3, 50'000);
  world.laptop.service.send(Lane::kBackfill, 4, 8);
  world.laptop.service.send_bulk(10U << 20);
  world.start();
  ASSERT_TRUE(world.run_until([&] { return world.site.service.received().size() >= 64; }, 20s));
  EXPECT_EQ(world.site.service.bytes_in(Lane::kBulk), 10U << 20);
  EXPECT_EQ(world.site.service.bytes_in(Lane::kUpdate), 3U << 20);
  EXPECT_EQ(world.site.service.wrong(), 0U);
  EXPECT_EQ(world.laptop.service.wrong(), 0U);
  std::vector<std::uint64_t> in_order(20);
  for (std::uint64_t i = 0; i < 20; ++i) in_order[i] = i;
  EXPECT_EQ(world.site.service.numbers(Lane::kControl), in_order);
  EXPECT_EQ(world.laptop.service.numbers(Lane::kControl), in_order);
}

}  // namespace
}  // namespace longhaul::test
