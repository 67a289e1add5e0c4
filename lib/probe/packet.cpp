#include "lib/probe/packet.hpp"

#include <algorithm>
#include <array>

#include "lib/crypto/kdf.hpp"
#include "lib/wire/cursor.hpp"

namespace longhaul::probe {
namespace {

datagram::Secret secret_of(const crypto::Digest& seed, std::string_view label) {
  const ByteVector bytes = crypto::hkdf_expand_label(seed, label, datagram::Secret::kSize);
  return datagram::Secret(std::span<const std::byte, datagram::Secret::kSize>(bytes));
}

datagram::ConnectionId id_of(const crypto::Digest& seed, std::string_view label) {
  datagram::ConnectionId id{};
  const ByteVector bytes = crypto::hkdf_expand_label(seed, label, id.size());
  std::copy(bytes.begin(), bytes.end(), id.begin());
  return id;
}

void write_packet(MutableBytes out, const Packet& packet) {
  wire::Writer writer(out);
  writer.byte(static_cast<std::uint8_t>(packet.type));
  writer.fixed<std::uint32_t>(packet.number);
  writer.fixed<std::uint64_t>(packet.sent_us);
  if (packet.type == PacketType::kTrain) writer.fixed<std::uint32_t>(packet.train);
  if (packet.type == PacketType::kLater) writer.fixed<std::uint32_t>(packet.after_ms);
  if (packet.type == PacketType::kAnswer) {
    writer.fixed<std::uint64_t>(packet.received_us);
    writer.raw(packet.token);
  }
  std::fill(out.begin() + static_cast<std::ptrdiff_t>(writer.size()), out.end(), std::byte{0});
}

std::optional<Packet> read_packet(Bytes in) {
  wire::Reader reader(in);
  Packet packet;
  const std::uint8_t type = reader.byte();
  if (type < static_cast<std::uint8_t>(PacketType::kEcho) ||
      type > static_cast<std::uint8_t>(PacketType::kLater))
    return std::nullopt;
  packet.type = static_cast<PacketType>(type);
  packet.number = reader.fixed<std::uint32_t>();
  packet.sent_us = reader.fixed<std::uint64_t>();
  if (packet.type == PacketType::kTrain) packet.train = reader.fixed<std::uint32_t>();
  if (packet.type == PacketType::kLater) packet.after_ms = reader.fixed<std::uint32_t>();
  if (packet.type == PacketType::kAnswer) {
    packet.received_us = reader.fixed<std::uint64_t>();
    const Bytes token = reader.raw(packet.token.size());
    if (!reader.failed()) std::copy(token.begin(), token.end(), packet.token.begin());
  }
  if (reader.failed()) return std::nullopt;
  return packet;
}

}  // namespace

datagram::EpochKeys probe_keys(const crypto::Digest& seed, bool dials) {
  datagram::EpochKeys keys;
  keys.send_secret = secret_of(seed, dials ? "longhaul probe up" : "longhaul probe down");
  keys.receive_secret = secret_of(seed, dials ? "longhaul probe down" : "longhaul probe up");
  keys.send_id = id_of(seed, dials ? "longhaul probe up id" : "longhaul probe down id");
  keys.receive_id = id_of(seed, dials ? "longhaul probe down id" : "longhaul probe up id");
  return keys;
}

Sealing::Sealing(const crypto::Digest& seed, bool dials, BufferPool& pool)
    : protection_(probe_keys(seed, dials), datagram::limits_of(crypto::Aead::kAes128Gcm)),
      pool_(pool) {}

Slice Sealing::seal(Time now, std::span<const Packet> packets, std::uint32_t each_bytes) {
  const std::size_t each = std::max(each_bytes, kPacketBytesMin);
  Buffer buffer = pool_.take(each * packets.size());
  std::size_t at = 0;
  for (const Packet& packet : packets) {
    if (!protection_.may_seal()) break;
    const MutableBytes out = buffer.bytes().subspan(at, each);
    const std::size_t header = protection_.header_bytes();
    write_packet(out.subspan(header, each - header - crypto::kTagBytes), packet);
    protection_.seal(now, out);
    at += each;
  }
  return std::move(buffer).freeze(at);
}

std::optional<Packet> Sealing::open(Time now, Bytes datagram) {
  std::array<std::byte, wire::kTrainPacketBytesMax> out;
  if (datagram.size() > out.size()) return std::nullopt;
  datagram::Refused refused{};
  const auto opened = protection_.open(now, datagram, out, &refused);
  if (!opened) return std::nullopt;
  return read_packet(Bytes(out).first(opened->frames_bytes));
}

std::uint32_t ip_bytes(const datagram::Address& to, std::size_t payload_bytes) {
  const auto is_mapped = [&to] {
    for (std::size_t i = 0; i < 10; ++i)
      if (to.ip[i] != std::byte{0}) return false;
    return to.ip[10] == std::byte{0xff} && to.ip[11] == std::byte{0xff};
  };
  return static_cast<std::uint32_t>(payload_bytes + (is_mapped() ? 28 : 48));
}

}  // namespace longhaul::probe
