// Frames of a datagram: what stands in a packet besides the owner's own frames. Byte tables:
// docs/wire.md. A frame is a type and its fields; there is no length, for the fields say where they
// end, but in types from 128 up, which may be unknown and are skipped. Values.
#pragma once

#include <array>
#include <cstdint>
#include <span>

#include "lib/base/units.hpp"
#include "lib/datagram/packet_number.hpp"
#include "lib/wire/cursor.hpp"

namespace longhaul::datagram {

enum class FrameType : std::uint8_t {
  kPadding = 0,
  kPing = 1,  // nothing but the wish for an acknowledgement
  kAck = 2,
  kChallenge = 3,  // 8 bytes that the address it goes to must send back
  kResponse = 4,
};
// The owner's frames; those below kOwnerFrameFirst ask for no acknowledgement.
constexpr std::uint8_t kQuietOwnerFrameFirst = 8;
constexpr std::uint8_t kOwnerFrameFirst = 16;
constexpr std::uint8_t kOptionalFrameFirst = 128;

using Token = std::array<std::byte, 8>;  // of a Challenge

constexpr std::size_t kAckRangesMax = 16;
constexpr std::size_t kAckTimesMax = 24;

// What has arrived. Ranges go down from the largest number and neither touch nor overlap. Times are
// of packets, by the acknowledging end's clock.
struct AckFrame {
  struct Range {
    PacketNumber first = 0, last = 0;  // both included
    bool operator==(const Range&) const = default;
  };
  Duration held{};      // from the arrival of the largest number to the sending of this frame
  Duration received{};  // when the largest arrived, since that end's epoch began
  // Datagrams that crossed the network and found that end's socket full, since its epoch began.
  std::uint64_t dropped = 0;
  std::array<Range, kAckRangesMax> ranges{};
  std::size_t range_count = 0;  // at least one
  // For the next lower numbers in the ranges: how much earlier each arrived than the number above
  // it, in microseconds; negative where the network has reordered them.
  std::array<std::int64_t, kAckTimesMax> earlier_us{};
  std::size_t time_count = 0;

  PacketNumber largest() const { return ranges[0].last; }
  bool contains(PacketNumber number) const;
};

void write(wire::Writer& out, const AckFrame& ack);
// Behind the type. On a fault the reader has failed.
AckFrame read_ack(wire::Reader& in);

}  // namespace longhaul::datagram
