// RateControl: how fast the datagram path may send. Model-based: it measures what the peer
// received, when, and with how much delay, and keeps the bottleneck busy behind a queue of a few
// milliseconds. docs/rate.md explains it. Pure, integers only: same inputs, same outputs. Not
// thread-safe.
//
//   for (auto room = rate.burst(now); a packet waits and fits room; room -= its bytes)
//     kept.push(rate.on_sent(now, number, packet_bytes, limited));
//   wake_at(rate.next_send());      // nullopt: the window is full, an ack or a loss opens it
//   ..
//   rate.on_acked(now, packets, ack_delay);   // all that one ACK newly acknowledged, then
//   rate.on_lost(now, lost);                  // what loss recovery gave up because of it
//   wake_at(rate.next_deadline());  // then on_deadline(now)
//
// Bytes in flight are counted here: each packet of on_sent() must come back exactly once by
// on_acked(), on_lost() or on_forgotten(); one that on_lost() had may come again, by on_acked()
// with `was_lost`. Packets that must go at once (probe timeouts, acks alone, path challenges) may
// be sent past may_send(): report them all the same, unless they are not acknowledged.
#pragma once

#include <array>
#include <optional>
#include <span>

#include "lib/datagram/pacer.hpp"
#include "lib/datagram/rate_state.hpp"

namespace longhaul::datagram {

class RateControl {
 public:
  RateControl(Time now, const RateOptions& options);

  // ---- Inputs ----
  // app_limited: after this packet nothing waits that the rate would have let go.
  SentPacket on_sent(Time now, std::uint64_t number, std::uint32_t bytes, bool app_limited);
  // In any order; ack_delay: how long the peer held its acknowledgement of the newest of them.
  void on_acked(Time now, std::span<const AckedPacket> packets, Duration ack_delay);
  void on_lost(Time now, std::span<const SentPacket> packets);
  // Neither acknowledged nor lost: keys or epoch went, the content was withdrawn.
  void on_forgotten(std::span<const SentPacket> packets);
  // The address changed by more than its port, or the way did: what was measured is void but for
  // the rate, which is resumed with care.
  void on_path_change(Time now);
  void on_deadline(Time now);  // call at or after next_deadline()
  void set_mode(RateMode mode) { options_.mode = mode; }
  void set_limit(BytesPerSecond limit) { options_.limit = limit; }  // zero: none

  // ---- Outputs ----
  bool may_send(Time now) const;
  // When the next packet may go, maybe in the past; nullopt: the window is full.
  std::optional<Time> next_send() const;
  // How much may leave in one batch now: at most max(2 packets, 1 ms of the rate).
  ByteCount burst(Time now) const;
  std::optional<Time> next_deadline() const;
  BytesPerSecond rate() const { return pacing_; }
  ByteCount window() const { return window_; }
  ByteCount in_flight() const { return in_flight_; }
  RateState state() const;
  KnownLink learned() const;  // to be remembered for the next session
  void check() const;

 private:
  static constexpr std::size_t kRateRounds = 8;
  void end_round(Time now);
  void set_pacing(Time now, BytesPerSecond rate);
  BytesPerSecond capacity() const;
  Duration rtt_or_guess() const;

  RateOptions options_;
  Pacer pacer_;
  RatePhase phase_;
  BytesPerSecond pacing_, delivered_;
  ByteCount window_, in_flight_;
  Duration rtt_min_{}, rtt_smooth_{};
  Duration base_{Duration::max()}, round_delay_{Duration::max()}, queue_{};
  std::uint32_t round_ = 0;
  Time round_start_{}, last_heard_{};
  std::uint64_t round_bytes_ = 0, round_lost_ = 0;
  Duration first_received_{}, last_received_{};
  bool round_limited_ = false;
  std::array<std::uint64_t, kRateRounds> rates_{};
  std::uint32_t flat_rounds_ = 0, loss_ppm_ = 0;
  std::uint64_t acked_bytes_ = 0, lost_bytes_ = 0;
};

}  // namespace longhaul::datagram
