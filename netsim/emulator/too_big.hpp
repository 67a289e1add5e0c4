// What a router answers to a packet over its MTU: ICMP "fragmentation needed" (RFC 1191) or ICMPv6
// "packet too big" (RFC 4443). Pure.
#pragma once

#include <cstdint>
#include <optional>

#include "netsim/emulator/headers.hpp"

namespace netsim::emulator {

// From the packet's destination to its source, as if that were the router. nullopt for what must
// not be answered: ICMP errors, fragments, IPv4 without DF (such packets are lost: no router here
// fragments).
std::optional<longhaul::ByteVector> too_big_reply(Bytes packet, std::uint32_t mtu_bytes);

}  // namespace netsim::emulator
