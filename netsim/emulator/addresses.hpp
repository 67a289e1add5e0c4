// The emulator's address plan, and addresses and ports in a packet's header. Pure.
//
//   host 0     198.18.0.1     2001:2::a          host n     198.18.0.(n+1), 2001:2::(a+n)
//   alias k    198.18.64.k    2001:2:0:1::k      what a NAT shows after a rebinding of the address
//   host n     198.19.n.k     2001:2:0:2::(256 n + k), k = 1 .. 254: where it may move to
//
// RFC 2544 and RFC 5180 set these ranges aside for benches.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <string>

#include "netsim/emulator/headers.hpp"
#include "netsim/emulator/train.hpp"
#include "netsim/endpoint.hpp"

namespace netsim::emulator {

// A host by its number, kFirstAlias + k for an alias, or moved(host, k).
using AddressId = std::uint32_t;
inline constexpr std::uint32_t kAliasesMax = 16'384;
inline constexpr AddressId kFirstMoved = kFirstAlias + (1U << 20);
inline constexpr std::uint32_t kMovesMax = 254;
constexpr AddressId moved(std::size_t host, std::uint32_t k) {
  return kFirstMoved + (static_cast<AddressId>(host) << 8) + k;
}
constexpr bool is_alias(AddressId id) {
  return id >= kFirstAlias && id < kFirstAlias + kAliasesMax;
}
// Whose it is; not of an alias, whose host the NATs know.
constexpr std::size_t host_of(AddressId id) {
  return id >= kFirstMoved ? (id - kFirstMoved) >> 8 : id;
}
inline constexpr const char* kNetwork4 = "198.18.0.0";
inline constexpr unsigned kNetworkBits4 = 15;
inline constexpr const char* kNetwork6 = "2001:2::";
inline constexpr unsigned kNetworkBits6 = 48;

std::string address4(AddressId id);
std::string address6(AddressId id);

enum class End : std::uint8_t { kSource, kDestination };
// nullopt: an address that is not in the plan.
std::optional<AddressId> address_in(Bytes packet, bool v6, End end);

// Address and port of a packet are changed, its checksums mended; `header` may end behind the
// transport header. ICMPv6, whose checksum covers the addresses, is mended, too.
// `partial`: the transport checksum is the pseudo header's sum alone, to be completed later; then
// the port does not count in it. A UDP checksum of zero over IPv4 stays.
enum class Checksum : bool { kWhole, kPartial };
void set_endpoint(MutableBytes header, const Layout& layout, End end, AddressId address,
                  std::uint16_t port, Checksum checksum);
std::uint16_t port_in(Bytes header, const Layout& layout, End end);  // of TCP and UDP

}  // namespace netsim::emulator
