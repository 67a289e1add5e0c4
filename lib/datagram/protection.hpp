// Protection: the short-header packets of RFC 9001, both directions of one epoch. Layout and
// deviations: docs/wire.md.
//
//   packet = flags (1 byte), connection id (8), packet number (1-4), frames, tag (16)
//
// Invariants: a number is sealed once; a packet is opened once; nothing about the state changes
// before a packet has been authenticated. Not thread-safe; the session's strand.
#pragma once

#include <array>
#include <cstdint>
#include <optional>

#include "lib/base/stage_clock.hpp"
#include "lib/base/units.hpp"
#include "lib/datagram/packet_keys.hpp"
#include "lib/datagram/replay_window.hpp"

namespace longhaul::datagram {

constexpr std::size_t kConnectionIdBytes = 8;
using ConnectionId = std::array<std::byte, kConnectionIdBytes>;

// A datagram's connection id, by which the owner of a socket finds the session it is for; nullopt:
// too short, or no short header. It says nothing about who sent it.
std::optional<ConnectionId> peek_connection_id(Bytes datagram);

constexpr std::size_t kHeaderBytesMax = 1 + kConnectionIdBytes + 4;
// What a packet has besides its frames, at most.
constexpr std::size_t kPacketOverheadMax = kHeaderBytesMax + crypto::kTagBytes;
// Frames in a packet: fewer leave no sample for the header's protection.
constexpr std::size_t kFramesBytesMin = 4;

// RFC 9001 section 6.6 gives the last two per AEAD; tests lower all three.
struct KeyLimits {
  std::uint64_t update_after = 1U << 22;  // packets sealed in a phase before the next one is begun
  std::uint64_t sealed_max = 0;           // in a phase without an update; then nothing is sealed
  std::uint64_t forged_max = 0;           // in the epoch; then nothing is opened
};
KeyLimits limits_of(crypto::Aead aead);

struct EpochKeys {
  crypto::Aead aead = crypto::Aead::kAes128Gcm;
  Secret send_secret, receive_secret;
  ConnectionId send_id{}, receive_id{};
  StageClock* stages = nullptr;  // told of sealing and opening; outlives the epoch
};

enum class Refused : std::uint8_t {
  kNotOurs,   // too short, another form, another connection's id
  kForged,    // does not authenticate
  kReplayed,  // or so old that it might be
  kReserved,  // authentic, and its reserved bits are set: the peer is broken
  kWornOut,   // the forgery limit was met: the epoch is over
};
constexpr std::size_t kRefusedReasons = 5;

class Protection {
 public:
  Protection(const EpochKeys& keys, const KeyLimits& limits);

  // ---- Sending ----
  // Bytes before the frames of the next packet.
  std::size_t header_bytes() const;
  // False once no number may be sealed under these keys any more.
  bool may_seal() const;
  // Seals the next packet in place: header_bytes() of room, the frames, kTagBytes of room.
  PacketNumber seal(Time now, MutableBytes packet);
  PacketNumber next_number() const { return next_number_; }
  void on_acked(PacketNumber number);  // by the peer, and really sent

  // ---- Receiving ----
  struct Opened {
    PacketNumber number = 0;
    std::size_t frames_bytes = 0;  // at the front of `out`
    bool newest = false;           // of a higher number than all before
  };
  // `out`: room for the datagram's size. `refused` says why nothing came.
  std::optional<Opened> open(Time now, Bytes packet, MutableBytes out, Refused* refused);
  // For how long the last phase's keys stay after an update: three probe timeouts.
  void set_old_key_life(Duration life) { old_key_life_ = life; }

  bool worn_out() const { return forged_ >= limits_.forged_max; }
  std::uint64_t forged() const { return forged_; }
  std::uint64_t updates() const { return phase_; }
  const ConnectionId& receive_id() const { return keys_.receive_id; }

 private:
  using OpenKeys = PhaseKeys<crypto::Opener>;
  OpenKeys& keys_for(bool phase_bit, PacketNumber number);
  bool may_update(Time now) const;
  void update();

  const EpochKeys keys_;
  const KeyLimits limits_;
  Duration old_key_life_ = std::chrono::seconds(3);
  std::uint64_t phase_ = 0;

  crypto::HeaderMask send_mask_, receive_mask_;
  PhaseKeys<crypto::Sealer> sealing_;
  PacketNumber next_number_ = 0, phase_first_sent_ = 0;
  std::optional<PacketNumber> largest_acked_;

  OpenKeys opening_, opening_next_;  // the next is ready before it is needed: no timing tells
  std::optional<OpenKeys> opening_before_;
  Time before_until_{};
  std::optional<PacketNumber> phase_first_received_;
  ReplayWindow replay_;
  std::uint64_t forged_ = 0;
};

}  // namespace longhaul::datagram
