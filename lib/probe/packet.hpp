// Packets of a probe: what stands in them, and their seals. They are protected as the datagrams of
// a session are (RFC 9001, lib/datagram/protection.hpp) but under keys of their own, which come
// from a seed that crossed inside the session. Bytes: docs/wire.md. Not thread-safe.
#pragma once

#include <cstdint>
#include <optional>
#include <span>

#include "lib/base/slice.hpp"
#include "lib/base/units.hpp"
#include "lib/datagram/address.hpp"
#include "lib/datagram/protection.hpp"
#include "lib/wire/probe.hpp"

namespace longhaul::probe {

enum class PacketType : std::uint8_t {
  kEcho = 1,    // please answer
  kAnswer = 2,  // never larger than what it answers
  kTrain = 3,   // one of many
  kLater = 4,   // please answer, but only then
};

// Times are microseconds since the probe began at their end.
struct Packet {
  PacketType type = PacketType::kEcho;
  std::uint32_t train = 0;        // kTrain
  std::uint32_t after_ms = 0;     // kLater
  std::uint32_t number = 0;       // of the question, or of the packet within its train
  std::uint64_t sent_us = 0;      // kAnswer: by the site's clock
  std::uint64_t received_us = 0;  // kAnswer: when the echo came, by the site's clock
  wire::ProbeToken token{};       // kAnswer
};

// UDP payload bytes of the smallest packet: header, frames, tag.
constexpr std::uint32_t kPacketBytesMin = 80;

// Datagrams for one sendmsg(): of `each_bytes` behind each other.
struct Batch {
  datagram::Address to;
  Slice bytes;
  std::uint32_t each_bytes = 0;
};

// dials: of the side that opened the probe.
datagram::EpochKeys probe_keys(const crypto::Digest& seed, bool dials);

class Sealing {
 public:
  Sealing(const crypto::Digest& seed, bool dials, BufferPool& pool);
  // Each padded to `each_bytes`, at least kPacketBytesMin.
  Slice seal(Time now, std::span<const Packet> packets, std::uint32_t each_bytes);
  // Nothing: it does not authenticate, came before, or is no probe packet.
  std::optional<Packet> open(Time now, Bytes datagram);
  const datagram::ConnectionId& receive_id() const { return protection_.receive_id(); }

 private:
  datagram::Protection protection_;
  BufferPool& pool_;
};

// Bytes that cross the network for a UDP payload of this size to this address.
std::uint32_t ip_bytes(const datagram::Address& to, std::size_t payload_bytes);

}  // namespace longhaul::probe
