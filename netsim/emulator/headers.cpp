#include "netsim/emulator/headers.hpp"

#include <array>

namespace netsim::emulator {
namespace {

using longhaul::load_be;
using longhaul::store_be;

constexpr std::size_t kIpv4Bytes = 20, kIpv6Bytes = 40, kTcpBytes = 20, kUdpBytes = 8;

std::uint8_t byte_at(Bytes packet, std::size_t i) {
  return std::to_integer<std::uint8_t>(packet[i]);
}

// Adds the TCP or UDP header behind `network` bytes.
std::optional<Layout> with_transport(Bytes packet, bool v6, std::size_t network,
                                     std::uint8_t protocol) {
  Layout out{v6, 0, static_cast<std::uint16_t>(network), static_cast<std::uint16_t>(network)};
  std::size_t header = 0;
  if (protocol == kTcp) {
    if (packet.size() < network + kTcpBytes) return std::nullopt;
    header = std::size_t{byte_at(packet, network + 12)} >> 4 << 2;
    if (header < kTcpBytes) return std::nullopt;
  } else if (protocol == kUdp) {
    header = kUdpBytes;
  } else {
    return out;
  }
  if (packet.size() < network + header) return std::nullopt;
  out.transport = protocol;
  out.header_bytes = static_cast<std::uint16_t>(network + header);
  return out;
}

std::optional<Layout> layout_of_ipv4(Bytes packet) {
  if (packet.size() < kIpv4Bytes) return std::nullopt;
  const std::size_t network = std::size_t{byte_at(packet, 0) & 0xFU} << 2;
  if (network < kIpv4Bytes || packet.size() < network) return std::nullopt;
  const bool fragment = (load_be<std::uint16_t>(packet.subspan(6)) & 0x3FFFU) != 0;
  return with_transport(packet, false, network, fragment ? 0 : byte_at(packet, 9));
}

std::optional<Layout> layout_of_ipv6(Bytes packet) {
  if (packet.size() < kIpv6Bytes) return std::nullopt;
  std::uint8_t next = byte_at(packet, 6);
  std::size_t network = kIpv6Bytes;
  const auto is_extension = [](std::uint8_t n) { return n == 0 || n == 43 || n == 60; };
  while (is_extension(next)) {  // hop-by-hop, routing, destination options
    if (packet.size() < network + 8) return std::nullopt;
    next = byte_at(packet, network);
    network += (std::size_t{byte_at(packet, network + 1)} + 1) << 3;
    if (packet.size() < network) return std::nullopt;
  }
  return with_transport(packet, true, network, next);
}

std::uint32_t sum_of_addresses(Bytes packet, bool v6) {
  return ones_sum(v6 ? packet.subspan(8, 32) : packet.subspan(12, 8));
}

}  // namespace

std::optional<Layout> layout_of(Bytes packet) {
  if (packet.empty()) return std::nullopt;
  const unsigned version = byte_at(packet, 0) >> 4;
  if (version == 4) return layout_of_ipv4(packet);
  if (version == 6) return layout_of_ipv6(packet);
  return std::nullopt;
}

Ecn ecn_of(Bytes packet) {
  const bool v6 = byte_at(packet, 0) >> 4 == 6;
  const unsigned bits = v6 ? byte_at(packet, 1) >> 4 : byte_at(packet, 1);
  return static_cast<Ecn>(bits & 3U);
}

void mark_ce(MutableBytes packet) {
  if (byte_at(packet, 0) >> 4 == 6) {
    packet[1] |= std::byte{0x30};
    return;
  }
  packet[1] |= std::byte{0x03};
  fill_ip_checksum(packet);
}

bool is_link_local_multicast(Bytes packet) {
  if (byte_at(packet, 0) >> 4 == 6) return byte_at(packet, 24) == 0xFF && byte_at(packet, 25) == 2;
  return byte_at(packet, 16) == 224 && byte_at(packet, 17) == 0 && byte_at(packet, 18) == 0;
}

std::uint16_t ones_sum(Bytes bytes, std::uint32_t start) {
  // Little-endian 32-bit words in a 64-bit sum: exact, as 64 KiB of them stay below 2^46. The
  // result of a one's complement sum is byte-swapped when its input is (RFC 1071, section 2 B).
  std::uint64_t sum = 0;
  while (bytes.size() >= 4) {
    sum += longhaul::load_le<std::uint32_t>(bytes);
    bytes = bytes.subspan(4);
  }
  std::array<std::byte, 4> tail{};
  std::copy(bytes.begin(), bytes.end(), tail.begin());
  sum += longhaul::load_le<std::uint32_t>(tail);
  while (sum >> 16 != 0) sum = (sum & 0xFFFFU) + (sum >> 16);
  sum = ((sum & 0xFFU) << 8 | sum >> 8) + start;
  while (sum >> 16 != 0) sum = (sum & 0xFFFFU) + (sum >> 16);
  return static_cast<std::uint16_t>(sum);
}

std::uint16_t pseudo_sum(Bytes packet, const Layout& layout, std::uint32_t transport_bytes) {
  std::uint32_t sum = sum_of_addresses(packet, layout.v6);
  sum += layout.transport + (transport_bytes >> 16) + (transport_bytes & 0xFFFFU);
  while (sum >> 16 != 0) sum = (sum & 0xFFFFU) + (sum >> 16);
  return static_cast<std::uint16_t>(sum);
}

void fill_ip_checksum(MutableBytes packet) {
  if (byte_at(packet, 0) >> 4 != 4) return;
  const std::size_t bytes = std::size_t{byte_at(packet, 0) & 0xFU} << 2;
  store_be(packet.subspan(10), std::uint16_t{0});
  const std::uint16_t sum = ones_sum(packet.first(bytes));
  store_be(packet.subspan(10), static_cast<std::uint16_t>(~sum));
}

void fill_transport_checksum(MutableBytes packet, const Layout& layout, bool keep_absent) {
  if (layout.transport == 0) return;
  const MutableBytes segment = packet.subspan(layout.network_bytes);
  const MutableBytes field = segment.subspan(checksum_offset(layout));
  const bool udp = layout.transport == kUdp;
  if (keep_absent && udp && !layout.v6 && load_be<std::uint16_t>(field) == 0) return;
  store_be(field, std::uint16_t{0});
  const auto bytes = static_cast<std::uint32_t>(segment.size());
  auto sum = static_cast<std::uint16_t>(~ones_sum(segment, pseudo_sum(packet, layout, bytes)));
  if (udp && sum == 0) sum = 0xFFFF;  // zero would mean: none
  store_be(field, sum);
}

bool has_right_checksums(Bytes packet, const Layout& layout) {
  if (!layout.v6 && ones_sum(packet.first(std::size_t{byte_at(packet, 0) & 0xFU} << 2)) != 0xFFFF)
    return false;
  if (layout.transport == 0) return true;
  const Bytes segment = packet.subspan(layout.network_bytes);
  const bool absent = load_be<std::uint16_t>(segment.subspan(checksum_offset(layout))) == 0;
  if (absent && layout.transport == kUdp && !layout.v6) return true;
  const auto bytes = static_cast<std::uint32_t>(segment.size());
  return ones_sum(segment, pseudo_sum(packet, layout, bytes)) == 0xFFFF;
}

}  // namespace netsim::emulator
