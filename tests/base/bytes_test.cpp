#include "lib/base/bytes.hpp"

#include <gtest/gtest.h>

namespace longhaul {
namespace {

TEST(Bytes, StoresLittleAndBigEndian) {
  std::array<std::byte, 4> out{};
  store_le<std::uint32_t>(out, 0x01020304);
  EXPECT_EQ(to_hex(out), "04030201");
  store_be<std::uint32_t>(out, 0x01020304);
  EXPECT_EQ(to_hex(out), "01020304");
  EXPECT_EQ(load_be<std::uint32_t>(out), 0x01020304U);
  EXPECT_EQ(load_le<std::uint32_t>(out), 0x04030201U);
}

TEST(Bytes, HexGoesBothWays) {
  const auto bytes = from_hex("00ff7Fa0");
  ASSERT_TRUE(bytes.has_value());
  EXPECT_EQ(to_hex(*bytes), "00ff7fa0");
}

TEST(Bytes, HexRefusesWhatIsNotHex) {
  EXPECT_EQ(from_hex("abc").error().kind(), Kind::kMalformed);
  EXPECT_EQ(from_hex("zz").error().kind(), Kind::kMalformed);
}

TEST(BytesDeathTest, LoadBeyondTheEndStops) {
  std::array<std::byte, 3> short_bytes{};
  EXPECT_DEATH(static_cast<void>(load_le<std::uint32_t>(short_bytes)), "bug");
}

}  // namespace
}  // namespace longhaul
