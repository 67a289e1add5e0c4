#include "lib/base/units.hpp"

#include <gtest/gtest.h>

#include "lib/base/ids.hpp"

namespace longhaul {
namespace {

TEST(Units, TimeForRoundsUpAndBytesInRoundsDown) {
  const auto rate = BytesPerSecond::from_bits(8'000'000'000);  // one byte a nanosecond
  EXPECT_EQ(rate.time_for(1500_B), 1500ns);
  EXPECT_EQ(BytesPerSecond(3).time_for(1_B), Duration(333'333'334));
  EXPECT_EQ(BytesPerSecond(3).bytes_in(1s), 3_B);
  EXPECT_EQ(BytesPerSecond(3).bytes_in(999ms), 2_B);
  EXPECT_EQ(rate.bytes_in(-1s), 0_B);
}

TEST(Units, LargeTransfersDoNotOverflow) {
  EXPECT_EQ(BytesPerSecond(1).time_for(ByteCount(~0ULL)).count(),
            std::numeric_limits<std::int64_t>::max());
  EXPECT_EQ(BytesPerSecond(125'000'000).time_for(ByteCount(50'000'000'000)), 400s);
}

TEST(UnitsDeathTest, BytesBelowZeroStop) {
  EXPECT_DEATH(static_cast<void>(1_B - 2_B), "bug");
}

TEST(Ids, OfTwoNounsDoNotMix) {
  using PathId = Id<struct PathTag, std::uint32_t>;
  using ShardId = Id<struct ShardTag, std::uint32_t>;
  static_assert(!std::is_convertible_v<PathId, ShardId>);
  static_assert(!std::is_convertible_v<int, PathId>);
  EXPECT_LT(PathId(1), PathId(1).next());
}

}  // namespace
}  // namespace longhaul
