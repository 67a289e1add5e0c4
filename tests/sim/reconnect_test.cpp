// R7: a session whose connections break all the time keeps nothing of those that are gone.
#include <gtest/gtest.h>
#include <malloc.h>

#include "tests/sim/session_world.hpp"

namespace longhaul::test {
namespace {

std::size_t allocated() {
  return ::mallinfo2().uordblks;
}

TEST(SessionFaults, R7TenThousandReconnectsGrowNothing) {
  constexpr std::uint64_t kTimes = 10'000, kWarm = 1000;
  WorldOptions options;
  options.link.rtt = 20ms;
  SessionWorld world(71, options);
  world.start();
  std::uint64_t delivered = 0;
  std::size_t before = 0;
  for (std::uint64_t i = 0; i < kTimes; ++i) {
    world.laptop.service.send(session::Lane::kBulk, i, 3000);
    ASSERT_TRUE(world.run_until(
        [&] { return world.site.service.bytes_in(session::Lane::kBulk) > delivered; }, 30s))
        << "after " << i << " breaks";
    delivered = world.site.service.bytes_in(session::Lane::kBulk);
    world.laptop.cut_streams();
    world.laptop.events.clear();
    world.site.events.clear();
    if (i == kWarm) before = allocated();
  }
  EXPECT_EQ(world.site.service.bytes_in(session::Lane::kBulk), kTimes * 3000);
  EXPECT_EQ(world.site.service.wrong(), 0U);
  // What the test itself notes of each break is a few hundred bytes; a path forgotten is 50 KiB.
  constexpr std::size_t kNoted = 1024;
  EXPECT_LE(allocated(), before + (kTimes - kWarm) * kNoted);
  EXPECT_LE(world.laptop.open_streams(), 8U);
  EXPECT_LE(world.site.open_streams(), 8U);
}

}  // namespace
}  // namespace longhaul::test
