// SessionWorld: two nodes, a link, and a session between them, all in virtual time: what lib/io
// does with sockets, done with netsim's simulated TCP. The laptop dials; the site listens.
#pragma once

#include <deque>
#include <map>
#include <memory>
#include <optional>
#include <span>
#include <vector>

#include "lib/crypto/tls_context.hpp"
#include "lib/session/session.hpp"
#include "netsim/policer.hpp"
#include "netsim/streams.hpp"
#include "netsim/wan.hpp"
#include "tests/session/script_service.hpp"

namespace longhaul::test {

constexpr Duration kSocketBeat = 2ms;  // a socket is asked for room so often while something waits

struct LinkShape {
  Duration rtt = 158ms;
  std::uint64_t megabits = 100;
  double loss = 0;
  double queue_bdp = 1.0;
};
netsim::LinkConfig make_link(const LinkShape& shape);

// What a network does to UDP and to nothing else, on its way from either side.
struct UdpThrottle {
  BytesPerSecond rate;
  ByteCount burst;  // a token bucket of so much; what finds it empty is dropped
  ByteCount queue;  // over zero: a shaper, and no bucket; what finds so much waiting is dropped
};

struct WorldOptions {
  LinkShape link;
  netsim::StreamOptions streams;
  std::optional<netsim::StreamOptions> first_dial;  // of the first connection only
  session::SessionOptions session;
  // FIN instead of a byte, once so many went out on the first connection, of the side named.
  std::optional<std::uint64_t> laptop_finishes_after, site_finishes_after;
  Duration job_time_max{};  // jobs come back after up to so long; zero: at once
  bool give_path_info = true;
  bool check_every_step = true;
  bool udp_blocked = false;  // a network that lets no UDP through
  std::optional<UdpThrottle> udp_throttle;
};

// One side: it owns its connections and drives its session; it decides nothing.
class Node final : public netsim::StreamUser, public netsim::DatagramUser {
 public:
  Node(netsim::Wan& wan, netsim::HostId host, const crypto::TlsContext& tls,
       const WorldOptions& options, std::uint64_t seed, BufferPool& buffers);
  void listen(std::uint16_t port);
  void dial(netsim::Endpoint to, const crypto::Pin& peer);
  void forget_session();  // as if the process had died and begun anew
  void cut_streams();     // RST on all of its connections
  void drain();           // after using the service or the session directly

  ScriptService service;
  // What the next session carries instead of `service`, and beside it; both outlive the session.
  std::function<session::Service&()> make_service, make_second;
  session::TraceSink* trace = nullptr;  // of the sessions that begin from now on
  bool trace_payloads = false;
  std::unique_ptr<session::Session> session;
  std::vector<std::pair<Time, session::Event>> events;
  std::vector<crypto::Pin> admitted;                  // listening side: keys that may come in
  std::uint64_t output_hash = 0xcbf29ce484222325ULL;  // over every output, in order
  std::uint64_t written_bytes = 0, dials = 0;
  bool offline = false;  // the machine has no address: a dial fails at once, as in a kernel
  std::uint64_t wakes = 0, samples = 0;  // by its timer; of its sockets
  Duration clock_ahead{};                // of the world's: a suspend, a jump
  std::int64_t clock_ppm = 0;            // it goes faster by so many millionths
  Time clock() const {
    if (asleep_since_.has_value()) return *asleep_since_;
    const Duration passed = wan_.now() - Time{};
    return wan_.now() + clock_ahead + passed / 1'000'000 * clock_ppm;
  }
  // The machine is suspended: nothing of it runs until it wakes, its clock (CLOCK_BOOTTIME) goes
  // on.
  void sleep_for(Duration span);
  // The process is stopped: what comes meanwhile waits in its sockets, and is read when it goes on,
  // behind its timers.
  void stop_for(Duration span);
  // From now on its sockets fill, and whoever writes to them waits; its timers go on.
  void read_nothing();
  void wake() { tick(); }  // its timers are looked at, whatever they say
  // Told of each byte that a connection of ours hands to its session or greeter.
  std::function<void(const Slice&)> on_each_read;
  // Told of each datagram that comes in, before the session is.
  std::function<void(const netsim::Datagram&)> on_each_datagram;
  void reset_one(session::PathRole role);  // RST on one of its connections of this role
  std::size_t open_streams() const { return connections_.size(); }
  template <class E>
  std::vector<std::pair<Time, E>> events_of() const {
    std::vector<std::pair<Time, E>> out;
    for (const auto& [at, event] : events) {
      if (const auto* held = std::get_if<E>(&event)) out.emplace_back(at, *held);
    }
    return out;
  }

