// TcpModel: one direction of one TCP connection, as TCP would carry it over the link: segments,
// acknowledgements, a congestion window, fast recovery (a segment is lost when one sent three later
// has arrived), retransmission timeouts, in-order delivery. Sender and receiver in one object; only
// lengths, the bytes stay with the caller. What the link does to a segment shows as a stall, never
// as a gap. Pure; not thread-safe.
//
//   tcp.add(bytes);
//   while (auto segment = tcp.next_segment(now)) link.push(..)   // carries it to the other end
//   Arrival arrival = tcp.on_segment(*segment);                  // there: bytes to hand on, an ack
//   tcp.on_ack(now, arrival.ack);                                // back here
//
// netsim::Flow is the same for virtual time, where segments carry the bytes themselves.
#pragma once

#include <algorithm>
#include <cstdint>
#include <optional>

#include "netsim/config.hpp"
#include "netsim/congestion.hpp"
#include "netsim/ring.hpp"

namespace netsim::relay {

struct TcpModelOptions {
  std::uint32_t segment_bytes = 1448;           // payload of a full segment
  ByteCount window_max = ByteCount(64U << 20);  // receive window: unread plus in flight
  std::optional<Congestion> congestion = Congestion::kCubic;  // nullopt: the window alone
  auto operator<=>(const TcpModelOptions&) const = default;
};
inline constexpr std::uint32_t kHeaderBytes = 52;  // IPv4 + TCP with timestamps

struct Segment {
  std::uint64_t number = 0;        // place in the stream, from 0
  std::uint64_t transmission = 0;  // counts every sending, repeats too
  std::uint32_t bytes = 0;         // payload
  Time sent{};
};
struct Ack {
  std::uint64_t next = 0;                      // all segments before this one have arrived
  std::uint64_t number = 0, transmission = 0;  // and this one
  Time sent{};                                 // when that was sent, for the round-trip time
};
struct Arrival {
  std::uint64_t released_bytes = 0;  // in order, for the destination
  bool finished = false;             // the stream ended here
  Ack ack;
};
struct TcpModelCounters {
  std::uint64_t segments = 0, repeats = 0, timeouts = 0;
};

class TcpModel {
 public:
  explicit TcpModel(const TcpModelOptions& options);

  // ---- sender ----
  void open(Time now);  // the handshake is over; nothing leaves before
  void add(std::uint64_t bytes) { unsent_bytes_ += bytes; }
  void finish() { finish_asked_ = true; }  // FIN after all that was added
  std::optional<Segment> next_segment(Time now);
  void on_ack(Time now, const Ack& ack);
  void on_deadline(Time now);
  std::optional<Time> next_deadline() const { return timeout_at_; }
  std::uint64_t unsent_bytes() const { return unsent_bytes_; }
  // True when all that was ever added has arrived and is acknowledged.
  bool idle() const { return unsent_bytes_ == 0 && segments_.empty(); }

  // ---- receiver ----
  Arrival on_segment(const Segment& segment);
  void on_consumed(std::uint64_t bytes);  // the destination has taken them: the window opens

  const TcpModelCounters& counters() const { return counters_; }
  std::uint64_t window_bytes() const { return congestion_.bytes(); }
  void check() const;

 private:
  struct Sent {
    std::uint32_t bytes;
    bool last;                   // FIN
    bool arrived;                // at the receiver
    bool acked;                  // as the sender knows
    bool in_flight;              // counted in flight_bytes_
    std::uint64_t transmission;  // the latest
  };
  Sent& sent(std::uint64_t number) { return segments_[number - first_]; }
  std::uint64_t end() const { return first_ + segments_.size(); }
  bool make_segment();
  bool fits(std::uint32_t bytes) const;
  void mark_acked(std::uint64_t number, std::uint64_t& acked_bytes);
  void lose(std::uint64_t number);
  void find_losses(std::uint64_t arrived_transmission);
  void sample_rtt(Duration rtt);
  void arm(Time now);
  Duration timeout() const;

  TcpModelOptions options_;
  CongestionWindow congestion_;
  bool open_ = false, finish_asked_ = false, finish_made_ = false;
  std::uint64_t unsent_bytes_ = 0;
  Ring<Sent> segments_;  // from first_, the oldest not cumulatively acknowledged
  std::uint64_t first_ = 0;
  std::uint64_t fresh_ = 0;      // the next that was never sent
  Ring<std::uint64_t> lost_;     // to repeat, in the order found
  Ring<std::uint64_t> flights_;  // segment number of transmission flights_from_ + i
  std::uint64_t flights_from_ = 0;
  std::uint64_t recovery_until_ = 0;  // losses of transmissions before this belong to one event
  std::uint64_t flight_bytes_ = 0;
  std::uint64_t unconsumed_bytes_ =
      0;  // sent for the first time and not yet taken by the destination
  Duration srtt_{}, rttvar_{};
  bool has_rtt_ = false;
  std::uint32_t backoff_ = 0;
  std::optional<Time> timeout_at_;
  std::uint64_t next_ = 0;  // receiver: all before it are released
  TcpModelCounters counters_;
};

}  // namespace netsim::relay
