// Address: where a datagram comes from or goes to, as a value: no table of sources needs to be kept
// for strangers.
#pragma once

#include <array>
#include <compare>
#include <cstddef>
#include <cstdint>

namespace longhaul::datagram {

struct Address {
  std::array<std::byte, 16> ip{};  // IPv6, or IPv4 as ::ffff:a.b.c.d; network order
  std::uint16_t port = 0;
  std::strong_ordering operator<=>(const Address&) const = default;
  // Only the port differs: a NAT that rebinds, not another place in the network.
  bool same_host(const Address& other) const { return ip == other.ip; }
};

}  // namespace longhaul::datagram
