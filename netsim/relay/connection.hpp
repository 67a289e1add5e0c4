// Connection: one proxied TCP connection. The kernel has ended TCP on both sides of the relay; this
// models the TCP that would have crossed the link: handshake (the far side is dialled when the SYN
// has arrived, data flows when the handshake is over), a TcpModel each way, FIN and RST as packets,
// and an Outlet at each end. Pure; not thread-safe.
//
// Up is from the client (who connected to the relay) to the server. Direction d ends at its
// destination: up at the server, down at the client.
#pragma once

#include <array>
#include <cstdint>
#include <optional>

#include "netsim/relay/outlet.hpp"
#include "netsim/relay/tcp_model.hpp"
#include "netsim/ring.hpp"

namespace netsim::relay {

struct Wire {  // what crosses the link
  enum class Kind : std::uint8_t { kSyn, kSynAck, kHandshakeAck, kData, kAck, kReset };
  Kind kind = Kind::kSyn;
  Direction direction = Direction::kUp;  // in which it travels; an ack is of the other direction
  Segment segment;
  Ack ack;
  std::uint32_t bytes() const;  // on the wire, with headers
};

struct Action {  // what the shell is to do
  enum class What : std::uint8_t {
    kDial,     // connect to the server
    kWrite,    // hand on `bytes` from the direction's buffer
    kDiscard,  // drop `bytes` from the direction's buffer
    kFinish,   // shut down the destination for writing
    kReset,    // abort the destination's socket with RST
    kForget,   // close what is still open; the connection is over
  };
  What what = What::kForget;
  Direction direction = Direction::kUp;
  std::uint64_t bytes = 0;
};

inline constexpr std::uint64_t kUnsentMax = 256U << 10;  // bytes read ahead of what TCP has sent
inline constexpr std::uint64_t kBypassMax = 1U << 20;    // bytes held where the link does nothing

class Connection {
 public:
  Connection(const TcpModelOptions& options, const std::array<StreamFaults, 2>& faults);

  // ---- from the shell ----
  void on_open(Time now);
  void on_dialed(Time now, bool ok);
  // `clear`: the link does nothing in this direction now, so that bytes may pass it by.
  void on_read(Direction d, std::uint64_t bytes, bool clear);
  void on_eof(Direction d, bool clear);  // the direction's source has sent its FIN
  void on_error(Time now, Direction d);  // the source's socket failed: RST goes to the other side
  void on_written(Direction d, std::uint64_t bytes);
  std::uint64_t room(Direction d, bool clear) const;  // how much may be read from the source now

  // ---- from the link and the clock ----
  void on_wire(Time now, const Wire& wire);
  void on_deadline(Time now);
  std::optional<Time> next_deadline() const;

  // ---- faults ----
  void reconfigure(const std::array<StreamFaults, 2>& faults);
  void half_close(Direction d) { side(d).outlet.cut_off(); }
  void abort();  // RST to both sides at once

  // ---- drained after each of the above ----
  std::optional<Wire> poll_wire(Time now);
  std::optional<Action> poll_action(Time now);

  bool over() const { return over_; }
  const TcpModel& tcp(Direction d) const { return sides_[static_cast<std::size_t>(d)].tcp; }
  std::uint64_t passed_bytes(Direction d) const;

 private:
  struct Side {  // of one direction
    TcpModel tcp;
    Outlet outlet;
    std::uint64_t bypass_bytes = 0;  // past TCP, not yet taken
    std::uint64_t held_bytes = 0;    // read and not yet taken
  };
  Side& side(Direction d) { return sides_[static_cast<std::size_t>(d)]; }
  const Side& side(Direction d) const { return sides_[static_cast<std::size_t>(d)]; }
  bool may_bypass(const Side& s, bool clear) const;
  void send(Wire::Kind kind, Direction d);
  void act(Action::What what, Direction d, std::uint64_t bytes = 0);
  void end();
  void on_handshake(Time now, const Wire& wire);
  void drain_outlet(Time now, Direction d);
  void retry_handshake(Time now);

  std::array<Side, 2> sides_;
  Ring<Wire> wires_;
  Ring<Action> actions_;
  enum class Dial : std::uint8_t { kNo, kAsked, kDone, kRefused } dial_ = Dial::kNo;
  bool client_open_ = false, server_open_ = false, over_ = false;
  std::optional<Direction> reset_;  // a RST is on its way
  std::optional<Time> retry_at_;    // of SYN, SYN-ACK or RST
  std::uint32_t tries_ = 0;
};

}  // namespace netsim::relay
