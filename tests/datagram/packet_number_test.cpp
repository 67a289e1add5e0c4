#include "lib/datagram/packet_number.hpp"

#include <gtest/gtest.h>

#include "lib/base/rng.hpp"

namespace longhaul::datagram {
namespace {

// The examples of RFC 9000 A.2 and A.3.
TEST(PacketNumber, MatchesRfc9000Examples) {
  EXPECT_EQ(packet_number_bytes(0xac5c02, 0xabe8b3), 2U);
  EXPECT_EQ(packet_number_bytes(0xace8fe, 0xabe8b3), 3U);
  EXPECT_EQ(expand_packet_number(0xa82f30ea, 0x9b32, 2), 0xa82f9b32U);
}

TEST(PacketNumber, WhatIsCutIsFoundAgain) {
  Rng rng(1);
  for (int i = 0; i < 20'000; ++i) {
    const PacketNumber acked = rng.below(std::uint64_t{1} << rng.between(1, 60));
    const PacketNumber number = acked + 1 + rng.below(std::uint64_t{1} << rng.between(0, 24));
    const std::size_t bytes = packet_number_bytes(number, acked);
    const std::uint64_t mask = (std::uint64_t{1} << (8 * bytes)) - 1;
    // The receiver has at least what was acknowledged, at most all before this one.
    const PacketNumber seen = rng.between(acked, number - 1);
    ASSERT_EQ(expand_packet_number(seen, static_cast<std::uint32_t>(number & mask), bytes), number);
  }
}

TEST(PacketNumber, TheFirstOnesNeedNoHistory) {
  for (PacketNumber number = 0; number < 100; ++number) {
    const std::size_t bytes = packet_number_bytes(number, std::nullopt);
    ASSERT_EQ(bytes, 1U);
    ASSERT_EQ(expand_packet_number(std::nullopt, static_cast<std::uint32_t>(number), bytes),
              number);
  }
}

}  // namespace
}  // namespace longhaul::datagram
