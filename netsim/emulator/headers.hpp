// What the emulator must know of an IP packet: where its payload begins, which checksums it
// carries, its ECN bits. Pure functions over bytes; the packet starts with its IP header. Nothing
// in it is trusted: lengths are checked against the bytes that are there.
#pragma once

#include <cstdint>
#include <optional>

#include "lib/base/bytes.hpp"
#include "netsim/packet.hpp"

namespace netsim::emulator {

using longhaul::Bytes;
using longhaul::MutableBytes;

inline constexpr std::uint8_t kTcp = 6, kUdp = 17;

struct Layout {
  bool v6 = false;
  std::uint8_t transport = 0;       // kTcp, kUdp, or 0: neither, or a fragment
  std::uint16_t network_bytes = 0;  // IP header with its options or extension headers
  std::uint16_t header_bytes = 0;   // the above and the TCP or UDP header
  bool operator==(const Layout&) const = default;
};

std::optional<Layout> layout_of(Bytes packet);  // nullopt: not IP, or cut off in a header
Ecn ecn_of(Bytes packet);                       // of a packet that has a layout
void mark_ce(MutableBytes packet);              // IPv4: the header checksum is mended
// To 224.0.0.0/24 or ff02::/16: routers do not forward it, and neither does a link.
bool is_link_local_multicast(Bytes packet);

// RFC 1071, as a host integer; `start` continues an earlier sum over an even number of bytes.
std::uint16_t ones_sum(Bytes bytes, std::uint32_t start = 0);
// Sum of the pseudo header for `transport_bytes` of header and payload.
std::uint16_t pseudo_sum(Bytes packet, const Layout& layout, std::uint32_t transport_bytes);
void fill_ip_checksum(MutableBytes packet);  // IPv4 header; nothing for IPv6
// Completes the TCP or UDP checksum. A UDP packet over IPv4 without one (zero) keeps none when
// `keep_absent`.
void fill_transport_checksum(MutableBytes packet, const Layout& layout, bool keep_absent);
bool has_right_checksums(Bytes packet, const Layout& layout);

inline std::uint16_t checksum_offset(const Layout& layout) {
  return layout.transport == kTcp ? 16 : 6;
}

}  // namespace netsim::emulator
