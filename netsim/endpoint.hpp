// Who is who in a simulated network: hosts by number, addresses and ports. A host's address is its
// number plus one; addresses from kFirstAlias up are those that a NAT handed out after a rebinding.
#pragma once

#include <compare>
#include <cstdint>
#include <string>

#include "lib/base/ids.hpp"

namespace netsim {

using HostId = longhaul::Id<struct HostTag, std::uint32_t>;
using LinkId = longhaul::Id<struct LinkTag, std::uint32_t>;

using Address = std::uint32_t;
constexpr Address kFirstAlias = 1U << 24;

struct Endpoint {
  Address address = 0;
  std::uint16_t port = 0;
  auto operator<=>(const Endpoint&) const = default;
};
constexpr Address address_of(HostId host) {
  return host.value() + 1;
}
constexpr Endpoint endpoint(HostId host, std::uint16_t port) {
  return {address_of(host), port};
}
std::string to_string(Endpoint endpoint);  // "10.0.0.1:443"

}  // namespace netsim
