#include "netsim/emulator/too_big.hpp"

#include <algorithm>

namespace netsim::emulator {
namespace {

using longhaul::ByteVector;
using longhaul::load_be;
using longhaul::store_be;

constexpr std::uint8_t kIcmp = 1, kIcmp6 = 58, kHops = 64;
constexpr std::size_t kIcmpBytes = 8;

std::optional<ByteVector> reply4(Bytes packet, std::uint32_t mtu, const Layout& layout) {
  const auto fragment = load_be<std::uint16_t>(packet.subspan(6));
  const bool dont_fragment = (fragment & 0x4000U) != 0;
  if (!dont_fragment || (fragment & 0x3FFFU) != 0) return std::nullopt;
  if (packet[9] == std::byte{kIcmp}) {
    const bool echo =
        packet.size() > layout.network_bytes && (packet[layout.network_bytes] == std::byte{8} ||
                                                 packet[layout.network_bytes] == std::byte{0});
    if (!echo) return std::nullopt;
  }
  const std::size_t quoted = std::min<std::size_t>(packet.size(), layout.network_bytes + 8U);
  ByteVector out(20 + kIcmpBytes + quoted);
  const MutableBytes ip(out);
  ip[0] = std::byte{0x45};
  store_be(ip.subspan(2), static_cast<std::uint16_t>(out.size()));
  ip[8] = std::byte{kHops};
  ip[9] = std::byte{kIcmp};
  std::copy_n(packet.begin() + 16, 4, ip.begin() + 12);
  std::copy_n(packet.begin() + 12, 4, ip.begin() + 16);
  fill_ip_checksum(ip);
  const MutableBytes icmp = ip.subspan(20);
  icmp[0] = std::byte{3};  // unreachable: fragmentation needed
  icmp[1] = std::byte{4};
  store_be(icmp.subspan(6), static_cast<std::uint16_t>(mtu));
  std::copy_n(packet.begin(), quoted, icmp.begin() + kIcmpBytes);
  store_be(icmp.subspan(2), static_cast<std::uint16_t>(~ones_sum(icmp)));
  return out;
}

std::optional<ByteVector> reply6(Bytes packet, std::uint32_t mtu, const Layout& layout) {
  const bool icmp6 = packet[6] == std::byte{kIcmp6} && packet.size() > 40;
  if (icmp6 && std::to_integer<unsigned>(packet[40]) < 128) return std::nullopt;  // an error
  constexpr std::size_t kLeastMtu = 1280;
  const std::size_t quoted = std::min(packet.size(), kLeastMtu - 40 - kIcmpBytes);
  ByteVector out(40 + kIcmpBytes + quoted);
  const MutableBytes ip(out);
  ip[0] = std::byte{0x60};
  store_be(ip.subspan(4), static_cast<std::uint16_t>(kIcmpBytes + quoted));
  ip[6] = std::byte{kIcmp6};
  ip[7] = std::byte{kHops};
  std::copy_n(packet.begin() + 24, 16, ip.begin() + 8);
  std::copy_n(packet.begin() + 8, 16, ip.begin() + 24);
  const MutableBytes icmp = ip.subspan(40);
  icmp[0] = std::byte{2};  // packet too big
  store_be(icmp.subspan(4), mtu);
  std::copy_n(packet.begin(), quoted, icmp.begin() + kIcmpBytes);
  Layout answer = layout;
  answer.transport = kIcmp6;  // ICMPv6 counts the pseudo header in
  const auto bytes = static_cast<std::uint32_t>(icmp.size());
  store_be(icmp.subspan(2),
           static_cast<std::uint16_t>(~ones_sum(icmp, pseudo_sum(ip, answer, bytes))));
  return out;
}

}  // namespace

std::optional<ByteVector> too_big_reply(Bytes packet, std::uint32_t mtu_bytes) {
  const auto layout = layout_of(packet);
  if (!layout) return std::nullopt;
  return layout->v6 ? reply6(packet, mtu_bytes, *layout) : reply4(packet, mtu_bytes, *layout);
}

}  // namespace netsim::emulator
