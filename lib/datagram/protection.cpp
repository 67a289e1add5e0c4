#include "lib/datagram/protection.hpp"

#include <algorithm>

namespace longhaul::datagram {

namespace {
constexpr std::byte kFormBit{0x80}, kFixedBit{0x40}, kReservedBits{0x18}, kPhaseBit{0x04},
    kLengthBits{0x03}, kHiddenBits{0x1f};
constexpr std::size_t kNumberOffset = 1 + kConnectionIdBytes;
constexpr std::size_t kSampleOffset = kNumberOffset + 4;  // as if the number had four bytes
constexpr std::size_t kPacketBytesMin = kSampleOffset + crypto::HeaderMask::kSampleBytes;
// The receiver's window of four bytes, with a bit to spare.
constexpr std::uint64_t kUnackedSpanMax = std::uint64_t{1} << 30;

std::span<const std::byte, crypto::HeaderMask::kSampleBytes> sample_of(Bytes packet) {
  return packet.subspan<kSampleOffset, crypto::HeaderMask::kSampleBytes>();
}
}  // namespace

std::optional<ConnectionId> peek_connection_id(Bytes datagram) {
  if (datagram.size() < kPacketBytesMin || (datagram[0] & (kFormBit | kFixedBit)) != kFixedBit) {
    return std::nullopt;
  }
  ConnectionId id;
  std::copy_n(datagram.begin() + 1, id.size(), id.begin());
  return id;
}

// RFC 9001 section 6.6 and appendix B; the confidentiality limit of ChaCha20-Poly1305 is beyond the
// last packet number.
KeyLimits limits_of(crypto::Aead aead) {
  KeyLimits limits;
  const bool aes = aead == crypto::Aead::kAes128Gcm;
  limits.sealed_max = aes ? std::uint64_t{1} << 23 : kPacketNumberMax;
  limits.forged_max = std::uint64_t{1} << (aes ? 52 : 36);
  return limits;
}

Protection::Protection(const EpochKeys& keys, const KeyLimits& limits)
    : keys_(keys),
      limits_(limits),
      send_mask_(keys.aead, header_key(keys.aead, keys.send_secret)),
      receive_mask_(keys.aead, header_key(keys.aead, keys.receive_secret)),
      sealing_(keys.aead, keys.send_secret),
      opening_(keys.aead, keys.receive_secret),
      opening_next_(opening_.next(keys.aead)) {}

std::size_t Protection::header_bytes() const {
  return kNumberOffset + packet_number_bytes(next_number_, largest_acked_);
}

bool Protection::may_seal() const {
  return next_number_ <= kPacketNumberMax &&
         next_number_ - phase_first_sent_ < limits_.sealed_max &&
         next_number_ - largest_acked_.value_or(0) < kUnackedSpanMax;
}

// Section 6.1: not before a packet of this phase is known to have arrived, nor while the keys of
// the phase before are still in use.
bool Protection::may_update(Time now) const {
  const bool confirmed = largest_acked_.has_value() && *largest_acked_ >= phase_first_sent_;
  const bool settled = !opening_before_.has_value() || now >= before_until_;
  return confirmed && settled;
}

void Protection::update() {
  ++phase_;
  sealing_ = sealing_.next(keys_.aead);
  phase_first_sent_ = next_number_;
  opening_before_.emplace(std::move(opening_));
  before_until_ = Time::max();  // until the peer is seen to have followed
  opening_ = std::move(opening_next_);
  opening_next_ = opening_.next(keys_.aead);
  phase_first_received_.reset();
}

PacketNumber Protection::seal(Time now, MutableBytes packet) {
  ASSERT(may_seal());
  const StageClock::Span span(keys_.stages, WorkStage::kTls);
  if (next_number_ - phase_first_sent_ >= limits_.update_after && may_update(now)) update();
  const PacketNumber number = next_number_++;
  const std::size_t number_bytes = packet_number_bytes(number, largest_acked_);
  const std::size_t header_bytes = kNumberOffset + number_bytes;
  ASSERT(packet.size() >= header_bytes + kFramesBytesMin + crypto::kTagBytes);
  packet[0] = kFixedBit | static_cast<std::byte>(number_bytes - 1);
  if (phase_ % 2 == 1) packet[0] |= kPhaseBit;
  std::copy(keys_.send_id.begin(), keys_.send_id.end(), packet.begin() + 1);
  for (std::size_t i = 0; i < number_bytes; ++i) {
    packet[header_bytes - 1 - i] = static_cast<std::byte>(number >> (8 * i));
  }
  sealing_.cipher.seal(packet_nonce(sealing_.iv, number), packet.first(header_bytes),
                       packet.subspan(header_bytes));
  const auto mask = send_mask_.of(sample_of(packet));
  packet[0] ^= mask[0] & kHiddenBits;
  for (std::size_t i = 0; i < number_bytes; ++i) packet[kNumberOffset + i] ^= mask[1 + i];
  return number;
}

void Protection::on_acked(PacketNumber number) {
  ASSERT(number < next_number_);
  largest_acked_ = std::max(largest_acked_.value_or(0), number);
}

// Section 6.5: a number below the first of this phase is of the phase before.
Protection::OpenKeys& Protection::keys_for(bool phase_bit, PacketNumber number) {
  if (phase_bit == (phase_ % 2 == 1)) return opening_;
  const bool older = !phase_first_received_.has_value() || number < *phase_first_received_;
  return opening_before_.has_value() && older ? *opening_before_ : opening_next_;
}

std::optional<Protection::Opened> Protection::open(Time now, Bytes packet, MutableBytes out,
                                                   Refused* refused) {
  const auto refuse = [refused](Refused why) {
    *refused = why;
    return std::nullopt;
  };
  const StageClock::Span span(keys_.stages, WorkStage::kTls);
  if (worn_out()) return refuse(Refused::kWornOut);
  if (peek_connection_id(packet) != keys_.receive_id) return refuse(Refused::kNotOurs);
  if (opening_before_.has_value() && now >= before_until_) opening_before_.reset();

  const auto mask = receive_mask_.of(sample_of(packet));
  std::array<std::byte, kHeaderBytesMax> header;
  std::copy_n(packet.begin(), header.size(), header.begin());
  header[0] ^= mask[0] & kHiddenBits;
  const std::size_t number_bytes = std::to_integer<std::size_t>(header[0] & kLengthBits) + 1;
  std::uint32_t truncated = 0;
  for (std::size_t i = 0; i < number_bytes; ++i) {
    header[kNumberOffset + i] ^= mask[1 + i];
    truncated = truncated << 8 | std::to_integer<std::uint32_t>(header[kNumberOffset + i]);
  }
  const std::size_t header_bytes = kNumberOffset + number_bytes;
  const PacketNumber number = expand_packet_number(replay_.largest(), truncated, number_bytes);
  if (!replay_.is_fresh(number)) return refuse(Refused::kReplayed);

  OpenKeys& keys = keys_for((header[0] & kPhaseBit) != std::byte{0}, number);
  const auto text =
      keys.cipher.open_into(packet_nonce(keys.iv, number), Bytes(header).first(header_bytes),
                            packet.subspan(header_bytes), out);
  if (!text.has_value()) {
    ++forged_;
    return refuse(Refused::kForged);
  }
  const bool newest = !replay_.largest().has_value() || number > *replay_.largest();
  replay_.take(number);
  if ((header[0] & kReservedBits) != std::byte{0}) return refuse(Refused::kReserved);
  const bool follows = &keys == &opening_next_;
  if (follows) update();
  if (follows || &keys == &opening_) {
    if (!phase_first_received_.has_value()) before_until_ = now + old_key_life_;
    phase_first_received_ = std::min(phase_first_received_.value_or(number), number);
  }
  return Opened{number, *text, newest};
}

}  // namespace longhaul::datagram
