// Received: which packets of the peer have arrived and when, and when to say so. Acknowledgements
// are due after ten packets or 10 ms, so that they stay under one percent of what they acknowledge;
// at once for what was asked for at once. Remembers kAckRangesMax ranges: what lies below them was
// said often enough. Not thread-safe.
#pragma once

#include <array>
#include <cstdint>
#include <optional>

#include "lib/datagram/frames.hpp"

namespace longhaul::datagram {

constexpr Duration kAckDelay = std::chrono::milliseconds(10);
// What a sender must expect an acknowledgement to wait, in RFC 9002's terms max_ack_delay.
constexpr Duration kAckDelayMost = std::chrono::milliseconds(25);
constexpr std::uint32_t kAckPackets = 10;

class Received {
 public:
  explicit Received(Time start) : start_(start) {}

  // A packet that authenticated, once. eliciting: it asks for an acknowledgement. ago: how long it
  // lay here before anybody looked at it; no part of its way.
  void on_packet(Time now, PacketNumber number, bool eliciting, Duration ago = {});
  void hurry(Time now) { ack_at_ = now; }  // say it with the next packet
  // When an acknowledgement must go, if one is owed.
  std::optional<Time> ack_at() const { return ack_at_; }
  bool owes() const { return owed_ > 0; }  // a packet that goes anyhow may carry it
  bool any() const { return count_ > 0; }
  // What an Ack frame says now; any() must hold.
  AckFrame frame(Time now) const;
  void on_ack_sent();

 private:
  struct Arrival {
    PacketNumber number = 0;
    Duration at{};
  };
  static constexpr std::size_t kArrivals = 64;
  std::optional<Duration> arrival_of(PacketNumber number) const;
  void insert(PacketNumber number);

  const Time start_;
  std::array<AckFrame::Range, kAckRangesMax> ranges_{};  // the newest first
  std::size_t count_ = 0;
  std::array<Arrival, kArrivals> arrivals_{};  // by number % kArrivals
  Time largest_at_{};
  std::uint32_t owed_ = 0;
  std::optional<Time> ack_at_;
};

}  // namespace longhaul::datagram