  void on_datagram(Time now, const netsim::Datagram& datagram) override;
  void on_too_big(Time now, netsim::Endpoint to, std::uint32_t mtu_bytes) override;
  std::uint64_t datagrams_out = 0, datagram_bytes_out = 0;  // IP bytes
  void on_connected(Time now, netsim::StreamId stream) override;
  void on_bytes(Time now, netsim::StreamId stream, Slice bytes) override;
  void on_writable(Time now, netsim::StreamId stream) override;
  void on_end(Time now, netsim::StreamId stream) override;
  void on_closed(Time now, netsim::StreamId stream, netsim::CloseReason reason) override;

 private:
  struct Connection {
    netsim::StreamId stream;
    std::optional<session::PathId> path;
    std::unique_ptr<session::Greeter> greeter;
    std::deque<Slice> pending;  // written by the session, not yet taken by the stream
    std::size_t pending_bytes = 0;
    std::size_t unsent_max = 256U << 10;
    BytesPerSecond pacing;
    Time paced_until{};
    std::uint64_t taken_bytes = 0;
    bool finish = false;
    std::optional<std::uint64_t> finish_after;
  };
  std::span<session::Service* const> services_of_next();
  void hand_out(session::HandOut work);
  bool cut_by_finish(Connection& connection);
  Connection* by_stream(netsim::StreamId stream);
  Connection* by_path(session::PathId path);
  void judge_all();
  void judge(Connection& connection);
  void turn_away(Connection& connection, wire::Refusal reason);
  bool holds(const wire::SessionToken& token) const;
  void apply(session::Output& output);
  void dial(const session::Dial& dial);
  void send_datagrams(const session::SendDatagrams& output);
  void send_throttled(netsim::Datagram datagram);
  void flush(Connection& connection);
  void offer_room();
  void arm();
  void tick();
  void note(const void* data, std::size_t bytes);

  netsim::Wan& wan_;
  const netsim::HostId host_;
  const crypto::TlsContext& tls_;
  const WorldOptions& options_;
  const std::uint64_t seed_;
  BufferPool& buffers_;
  netsim::Endpoint peer_address_;
  std::map<std::uint64_t, Connection> connections_;  // by StreamId
  std::map<std::uint32_t, session::PathRole> roles_;
  std::uint64_t greeted_ = 0;
  std::vector<session::Service*> used_;  // by the session that began last
  std::uint64_t life_ = 0;  // sessions begun: a job of an earlier one ends at its service
  std::uint64_t deaths_ = 0;
  Rng job_times_;
  netsim::TimerId wake_{}, beat_{};
  std::optional<Time> asleep_since_;
  struct Waiting {  // in a socket
    Time at;
    std::optional<netsim::Datagram> datagram;
    netsim::StreamId stream{};
    Slice bytes;
  };
  static constexpr std::size_t kSocketPackets = 2'000;
  bool stopped_ = false, reads_nothing_ = false;
  std::deque<Waiting> waiting_;
  std::optional<netsim::Policer> udp_policer_;
  Time udp_shaped_until_{};
  bool draining_ = false, again_ = false, listens_ = false, dials_ = false;
};

class SessionWorld {
 public:
  explicit SessionWorld(std::uint64_t seed, WorldOptions options = {});
  void start();
  void redial();  // a new session of the laptop; after forget_session()
  // True if `done` held within `limit` of virtual time.
  bool run_until(const std::function<bool()>& done, Duration limit) {
    return wan.run_until(done, limit);
  }
  void run_for(Duration span) { wan.run_for(span); }
  bool established() const;

  WorldOptions options;
  BufferPool buffers;  // before the network, in which its slices fly
  netsim::Wan wan;
  crypto::TlsContext laptop_tls, site_tls;
  netsim::HostId laptop_host, site_host;
  netsim::LinkId link;
  Node laptop, site;
};

}  // namespace longhaul::test
