// The sockets of the relay's TCP side. It reads what the core has room for, keeps the bytes until
// the core hands them on, and decides nothing. Edge-triggered: a source stays `readable` until a
// read would block. One thread.
#pragma once

#include <array>
#include <cstdint>
#include <map>
#include <memory>
#include <vector>

#include "netsim/relay/byte_fifo.hpp"
#include "netsim/relay/core.hpp"
#include "netsim/relay/poller.hpp"
#include "netsim/relay/socket.hpp"

namespace netsim::relay {

class TcpFace {
 public:
  TcpFace(Core& core, Poller& poller, Address target);

  longhaul::Result<> listen(const Address& address);  // `down` closes it, `up` opens it again
  longhaul::Result<> reopen();
  void close_listener();
  Address listening_on() const { return listen_address_; }

  void on_acceptable(Time now);
  void on_event(Time now, Face face, std::uint64_t key, std::uint32_t events);
  void on_output(Time now, const Output& output);  // of kind kConnection
  // Sources that have bytes, if the core has room for them now. kSome: call again, after the
  // outputs.
  enum class Progress : bool { kNone, kSome };
  Progress read_more(Time now);
  std::uint64_t accept_failures() const { return accept_failures_; }

 private:
  struct Stream {
    explicit Stream(ChunkPool& pool) : fifos{ByteFifo(pool), ByteFifo(pool)} {}
    ConnectionId id;
    Fd client, server;
    std::array<ByteFifo, 2> fifos;       // by direction
    std::array<std::uint64_t, 2> due{};  // of its fifo, to be written now
    std::array<bool, 2> readable{}, finish{}, shut{};
    bool dialing = false, forgotten = false, waiting = false;
    Fd& source(Direction d) { return d == Direction::kUp ? client : server; }
    Fd& destination(Direction d) { return d == Direction::kUp ? server : client; }
  };
  Stream* find(std::uint64_t key);
  void dial(Time now, Stream& s);
  void read(Time now, Stream& s, Direction d);
  void flush(Time now, Stream& s, Direction d);
  void fail(Time now, Stream& s, Direction rst_travels);
  void close_if_done(Stream& s);

  Core& core_;
  Poller& poller_;
  Address target_, listen_address_;
  Fd listener_;
  ChunkPool pool_;
  std::map<std::uint64_t, std::unique_ptr<Stream>> streams_;  // by connection id
  std::vector<std::uint64_t> waiting_;                        // still readable when last read
  std::vector<std::uint64_t> dead_;  // to be erased when nobody refers to them
  std::uint64_t accept_failures_ = 0;
};

}  // namespace netsim::relay
