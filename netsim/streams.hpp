// Streams: simulated TCP connections over a Wan, as an application sees TCP (flow.hpp says what is
// simplified): a handshake of one round trip with retried SYNs, ordered bytes both ways, a send
// buffer that fills, half close by FIN, RST, silence while a link is down, and an end by timeout
// when nothing comes back for long.
//
//   struct Echo : StreamUser { void on_bytes(Time, StreamId s, Slice bytes) override {
//   streams.write(s, bytes); } }; streams.listen(endpoint(site, 443), [&](Time, StreamId, Endpoint)
//   -> StreamUser* { return &echo; }); const StreamId s = streams.dial(laptop, endpoint(site, 443),
//   client);
//
// A StreamId names one end. After on_closed, or close(), the end is gone: calls with it do nothing
// and return 0.
#pragma once

#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <vector>

#include "netsim/flow.hpp"
#include "netsim/wan.hpp"

namespace netsim {

using StreamId = longhaul::Id<struct StreamTag>;  // 0: none

enum class CloseReason : std::uint8_t {
  kFinished,  // both directions ended and were acknowledged
  kReset,     // RST: the peer, or something on the way, aborted
  kRefused,   // nobody listens there
  kTimedOut,  // no answer for StreamOptions::give_up
};
std::string_view name_of(CloseReason reason);

class StreamUser {
 public:
  virtual ~StreamUser() = default;
  virtual void on_connected(Time /*now*/, StreamId) {}  // of the dialling end
  virtual void on_bytes(Time now, StreamId stream, longhaul::Slice bytes) = 0;
  virtual void on_writable(Time /*now*/, StreamId) {}  // after a write that was cut short
  virtual void on_end(Time /*now*/, StreamId) {}       // the peer's FIN; ours may still write
  virtual void on_closed(Time now, StreamId stream, CloseReason reason) = 0;  // the last call
};

struct StreamOptions {
  FlowOptions flow;  // both directions
  bool ecn = false;
  std::uint32_t slice_bytes = 0;  // bytes come in pieces of at most this size; 0: as they come
  Duration give_up = std::chrono::minutes(15);        // as Linux's tcp_retries2
  Duration dial_give_up = std::chrono::seconds(127);  // as its tcp_syn_retries
  bool find_mtu = true;  // after a second timeout in a row, try smaller segments
  // Faults: both ends see a reset once so many bytes of this direction were handed over.
  std::optional<std::uint64_t> reset_after_sent,
      reset_after_received;  // as the dialling end counts
};

struct StreamInfo {
  Duration smoothed_rtt{};
  std::uint64_t window_bytes = 0, in_flight_bytes = 0, room_bytes = 0;
  std::uint64_t retransmissions = 0, timeouts = 0;
  std::uint64_t delivered_bytes = 0;  // acknowledged, out of order as well, resent ones twice
};

class Streams {
 public:
  // The user of the accepted end, or nullptr to refuse it.
  using Acceptor = std::function<StreamUser*(Time now, StreamId stream, Endpoint from)>;

  explicit Streams(Wan& wan) : wan_(wan) {}

  void listen(Endpoint local, Acceptor acceptor);  // a taken endpoint is a bug
  void stop_listening(Endpoint local);
  StreamId dial(HostId from, Endpoint to, StreamUser& user, StreamOptions options = {});

  std::size_t write(StreamId stream, const longhaul::Slice& bytes);  // takes what fits; 0 when shut
  void finish(StreamId stream);                                      // FIN after what was written
  void close(StreamId stream);           // RST, unless both directions are done; no more callbacks
  void pause_reading(StreamId stream);   // bytes stay in the receive buffer, then the window closes
  void resume_reading(StreamId stream);  // may call on_bytes at once
  StreamInfo info(StreamId stream) const;
  Endpoint local(StreamId stream) const;
  Endpoint peer(StreamId stream) const;  // as seen through a NAT
  std::size_t open() const;              // ends that are not gone

 private:
  friend class Wan;
  enum class State : std::uint8_t { kDialling, kAnswering, kOpen, kGone };
  struct End {
    State state = State::kGone;
    StreamUser* user = nullptr;
    Endpoint local, peer;
    bool paused = false, wants_room = false, told_end = false, reading = false;
    bool finished = false;  // gone in order: a FIN that comes again is still acknowledged
    TimerId timer{};
    Time timer_at{};
  };
  struct Connection {
    Connection(const StreamOptions& o) : options(o), flows{Flow(o.flow), Flow(o.flow)} {}
    StreamOptions options;
    std::array<End, 2> ends;    // 0 dialled
    std::array<Flow, 2> flows;  // flows[i] carries what ends[i] sends
    Time dialled{};
    int dial_tries = 0;
  };

  static StreamId id_of(std::uint32_t connection, std::size_t side) {
    return StreamId((std::uint64_t{connection} + 1) * 2 + side);
  }
  static std::uint32_t connection_of(StreamId id) {
    return static_cast<std::uint32_t>(id.value() / 2 - 1);
  }
  static std::size_t side_of(StreamId id) { return id.value() % 2; }
  Connection* find(StreamId id) const;  // nullptr if that end is gone

  void on_packet(const WirePacket& packet);
  void on_too_big(const WirePacket& packet, std::uint32_t mtu_bytes);
  void crash(HostId host);
  void bury();  // frees connections whose ends are both gone; between steps
  void check() const;

  void on_syn(const WirePacket& packet);
  void on_syn_ack(Connection& c, const WirePacket& packet);
  void establish(Connection& c, std::uint32_t number);
  void on_segment(Connection& c, std::size_t side, const WirePacket& packet);
  void on_flow_packet(Connection& c, std::size_t side, const WirePacket& packet);
  void send_syn(Connection& c, std::uint32_t number);
  void send_control(Connection& c, std::uint32_t number, std::size_t side, WirePacket::What what);
  void send_ack(Connection& c, std::uint32_t number, std::size_t side);
  void send_reset_to(const WirePacket& packet);
  void pump(Connection& c, std::uint32_t number, std::size_t side);
  void hand_over(Connection& c, std::uint32_t number, std::size_t side);
  bool cut_here(Connection& c, std::uint32_t number, std::size_t side);
  void arm(Connection& c, std::uint32_t number, std::size_t side);
  void on_timer(std::uint32_t number, std::size_t side);
  void try_finished(Connection& c, std::uint32_t number);
  void end(Connection& c, std::uint32_t number, std::size_t side, CloseReason reason);
  void vanish(Connection& c, std::uint32_t number, std::size_t side);

  Wan& wan_;
  std::map<Endpoint, Acceptor> listeners_;
  std::vector<std::unique_ptr<Connection>> connections_;  // by number; numbers are not used again
  std::vector<std::uint32_t> graves_;
  std::map<Address, std::uint16_t> next_port_;
};

}  // namespace netsim
