#include "lib/datagram/replay_window.hpp"

#include <gtest/gtest.h>

#include <set>

#include "lib/base/rng.hpp"

namespace longhaul::datagram {
namespace {

TEST(ReplayWindow, AgreesWithASetOfAllNumbers) {
  Rng rng(7);
  ReplayWindow window;
  std::set<PacketNumber> taken;
  PacketNumber top = 0;
  for (int i = 0; i < 50'000; ++i) {
    const std::uint64_t jump = rng.chance(0.001) ? 3 * ReplayWindow::kSpan : 200;
    const PacketNumber low =
        top > 80'000 && rng.chance(0.1) ? top - 80'000 : top - std::min<PacketNumber>(top, 300);
    const PacketNumber number = rng.between(low, top + rng.below(jump));
    const bool ancient = top >= ReplayWindow::kSpan && number <= top - ReplayWindow::kSpan;
    ASSERT_EQ(window.is_fresh(number), !ancient && !taken.contains(number)) << number;
    if (!window.is_fresh(number)) continue;
    window.take(number);
    taken.insert(number);
    top = std::max(top, number);
    ASSERT_EQ(window.largest(), top);
  }
}

TEST(ReplayWindow, TheOldestThatIsRemembered) {
  ReplayWindow window;
  window.take(ReplayWindow::kSpan);
  EXPECT_FALSE(window.is_fresh(0));
  EXPECT_TRUE(window.is_fresh(1));
  EXPECT_FALSE(window.is_fresh(ReplayWindow::kSpan));
}

}  // namespace
}  // namespace longhaul::datagram
