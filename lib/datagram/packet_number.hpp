// Packet numbers as RFC 9000 section 17.1 and appendix A write them: 62 bits, of which a header
// carries the lowest 8 to 32; the receiver finds the rest from the highest number it has seen. Pure
// functions.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>

namespace longhaul::datagram {

using PacketNumber = std::uint64_t;
constexpr PacketNumber kPacketNumberMax = (std::uint64_t{1} << 62) - 1;

// How many bytes (1-4) of `number` the peer needs, when `largest_acked` is the highest that it is
// known to have; nullopt: none yet. RFC 9000 A.2.
std::size_t packet_number_bytes(PacketNumber number, std::optional<PacketNumber> largest_acked);

// The number nearest to the one expected next whose lowest `bytes` bytes are `truncated`. RFC 9000
// A.3.
PacketNumber expand_packet_number(std::optional<PacketNumber> largest_seen, std::uint32_t truncated,
                                  std::size_t bytes);

}  // namespace longhaul::datagram
