// Flow: one direction of a simulated TCP connection, both its ends: the sender's buffer and
// recovery, and the receiver's order and window. Pure: packets and time go in and out. What an
// application sees is TCP's: ordered bytes, a send buffer that fills, a window that closes, losses
// that stall what follows by a round trip (a later packet's ack shows them) or by a retransmission
// timeout with back-off.
//
// Simplified: acknowledgements carry perfect selective information (as SACK with unlimited blocks),
// every segment is acknowledged, nothing is delayed to be coalesced (TCP_NODELAY). Not thread-safe.
#pragma once

#include <cstdint>
#include <deque>
#include <optional>
#include <vector>

#include "lib/base/slice.hpp"
#include "netsim/congestion.hpp"
#include "netsim/ring.hpp"

namespace netsim {

struct FlowOptions {
  std::uint64_t send_buffer_bytes = 4U << 20;  // Linux's defaults, untuned
  std::uint64_t receive_buffer_bytes = 6U << 20;
  std::uint32_t mss_bytes = 1448;
  Congestion congestion = Congestion::kCubic;
  std::uint64_t fixed_window_bytes = 1U << 20;  // of Congestion::kFixed
};

class Flow {
 public:
  explicit Flow(const FlowOptions& options);

  // ---- Sender ----
  std::size_t write(const longhaul::Slice& bytes);  // takes what fits, returns how much
  void finish();                                    // a FIN behind what was written
  bool write_is_shut() const { return fin_written_; }
  std::uint64_t room() const;
  bool all_acked() const { return fin_written_ && segments_.empty(); }
  struct Segment {
    std::uint64_t index, transmission;
    std::uint32_t bytes;  // payload; 0: only the FIN
    std::uint32_t generation;
  };
  std::optional<Segment> poll_segment(longhaul::Time now);  // what may be sent now
  struct Ack {
    std::uint64_t received;    // transmissions that have arrived
    std::uint64_t window_end;  // stream offset up to which the receiver takes bytes
    std::uint32_t generation;
    bool marks;
  };
  void on_ack(longhaul::Time now, const Ack& ack);
  // True: a probe for the window is to be sent; segments follow by poll_segment.
  bool on_timeout(longhaul::Time now);
  std::optional<longhaul::Time> next_timeout() const;
  // Since when nothing that was sent has been acknowledged, if that led to timeouts.
  std::optional<longhaul::Time> stalled_since() const { return stalled_since_; }
  void set_mss(std::uint32_t mss_bytes);  // smaller: what is not acknowledged is cut anew
  void seed_rtt(longhaul::Duration rtt);  // from the handshake

  // ---- Receiver ----
  void on_segment(const Segment& segment, bool altered, bool marked);
  Ack make_ack();
  std::optional<longhaul::Slice> read(std::size_t bytes_max);  // in order; one piece
  bool at_end() const { return fin_received_ && read_offset_ == received_offset_; }
  std::uint64_t read_offset() const { return read_offset_; }

  // ---- For people and tests ----
  std::uint64_t window_bytes() const { return congestion_.bytes(); }
  std::uint64_t in_flight_bytes() const { return in_flight_; }
  std::uint64_t retransmissions() const { return retransmissions_; }
  std::uint64_t timeouts() const { return timeouts_; }
  std::uint64_t delivered_bytes() const { return delivered_bytes_; }
  longhaul::Duration smoothed_rtt() const { return smoothed_rtt_; }
  void check() const;

 private:
  struct Piece {  // of the stream, cut for the wire
    std::uint32_t bytes;
    bool fin, received, acked, waiting;  // waiting: lost, stands in to_resend_
  };
  struct Sent {
    std::uint64_t index;
    longhaul::Time at;
    std::uint32_t bytes;
    enum State : std::uint8_t { kOutstanding, kAcked, kLost } state;
    bool limited;
  };
  std::optional<std::uint64_t> next_to_resend();
  bool cut_next_piece();
  Segment transmit(longhaul::Time now, std::uint64_t index);
  void take_acked(longhaul::Time now, std::uint64_t transmission);
  void lose(Sent& sent, bool by_timeout);
  void find_losses();
  void drop_acked_pieces();
  void drop_used_slices();
  void on_rtt(longhaul::Duration sample);
  longhaul::Duration timeout() const;
  Piece& piece(std::uint64_t index) { return segments_[index - first_segment_]; }

  FlowOptions options_;
  CongestionWindow congestion_;
  std::deque<longhaul::Slice> buffer_;  // written, and not both acknowledged and read
  std::uint64_t buffer_offset_ = 0;     // of buffer_'s first byte in the stream
  std::uint64_t written_ = 0, cut_ = 0, acked_ = 0;
  bool fin_written_ = false, fin_cut_ = false;

  Ring<Piece> segments_;  // from the first unacknowledged on
  std::uint64_t first_segment_ = 0;
  Ring<std::uint64_t> to_resend_;
  Ring<Sent> sent_;
  std::uint64_t first_sent_ = 0, highest_acked_ = 0, recovery_until_ = 0, marks_until_ = 0;
  std::uint64_t forgotten_before_ = 0;  // transmissions given up for other reasons than later acks
  bool any_acked_ = false;
  std::uint64_t reorder_threshold_ = 3;
  std::uint64_t in_flight_ = 0, window_end_;
  std::uint32_t generation_ = 0;

  longhaul::Duration smoothed_rtt_{}, rtt_variation_{};
  longhaul::Time progress_{};  // last transmission into the void, or acknowledgement
  unsigned backoff_ = 0;
  std::optional<longhaul::Time> stalled_since_;
  std::uint64_t retransmissions_ = 0, timeouts_ = 0, delivered_bytes_ = 0;

  Ring<std::uint64_t> arrivals_;  // transmissions in order of arrival, not yet seen by the sender
  std::uint64_t arrivals_before_ = 0;
  std::uint64_t next_in_order_ = 0, received_offset_ = 0, read_offset_ = 0;
  bool fin_received_ = false, marks_ = false;
  std::size_t read_slice_ = 0;             // where reading goes on: slice of buffer_,
  std::size_t read_within_ = 0;            // and byte of it
  std::vector<std::uint64_t> altered_at_;  // stream offsets with a flipped bit, ascending
};

}  // namespace netsim
