// Channel: the datagram path of a session, for one epoch: packets, acknowledgements, recovery,
// rate, address and size of packets in one state machine. The owner's frames go in through Load and
// come out through it. Silent to whatever does not authenticate, which is only counted.
//
//   channel.on_datagram(now, from, bytes);           // any input
//   while (auto batch = channel.poll(now)) send(*batch);
//   wake_at(channel.next_deadline(now));             // then on_deadline(now)
//
// Not thread-safe; the session's strand.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <vector>

#include "lib/datagram/address.hpp"
#include "lib/datagram/load.hpp"
#include "lib/datagram/mtu_search.hpp"
#include "lib/datagram/protection.hpp"
#include "lib/datagram/rate_control.hpp"
#include "lib/datagram/received.hpp"
#include "lib/datagram/route.hpp"

namespace longhaul::datagram {

constexpr Duration kKeepalive = std::chrono::seconds(15);  // half of the shortest NAT timers
constexpr Duration kSilenceMax = 3 * kKeepalive;
constexpr std::uint64_t kSmallBytes = 128;  // a packet that proves or acknowledges

struct ChannelOptions {
  std::optional<Address> peer;  // of the side that begins
  std::optional<KeyLimits> limits;
  RateOptions rate;
  BufferPool* buffers = nullptr;  // required; outlives the channel and its slices
};

// What a path is good for.
enum class Life : std::uint8_t {
  kTrying,  // nothing has come back yet
  kAlive,
  kStalled,  // what was in flight was given up; probes go on
  kOver,     // its keys are worn out, or the peer broke the protocol
};
std::string_view name_of(Life life);

struct ChannelCounters {
  std::uint64_t packets_in = 0, packets_out = 0, bytes_in = 0, bytes_out = 0;  // UDP payload
  std::uint64_t data_packets_out = 0, resent_early = 0, lost = 0, spurious = 0, stalls = 0;
  std::array<std::uint64_t, kRefusedReasons> refused{};  // by Refused
  std::uint64_t acks_out = 0, address_changes = 0;
  std::uint64_t dropped_there = 0;  // of what was lost: the peer's socket had no room for it
};

class Channel {
 public:
  struct Batch {  // one behind the other, each of each_bytes but for the last
    Address to;
    Slice bytes;
    std::uint32_t each_bytes = 0;
  };

  // `load` outlives the channel.
  Channel(Time now, const EpochKeys& keys, const ChannelOptions& options, Load& load);

  // One datagram, which came in `ago` before now. An error: the peer, which authenticated, breaks
  // the protocol.
  Result<> on_datagram(Time now, const Address& from, Bytes datagram, Duration ago = {});
  // How many datagrams our socket has dropped for want of room, ever; before those that came next.
  void on_socket_drops(std::uint64_t so_far);
  void on_deadline(Time now);
  void on_blocked(bool blocked) { blocked_ = blocked; }
  void on_too_big(std::size_t bytes) { mtu_.on_too_big(static_cast<std::uint32_t>(bytes)); }
  void on_addresses_changed(Time now);  // ours: say something, and ask whether we are heard
  // Give up what is in flight: another path takes it over. New load waits for a sign of life.
  void give_up(Time now);
  void rest(bool resting) { resting_ = resting; }  // carry nothing but acknowledgements and probes

  std::optional<Batch> poll(Time now);
  std::optional<Time> next_deadline(Time now) const;

  Life life() const { return life_; }
  // Alive, and not silent for so long that even keepalives must have been lost: a process that was
  // stopped does not know yet.
  bool heard(Time now) const { return life_ == Life::kAlive && now - heard_at_ <= kSilenceMax; }
  const RttEstimate& rtt() const { return recovery_.rtt(); }
  RateControl& rate() { return rate_; }
  const RateControl& rate() const { return rate_; }
  std::uint32_t packet_bytes() const { return mtu_.size(); }
  std::uint64_t in_flight_packets() const { return recovery_.in_flight_packets(); }
  const ChannelCounters& counters() const { return counters_; }
  const Protection& protection() const { return protection_; }
  const Route& route() const { return route_; }
  Time heard_at() const { return heard_at_; }  // an acknowledgement, or any packet of the peer
  void check() const {
    recovery_.check();
    rate_.check();
  }

 private:
  // channel.cpp
  Result<> read_frames(Time now, const Address& from, const Slice& frames, PacketNumber number,
                       Duration ago);
  Result<> on_ack(Time now, const AckFrame& ack, Duration ago);
  void take_drops(Time now, std::uint64_t dropped);
  void take_lost(Time now, std::span<const SentPacket> lost);
  void apply(Time now, const Recovery::Outcome& outcome);
  Duration stall_after() const;
  std::optional<Time> stall_at() const;
  std::optional<Time> silence_at() const;  // of the rate control
  void note_stream(Time now);
  std::optional<Time> hush_at() const;  // a stream of packets has stopped coming
  void excuse_stop(Time now);
  void come_alive(Time now);

  // channel_output.cpp
  struct Wish {  // what one packet is for
    enum class What : std::uint8_t {
      kLoad,
      kUrgent,
      kCopy,
      kPing,
      kAck,
      kMtuProbe,
      kChallenge,
      kResponse
    };
    What what = What::kLoad;
    Token token{};
    std::uint32_t bytes_max = 0;  // of the datagram
  };
  bool may_load(Time now) const;
  bool may_resend(Time now) const;
  std::optional<Batch> poll_path(Time now);
  std::optional<Batch> poll_mtu_probe(Time now);
  std::optional<Batch> poll_load(Time now);
  std::optional<Batch> poll_rest(Time now);
  std::optional<Batch> single(Time now, const Address& to, const Wish& wish);
  std::size_t build(Time now, const Wish& wish, MutableBytes out);
  bool compose(Time now, const Wish& wish, Packing& packet);
  bool add_ack(Time now, Packing& packet);
  std::uint32_t wire_bytes(std::size_t datagram_bytes) const;

  Load& load_;
  BufferPool& pool_;
  Protection protection_;
  Recovery recovery_;
  Received received_;
  RateControl rate_;
  MtuSearch mtu_;
  Route route_;
  Recovery::Outcome outcome_;
  std::vector<Item> items_;
  ChannelCounters counters_;
  std::optional<std::uint64_t> socket_drops_before_;
  std::uint64_t socket_drops_ = 0;  // ours, since the first packet
  std::uint64_t peer_drops_ = 0;    // as it says
  std::uint64_t excused_ = 0;       // of them, not found among the lost yet
  Time excused_until_{};

  Life life_ = Life::kTrying;
  bool blocked_ = false, resting_ = false, ping_due_ = false;
  std::uint32_t probes_due_ = 0;
  std::uint64_t resends_earned_ = 0;  // in parts of kResendShare
  std::uint64_t urgent_over_window_ = 0;
  struct Answer {
    Address to;
    Token token{};
  };
  std::optional<Answer> answer_;
  Time sent_at_, heard_at_, stalled_since_{}, next_probe_{};
  Time read_by_{};                    // what came while we stood still is read by then
  std::uint32_t stream_packets_ = 0;  // that came without a pause
  Time stream_at_{};                  // the last of them
};

}  // namespace longhaul::datagram
