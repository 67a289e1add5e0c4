#include "netsim/emulator/too_big.hpp"

#include <gtest/gtest.h>

namespace netsim::emulator {
namespace {

using longhaul::ByteVector;
using longhaul::load_be;
using longhaul::store_be;

ByteVector udp4(bool dont_fragment) {
  ByteVector out(1500, std::byte{0x11});
  const MutableBytes ip(out);
  ip[0] = std::byte{0x45};
  store_be(ip.subspan(2), std::uint16_t{1500});
  store_be(ip.subspan(6), static_cast<std::uint16_t>(dont_fragment ? 0x4000 : 0));
  ip[9] = std::byte{kUdp};
  store_be(ip.subspan(12), std::uint32_t{0x0A000001});
  store_be(ip.subspan(16), std::uint32_t{0x0A000002});
  fill_ip_checksum(ip);
  return out;
}

TEST(TooBig, AnswersTheSenderWithTheMtu) {
  const ByteVector packet = udp4(true);
  const auto reply = too_big_reply(packet, 1400);
  ASSERT_TRUE(reply);
  const Bytes ip(*reply);
  EXPECT_EQ(load_be<std::uint32_t>(ip.subspan(12)), 0x0A000002U);
  EXPECT_EQ(load_be<std::uint32_t>(ip.subspan(16)), 0x0A000001U);
  EXPECT_EQ(ones_sum(ip.first(20)), 0xFFFF);
  const Bytes icmp = ip.subspan(20);
  EXPECT_EQ(ones_sum(icmp), 0xFFFF);
  EXPECT_EQ(icmp[0], std::byte{3});
  EXPECT_EQ(icmp[1], std::byte{4});
  EXPECT_EQ(load_be<std::uint16_t>(icmp.subspan(6)), 1400);
  EXPECT_TRUE(longhaul::equal(icmp.subspan(8), Bytes(packet).first(28)));
}

TEST(TooBig, SaysNothingToThoseWhoMayBeFragmented) {
  EXPECT_FALSE(too_big_reply(udp4(false), 1400));
}

TEST(TooBig, NeverAnswersAnIcmpError) {
  ByteVector packet = udp4(true);
  packet[9] = std::byte{1};
  packet[20] = std::byte{3};
  EXPECT_FALSE(too_big_reply(packet, 1400));
  packet[20] = std::byte{8};  // an echo request may be answered
  EXPECT_TRUE(too_big_reply(packet, 1400));
}

TEST(TooBig, AnswersIpv6WithinTheLeastMtu) {
  ByteVector packet(1500, std::byte{0x22});
  const MutableBytes ip(packet);
  ip[0] = std::byte{0x60};
  store_be(ip.subspan(4), std::uint16_t{1460});
  ip[6] = std::byte{kUdp};
  ip[23] = std::byte{0x0A};
  const auto reply = too_big_reply(packet, 1300);
  ASSERT_TRUE(reply);
  EXPECT_EQ(reply->size(), 1280U);
  const Bytes answer(*reply);
  EXPECT_TRUE(longhaul::equal(answer.subspan(24, 16), Bytes(packet).subspan(8, 16)));
  EXPECT_EQ(load_be<std::uint32_t>(answer.subspan(44)), 1300U);
  const Layout icmp6{true, 58, 40, 40};
  const auto size = static_cast<std::uint32_t>(reply->size() - 40);
  EXPECT_EQ(ones_sum(answer.subspan(40), pseudo_sum(answer, icmp6, size)), 0xFFFF);
}

}  // namespace
}  // namespace netsim::emulator
