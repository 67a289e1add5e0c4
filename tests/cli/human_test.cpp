#include "lib/cli/human.hpp"

#include <gtest/gtest.h>

namespace longhaul::cli {
namespace {

TEST(Human, WritesSizesAndTimes) {
  EXPECT_EQ(human(0_B), "0 B");
  EXPECT_EQ(human(999_B), "999 B");
  EXPECT_EQ(human(1'500_B), "1.5 kB");
  EXPECT_EQ(human(ByteCount(999'999)), "1.0 MB");
  EXPECT_EQ(human(BytesPerSecond(11'900'000)), "11.9 MB/s");
  EXPECT_EQ(human(Duration(85ms)), "85 ms");
  EXPECT_EQ(human(Duration(4200ms)), "4.2 s");
  EXPECT_EQ(human(Duration(192s)), "3m12s");
  EXPECT_EQ(human(Duration(2h + 5min)), "2h05m");
}

TEST(Human, ReadsWhatPeopleWrite) {
  EXPECT_EQ(*parse_size("64KiB"), 64_KiB);
  EXPECT_EQ(*parse_size("1.5 GB"), ByteCount(1'500'000'000));
  EXPECT_EQ(*parse_rate("100mbit"), BytesPerSecond(12'500'000));
  EXPECT_EQ(*parse_rate("10MB/s"), BytesPerSecond(10'000'000));
  EXPECT_EQ(*parse_duration("10min"), Duration(600s));
}

TEST(Human, RefusesNonsense) {
  for (const char* text : {"", "fast", "-1MB/s", "0mbit", "10", "10MB", "1e400mbit", "nan mbit"})
    EXPECT_EQ(parse_rate(text).error().kind(), Kind::kUsage) << text;
  EXPECT_EQ(parse_size("99999999TB").error().message(), "read '99999999TB': it is too large");
  EXPECT_EQ(parse_rate("0mbit").error().message(), "read '0mbit': a rate of zero never ends");
}

}  // namespace
}  // namespace longhaul::cli
