#include "lib/datagram/packet_number.hpp"

#include <bit>

#include "lib/base/assert.hpp"

namespace longhaul::datagram {

std::size_t packet_number_bytes(PacketNumber number, std::optional<PacketNumber> largest_acked) {
  const std::uint64_t unacked =
      largest_acked.has_value() ? number - *largest_acked : number + std::uint64_t{1};
  // One bit more than the distance needs: the receiver looks to both sides.
  const std::size_t bits = static_cast<std::size_t>(std::bit_width(unacked)) + 1;
  const std::size_t bytes = (bits + 7) / 8;
  ASSERT(bytes <= 4);  // a sender never has so much in flight
  return bytes;
}

PacketNumber expand_packet_number(std::optional<PacketNumber> largest_seen, std::uint32_t truncated,
                                  std::size_t bytes) {
  const std::uint64_t expected = largest_seen.has_value() ? *largest_seen + 1 : 0;
  const std::uint64_t window = std::uint64_t{1} << (8 * bytes);
  const std::uint64_t half = window / 2;
  const std::uint64_t candidate = (expected & ~(window - 1)) | truncated;
  if (candidate + half <= expected && candidate + window <= kPacketNumberMax) {
    return candidate + window;
  }
  if (candidate > expected + half && candidate >= window) return candidate - window;
  return candidate;
}

}  // namespace longhaul::datagram
