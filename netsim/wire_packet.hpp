// WirePacket: what a simulated link carries inside a Wan: a datagram, or one packet of a simulated
// TCP connection. Stream data do not travel in it; the receiving end takes them from the sender's
// buffer when a segment has arrived (flow.hpp).
#pragma once

#include <cstdint>

#include "lib/base/slice.hpp"
#include "netsim/endpoint.hpp"
#include "netsim/packet.hpp"

namespace netsim {

struct WirePacket {
  enum class What : std::uint8_t { kDatagram, kSyn, kSynAck, kAck, kSegment, kProbe, kReset };
  What what = What::kDatagram;
  Ecn ecn = Ecn::kNotEct;
  bool damaged = false;          // a checksum fails: the receiving host drops it
  bool altered = false;          // a bit changed and no checksum tells
  Endpoint from, to;             // as seen on the wire; a NAT may change them
  std::uint32_t bytes = 0;       // IP packet
  std::uint32_t connection = 0;  // of all but datagrams
  std::uint32_t generation = 0;  // of segments and acks: how often the flow was cut anew
  std::uint8_t hops = 0;         // taken so far
  std::uint8_t to_side = 0;      // of all but datagrams: 0 the dialling end, 1 the other
  bool marks = false;            // ack: a CE mark was seen
  std::uint64_t number = 0;      // segment: transmission; ack: how many transmissions have arrived
  std::uint64_t offset = 0;      // segment: its index; ack: how far the window reaches
  longhaul::Time sent{};
  longhaul::Slice payload;  // datagram
};

// A copy of `bytes` with one bit changed, chosen by `salt`; what a broken router does to a payload.
longhaul::Slice with_flipped_bit(const longhaul::Slice& bytes, std::uint64_t salt);

}  // namespace netsim
