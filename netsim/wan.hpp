// Wan: a network in one thread and in virtual time. Hosts, links (each the chain of config.hpp),
// shortest routes, datagrams, simulated TCP streams (streams.hpp) and faults. The same seed and
// calls give the same run, byte for byte: trace_hash() covers every packet's time, size and fate.
//
//   Wan wan(seed);
//   const HostId laptop = wan.add_host("laptop"), site = wan.add_host("site");
//   const LinkId ocean = wan.connect(laptop, site, profile);    // laptop is side a: it sends `up`
//   wan.bind(endpoint(site, 9000), server);                      // a DatagramUser
//   wan.send({endpoint(laptop, 5000), endpoint(site, 9000), Slice::copy_of("hello")});
//   wan.clock().after(3s, [&] { wan.apply(ocean, Outage{30s}); });
//   wan.run();                                                   // until nothing is left to happen
//
// Callbacks run one at a time and may call anything here. Users (DatagramUser, StreamUser) outlive
// their registration. Not thread-safe; many Wans may run in many threads.
#pragma once

#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "lib/base/slice.hpp"
#include "netsim/endpoint.hpp"
#include "netsim/link.hpp"
#include "netsim/nat.hpp"
#include "netsim/scheduler.hpp"
#include "netsim/wire_packet.hpp"

namespace netsim {

class Streams;

struct Datagram {
  Endpoint from, to;
  longhaul::Slice payload;
  Ecn ecn = Ecn::kNotEct;  // at the receiver: kCe if a queue has marked it
};
class DatagramUser {
 public:
  virtual ~DatagramUser() = default;
  virtual void on_datagram(Time now, const Datagram& datagram) = 0;
  // A datagram to `to` was over a hop's MTU, whose router said so; mtu_bytes counts the IP packet.
  virtual void on_too_big(Time /*now*/, Endpoint /*to*/, std::uint32_t /*mtu_bytes*/) {}
};

class Wan {
 public:
  explicit Wan(std::uint64_t seed);
  ~Wan();
  Wan(const Wan&) = delete;
  Wan& operator=(const Wan&) = delete;

  HostId add_host(std::string name);
  LinkId connect(HostId a, HostId b, const LinkConfig& config);  // a nonsense config is a bug
  // Packets at `here` for `to` leave by `via`, instead of the way with the fewest hops.
  void route(HostId here, HostId to, LinkId via);

  std::uint64_t seed() const { return seed_; }
  longhaul::Rng stream(std::string_view name) const { return rng_.stream(name); }
  Scheduler& clock() { return clock_; }
  Time now() const { return clock_.now(); }
  Streams& streams() { return *streams_; }

  // Running. `limit` guards against worlds that never end: at that time the run stops, too.
  bool step();
  void run();                 // until nothing is left; repeated link events do not count
  void run_until(Time when);  // and set now to it
  void run_for(Duration span) { run_until(now() + span); }
  bool run_until(const std::function<bool()>& done, Duration limit);  // true: done() holds

  // Datagrams. Payload + 28 bytes on the wire.
  void bind(Endpoint local, DatagramUser& user);  // a taken endpoint is a bug
  void unbind(Endpoint local);
  void send(Datagram datagram);

  // Faults.
  void apply(LinkId link, const EventKind& what);
  void reconfigure(LinkId link, const LinkConfig& config);
  // The NAT in front of the link's side a forgets what nothing left by for so long (nat.hpp).
  void forget_idle_mappings(LinkId link, Duration span);
  void crash(HostId host);  // packets to it vanish, its streams and sockets are gone without a word
  void restart(HostId host);  // empty: what was open before is answered with a reset
  bool is_up(HostId host) const { return hosts_[host.value()].up; }

  const Link& link(LinkId id) const { return lanes_[id.value()].link; }
  const std::string& name(HostId host) const { return hosts_[host.value()].name; }
  std::uint64_t trace_hash() const { return hash_; }
  std::uint64_t packet_hops() const { return hops_; }  // packets put on a link so far
  void check() const;  // invariants of all links; run by step() when checking(true)
  void checking(bool every_step) { check_steps_ = every_step; }

 private:
  friend class Streams;
  struct Host {
    std::string name;
    bool up = true;
    std::map<Address, LinkId> routes;  // by hand
    std::vector<LinkId> next_hop;      // by host number; computed when needed
  };
  struct Lane {  // a link and the hosts at its ends
    HostId a, b;
    Link link;
    Nat nat;
    TimerId wake{};
    Time wake_at{};
  };
  enum class Trace : std::uint8_t { kSent = 1, kArrived, kDropped, kUnroutable, kHostDown, kNoNat };

  void transmit(WirePacket packet);  // from its own host
  void forward(std::uint32_t index, HostId here);
  void put_on(LinkId via, HostId here, std::uint32_t index);
  void arrive_local(std::uint32_t index, HostId here);
  void poll(LinkId id);
  void on_delivery(Lane& lane, Direction direction, const Delivery& delivery);
  void on_drop(Lane& lane, Direction direction, const Drop& drop);
  void drain(LinkId id);
  void arm(LinkId id);
  void deliver_datagram(WirePacket& packet);
  std::optional<HostId> host_of(Address address) const;
  std::optional<LinkId> next_hop(HostId here, HostId to);
  void find_routes(HostId here);
  std::uint32_t store(WirePacket packet);
  WirePacket release(std::uint32_t index);
  void trace(Trace what, std::uint64_t detail);

  std::uint64_t seed_;
  longhaul::Rng rng_;
  Scheduler clock_;
  std::deque<Host> hosts_;
  std::deque<Lane> lanes_;
  std::vector<HostId> alias_owner_;  // of kFirstAlias + i
  std::map<Endpoint, DatagramUser*> bound_;
  std::vector<WirePacket> packets_;  // on links, by cookie
  std::vector<std::uint32_t> free_packets_;
  std::unique_ptr<Streams> streams_;
  std::uint64_t hash_ = 0xcbf29ce484222325U, hops_ = 0;
  bool check_steps_ = false;
};

}  // namespace netsim
