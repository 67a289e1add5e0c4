#include "netsim/emulator/translator.hpp"

#include <gtest/gtest.h>

#include "tests/netsim/emulator/packets.hpp"

namespace netsim::emulator {
namespace {

using longhaul::ByteVector;
using test::udp_packet;
using Fate = Translator::Fate;

Layout layout_in(Bytes packet) {
  const auto layout = layout_of(packet);
  EXPECT_TRUE(layout);
  return *layout;
}

class BothVersions : public ::testing::TestWithParam<bool> {
 protected:
  test::ByteVector packet_of(AddressId from, std::uint16_t from_port, AddressId to,
                             std::uint16_t to_port) const {
    return udp_packet({GetParam(), from, to, from_port, to_port, 101});
  }
};

TEST_P(BothVersions, ChangesNothingBeforeARebinding) {
  Translator nat(0);
  auto packet = packet_of(0, 5000, 1, 9000);
  const auto before = packet;
  nat.outward(packet, layout_in(packet), Checksum::kWhole);
  EXPECT_EQ(packet, before);
}

TEST_P(BothVersions, ThereAndBackWithRightChecksums) {
  Translator nat(0);
  nat.rebind(kFirstAlias + 7);
  auto packet = packet_of(0, 5000, 1, 9000);
  const Layout layout = layout_in(packet);
  const auto before = packet;
  nat.outward(packet, layout, Checksum::kWhole);
  EXPECT_EQ(address_in(packet, GetParam(), End::kSource), kFirstAlias + 7);
  const std::uint16_t outside = port_in(packet, layout, End::kSource);
  EXPECT_NE(outside, 5000);
  EXPECT_TRUE(has_right_checksums(packet, layout));
  auto quoted = packet;
  nat.undo(quoted, layout);
  EXPECT_EQ(quoted, before);

  auto answer = packet_of(1, 9000, kFirstAlias + 7, outside);
  EXPECT_EQ(nat.inward(answer, layout_in(answer), Checksum::kWhole), Fate::kPassed);
  EXPECT_EQ(answer, packet_of(1, 9000, 0, 5000));
}

TEST_P(BothVersions, WhatWasValidBeforeIsLost) {
  Translator nat(0);
  nat.rebind(std::nullopt);  // the port alone
  auto to_old_port = packet_of(1, 9000, 0, 5000);
  EXPECT_EQ(nat.inward(to_old_port, layout_in(to_old_port), Checksum::kWhole), Fate::kLost);
}

// What left under it was not translated: without this, nothing that a host with an address of its
// user's own asked was answered once its NAT had forgotten something.
TEST_P(BothVersions, AnAddressOfItsUsersOwnPassesBothWays) {
  for (const AddressId own : {AddressId{8}, moved(0, 1)}) {
    Translator nat(0);
    nat.rebind(kFirstAlias);
    const auto before = packet_of(own, 5000, 1, 9000),
               answer_before = packet_of(1, 9000, own, 5000);
    auto packet = before, answer = answer_before;
    nat.outward(packet, layout_in(packet), Checksum::kWhole);
    EXPECT_EQ(packet, before);
    EXPECT_EQ(nat.inward(answer, layout_in(answer), Checksum::kWhole), Fate::kPassed);
    EXPECT_EQ(answer, answer_before);
  }
}

TEST_P(BothVersions, WhatNoMappingStandsForIsLost) {
  Translator nat(0);
  nat.rebind(kFirstAlias);
  auto to_alias = packet_of(1, 9000, kFirstAlias, 5000);
  EXPECT_EQ(nat.inward(to_alias, layout_in(to_alias), Checksum::kWhole), Fate::kLost);
}

TEST_P(BothVersions, APartialChecksumCountsTheAddressAlone) {
  Translator nat(0);
  nat.rebind(kFirstAlias);
  auto packet = packet_of(0, 5000, 1, 9000);
  const Layout layout = layout_in(packet);
  const std::size_t field = layout.network_bytes + 6U;
  const auto transport = static_cast<std::uint32_t>(packet.size() - layout.network_bytes);
  longhaul::store_be(MutableBytes(packet).subspan(field), pseudo_sum(packet, layout, transport));
  nat.outward(packet, layout, Checksum::kPartial);
  EXPECT_EQ(longhaul::load_be<std::uint16_t>(Bytes(packet).subspan(field)),
            pseudo_sum(packet, layout, transport));
}
INSTANTIATE_TEST_SUITE_P(Ip, BothVersions, ::testing::Bool());

TEST(Translator, AnAbsentUdpChecksumStaysAbsent) {
  Translator nat(0);
  nat.rebind(kFirstAlias);
  auto packet = udp_packet({});
  longhaul::store_be(MutableBytes(packet).subspan(26), std::uint16_t{0});
  nat.outward(packet, layout_in(packet), Checksum::kWhole);
  EXPECT_EQ(longhaul::load_be<std::uint16_t>(Bytes(packet).subspan(26)), 0);
}

TEST(Translator, EchoesKeepTheirNumbersAndChangeTheirAddress) {
  Translator nat(0);
  nat.rebind(kFirstAlias);
  auto packet = udp_packet({true});
  packet[6] = std::byte{58};  // ICMPv6: its checksum stands at 2 and covers the addresses
  const auto sum_of = [&] {
    ByteVector pseudo(packet.begin() + 8, packet.begin() + 40);
    longhaul::append(pseudo, Bytes(packet).subspan(40));
    return ones_sum(pseudo, static_cast<std::uint32_t>(packet.size() - 40 + 58));
  };
  longhaul::store_be(MutableBytes(packet).subspan(42), std::uint16_t{0});
  longhaul::store_be(MutableBytes(packet).subspan(42), static_cast<std::uint16_t>(~sum_of()));
  ASSERT_EQ(sum_of(), 0xFFFF);
  nat.outward(packet, layout_in(packet), Checksum::kWhole);
  EXPECT_EQ(address_in(packet, true, End::kSource), kFirstAlias);
  EXPECT_EQ(sum_of(), 0xFFFF);
}

TEST(Addresses, OfHostsAndAliasesReadBack) {
  for (const AddressId id :
       {0U, 1U, 63U, kFirstAlias, kFirstAlias + 300, moved(0, 1), moved(63, 254)}) {
    for (const bool v6 : {false, true}) {
      const auto packet = udp_packet({v6, id, 1});
      EXPECT_EQ(address_in(packet, v6, End::kSource), id) << v6;
    }
  }
  EXPECT_EQ(address4(1), "198.18.0.2");
  EXPECT_EQ(address6(1), "2001:2::b");
  EXPECT_EQ(address4(kFirstAlias + 300), "198.18.65.44");
  EXPECT_EQ(address6(kFirstAlias + 300), "2001:2:0:1::12c");
  EXPECT_EQ(address4(moved(2, 7)), "198.19.2.7");
  EXPECT_EQ(address6(moved(2, 7)), "2001:2:0:2::207");
  EXPECT_EQ(host_of(moved(2, 7)), 2U);
}

}  // namespace
}  // namespace netsim::emulator
