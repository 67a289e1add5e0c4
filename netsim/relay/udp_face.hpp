// The sockets of the relay's UDP side: a flow per client address, each with its own socket towards
// the server. It holds datagrams while the core has them in the link. One thread.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "lib/base/rng.hpp"
#include "netsim/relay/core.hpp"
#include "netsim/relay/poller.hpp"
#include "netsim/relay/socket.hpp"

namespace netsim::relay {

class UdpFace {
 public:
  UdpFace(Core& core, Poller& poller, Address target, longhaul::Rng rng);
  longhaul::Result<> listen(const Address& address);
  void on_client_readable(Time now);
  void on_server_readable(Time now, std::uint64_t flow);
  void on_output(const Output& output);  // of kind kDatagram, kDatagramLost
  void rebind();                         // every flow gets a new source port towards the server
  void expire(Time now);                 // flows that were silent for five minutes
  // Received, but dropped because too much was held already, or refused by a socket.
  std::uint64_t overflow() const { return overflow_; }
  std::uint64_t send_failures() const { return send_failures_; }

 private:
  struct Flow {
    std::uint64_t id;
    Address client;
    Fd server;
    Time last{};
  };
  struct Held {
    std::uint64_t flow = 0;
    std::vector<std::byte> bytes;
  };
  Flow* flow_of(Time now, const Address& client);
  void take(Time now, Direction d, std::uint64_t flow, std::size_t bytes);
  void release(std::uint64_t handle);

  Core& core_;
  Poller& poller_;
  Address target_;
  longhaul::Rng rng_;  // which bit of a corrupt datagram flips
  Fd socket_;
  std::map<std::string, std::uint64_t> by_client_;
  std::map<std::uint64_t, Flow> flows_;
  std::uint64_t next_flow_ = 1;
  std::vector<Held> held_;
  std::vector<std::uint64_t> free_;
  std::uint64_t held_bytes_ = 0, overflow_ = 0, send_failures_ = 0;
  std::vector<std::byte> scratch_;
};

}  // namespace netsim::relay
