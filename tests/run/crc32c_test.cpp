#include "lib/run/crc32c.hpp"

#include <gtest/gtest.h>

#include "lib/base/rng.hpp"

namespace longhaul::run {
namespace {

TEST(Crc32c, MatchesTheVectorsOfItsStandard) {  // RFC 3720, B.4
  EXPECT_EQ(crc32c(bytes_of("123456789")), 0xE306'9283U);
  EXPECT_EQ(crc32c(ByteVector(32, std::byte{0})), 0x8A91'36AAU);
  EXPECT_EQ(crc32c(ByteVector(32, std::byte{0xFF})), 0x62A8'AB43U);
  EXPECT_EQ(scalar::crc32c(bytes_of("123456789")), 0xE306'9283U);
}

TEST(Crc32c, GivesTheSameInPartsAndWithoutTheInstruction) {
  Rng rng(1, "crc");
  for (std::size_t size = 0; size < 200; ++size) {
    ByteVector bytes(size);
    rng.fill(bytes);
    const std::size_t cut = rng.below(size + 1);
    const std::uint32_t whole = crc32c(bytes);
    EXPECT_EQ(whole, scalar::crc32c(bytes));
    EXPECT_EQ(whole, crc32c(Bytes(bytes).subspan(cut), crc32c(Bytes(bytes).first(cut))));
  }
}

}  // namespace
}  // namespace longhaul::run
