// The relay as a pure state machine: one Link that all TCP connections and UDP flows share, a
// Connection per TCP client, timers, outputs. Times chain on scheduled times, so a shell that wakes
// late delays what it hands on then, and nothing after it. Only counts and handles come in here;
// bytes and sockets stay in the shell. Not thread-safe.
//
//   core.on_x(now, ..); while (auto out = core.poll_output()) do it;
//   sleep until next_deadline(); core.on_deadline(now); drain again
#pragma once

#include <array>
#include <cstdint>
#include <memory>
#include <optional>
#include <vector>

#include "lib/base/ids.hpp"
#include "lib/base/rng.hpp"
#include "netsim/link.hpp"
#include "netsim/relay/config.hpp"
#include "netsim/relay/connection.hpp"
#include "netsim/time_queue.hpp"

namespace netsim::relay {

using ConnectionId = longhaul::Id<struct ConnectionTag>;  // slot and generation; never used twice

struct Output {
  enum class What : std::uint8_t {
    kConnection,    // `action` of `connection`
    kDatagram,      // send the datagram `handle` on; forget it unless `duplicate`
    kDatagramLost,  // forget the datagram `handle`
    kRebind,        // the NAT forgot: new source ports towards the server
  };
  What what = What::kRebind;
  Time at{};  // when it was due
  ConnectionId connection;
  Action action;
  Direction direction = Direction::kUp;
  std::uint64_t handle = 0;
  bool corrupt = false, duplicate = false;
};

struct CoreCounters {
  std::uint64_t connections = 0, refused = 0, resets = 0;
  std::array<std::uint64_t, 2> bytes{};     // of streams, handed on
  std::array<TcpModelCounters, 2> flows{};  // of all connections that are over
  std::array<std::uint64_t, 2> datagrams{}, datagrams_lost{};
};

class Core {
 public:
  Core(const RelayConfig& config, const longhaul::Rng& rng, Time start);

  ConnectionId on_accept(Time now);
  void on_dialed(Time now, ConnectionId id, bool ok);
  void on_read(Time now, ConnectionId id, Direction d, std::uint64_t bytes);
  void on_eof(Time now, ConnectionId id, Direction d);
  void on_error(Time now, ConnectionId id, Direction d);  // d: in which the RST is to travel
  void on_written(Time now, ConnectionId id, Direction d, std::uint64_t bytes);
  std::uint64_t room(ConnectionId id, Direction d) const;
  void on_datagram(Time now, Direction d, std::uint32_t payload_bytes, std::uint64_t handle);
  void on_deadline(Time now);
  std::optional<Time> next_deadline() const;
  std::optional<Output> poll_output();

  void reconfigure(Time now, const RelayConfig& config);
  void happen(Time now, const EventKind& what);
  void reset_all(Time now);
  void half_close_all(Time now, Direction d);

  RelayConfig config() const;     // with the steps so far
  CoreCounters counters() const;  // those still open included
  const Link& link() const { return link_; }
  std::size_t connections() const { return open_; }
  void check() const;

 private:
  struct Slot {
    std::unique_ptr<Connection> connection;
    std::uint64_t generation = 0;
    std::optional<Time> armed;
  };
  struct InLink {  // what a cookie stands for
    bool is_datagram = false;
    ConnectionId connection;
    std::uint64_t handle = 0;
    Wire wire;
  };
  Slot* find(ConnectionId id);
  const Slot* find(ConnectionId id) const;
  std::vector<ConnectionId> all() const;
  bool clear(Direction d) const;
  void run_until(Time now);
  void run_link(Time at);
  void settle(Time now, ConnectionId id);
  void on_output(Time now, ConnectionId id, const Action& action);
  void arm(ConnectionId id, Slot& slot);
  void push(Time now, Direction d, std::uint32_t bytes, const InLink& what);
  void on_delivery(const Delivery& delivery, Direction d);
  void on_drop(Time now, const Drop& drop, Direction d);
  void forget(ConnectionId id);

  RelayConfig config_;
  Link link_;
  std::vector<Slot> slots_;
  std::vector<std::size_t> free_slots_;
  std::size_t open_ = 0;
  std::vector<InLink> in_link_;
  std::vector<std::uint64_t> free_cookies_;
  TimeQueue<ConnectionId> timers_;
  Ring<Output> outputs_;
  CoreCounters counters_;
};

}  // namespace netsim::relay
