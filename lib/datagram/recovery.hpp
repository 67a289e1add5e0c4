// Recovery: what was sent, what became of it, and when to act, as RFC 9002 has it (deviations:
// docs/wire.md). What a packet carried comes back to the owner item by item: acknowledged or lost,
// each exactly once, however many copies of it were sent. Nothing is sent from here.
//
// Not thread-safe.
#pragma once

#include <algorithm>
#include <cstdint>
#include <optional>
#include <span>
#include <vector>

#include "lib/base/result.hpp"
#include "lib/base/ring.hpp"
#include "lib/datagram/frames.hpp"
#include "lib/datagram/rate_state.hpp"
#include "lib/datagram/received.hpp"

namespace longhaul::datagram {

// One thing that a packet carried, as its owner names it; here it is only kept and handed back.
struct Item {
  std::uint64_t name = 0;
  std::uint32_t offset = 0, bytes = 0;
  std::uint8_t kind = 0, lane = 0;
  bool operator==(const Item&) const = default;
};

class ItemSink {
 public:
  ItemSink() = default;
  virtual ~ItemSink() = default;
  ItemSink(const ItemSink&) = delete;
  ItemSink& operator=(const ItemSink&) = delete;
  virtual void on_acked(const Item& item) = 0;
  virtual void on_lost(const Item& item) = 0;
};

class RttEstimate {  // RFC 9002 section 5
 public:
  explicit RttEstimate(Duration first_guess)
      : smoothed_(first_guess), variation_(first_guess / 2) {}
  void on_sample(Duration sample, Duration held);
  Duration smoothed() const { return smoothed_; }
  Duration least() const { return least_; }  // zero: no sample yet
  bool known() const { return least_ > Duration{}; }
  Duration probe_timeout() const;  // with the peer's acknowledgement delay
  Duration longest() const { return std::max(smoothed_, latest_); }

 private:
  Duration smoothed_, variation_, latest_{}, least_{};
};

class Recovery {
 public:
  enum class Kind : std::uint8_t {
    kQuiet,      // asks for no acknowledgement and is not in flight
    kEliciting,  // everything else
    kMtuProbe,   // its loss says only that it was too large
  };
  struct Outcome {
    std::vector<AckedPacket> acked;
    std::vector<SentPacket> lost;
    std::vector<SentPacket> forgotten;  // MTU probes that were lost: no sign of congestion
    std::optional<std::uint32_t> probe_acked, probe_lost;  // IP bytes
    std::uint32_t largest_acked_bytes = 0;                 // of a packet now acknowledged
    bool any_new = false;
    void clear();
  };

  Recovery(Time now, Duration rtt_guess) : rtt_(rtt_guess), heard_(now) {}

  // `packet` as the rate control made it; numbers rise by one.
  void on_sent(Time now, Kind kind, const SentPacket& packet, std::span<const Item> items);
  // A copy of what the oldest packet in flight carries is about to go out: its items, or nothing.
  std::span<const Item> oldest_uncopied();
  void on_copy_sent(Time now, const SentPacket& packet);
  // An error: the peer acknowledges what was never sent.
  Result<> on_ack(Time now, const AckFrame& ack, ItemSink& sink, Outcome* out);
  // What was acknowledged may have waited in our socket: it is heard only now.
  void on_heard(Time now) { heard_ = std::max(heard_, now); }
  void on_deadline(Time now, ItemSink& sink, Outcome* out);  // losses by time
  std::optional<Time> loss_at() const { return loss_at_; }
  std::optional<Time> probe_at() const;  // RFC 9002's PTO
  void on_probe_due() { ++probes_; }
  // The path is thought dead: all that is in flight is lost, for other paths to carry. The packets
  // are given back for the rate control to forget.
  void give_up(ItemSink& sink, std::vector<SentPacket>* forgotten);

  const RttEstimate& rtt() const { return rtt_; }
  std::uint32_t probes() const { return probes_; }  // in a row without an answer
  std::uint64_t in_flight_packets() const { return in_flight_; }
  // Since when the oldest packet in flight waits, with nothing heard meanwhile.
  std::optional<Time> silent_since() const;
  std::optional<PacketNumber> largest_acked() const { return largest_acked_; }
  std::uint64_t spurious() const { return spurious_; }
  std::size_t remembered() const { return records_.size(); }  // packets
  void check() const;

 private:
  enum class State : std::uint8_t { kInFlight, kAcked, kLost, kQuiet, kForgotten };
  struct Record {
    SentPacket packet;
    std::uint64_t first_item = 0;  // place in items_, counted since the start
    std::uint32_t item_count = 0;
    Kind kind = Kind::kQuiet;
    State state = State::kQuiet;
    bool copied = false;
    Time lost_at{};
  };
  struct Kept {
    static constexpr std::uint64_t kNone = ~std::uint64_t{0};
    Item item;
    std::uint64_t twin = kNone;  // of a copy and its original: each other
    bool waits = true;           // for its packet's fate
    bool told = false;           // the owner knows
  };
  Record* record(PacketNumber number);
  Kept* kept(std::uint64_t place);
  void push(Time now, Kind kind, const SentPacket& packet);
  void settle(Record& packet, bool arrived, ItemSink& sink);
  void take_acked(const AckFrame& ack, Record& packet, ItemSink& sink, Outcome* out);
  void set_arrival_times(const AckFrame& ack, std::span<AckedPacket> acked);
  void find_losses(Time now, ItemSink& sink, Outcome* out);
  Duration loss_delay() const;
  void forget_old(Time now);

  RttEstimate rtt_;
  Ring<Record> records_;  // records_[i] is number floor_ + i
  PacketNumber floor_ = 0;
  Ring<Kept> items_;
  std::uint64_t items_floor_ = 0;
  std::vector<PacketNumber> holes_;  // below the largest acknowledged, and not so themselves
  std::optional<PacketNumber> largest_acked_;
  PacketNumber next_copy_ = 0;
  std::uint64_t in_flight_ = 0, spurious_ = 0;
  std::uint64_t reorder_packets_ = 3;  // RFC 9002 kPacketThreshold; grows with what is seen
  std::uint32_t reorder_eighths_ = 1;  // of the RTT beyond it; likewise
  std::uint32_t probes_ = 0;
  std::optional<Time> loss_at_;
  Time last_eliciting_{}, heard_;
};

}  // namespace longhaul::datagram
