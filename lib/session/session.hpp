// Session: one association between two nodes as a pure state machine. It carries its services'
// messages over whatever paths are alive, outlives all of them, and ends only when a peer refuses,
// breaks the protocol, was gone for longer than it may be, or is told to.
//
// Invariants: a message of a service is delivered whole and once; what is in flight on a path that
// dies goes again over the others; memory is bounded by the named limits below, whatever the peer
// does. Not thread-safe; lives on one strand; never blocks.
//
//   session.on_stream(now, path, bytes);             // any input
//   while (auto output = session.poll_output()) ..   // drain after every input
//   wake_at(session.next_deadline());
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <span>

#include "lib/base/result.hpp"
#include "lib/base/slice.hpp"
#include "lib/base/units.hpp"
#include "lib/datagram/protection.hpp"
#include "lib/datagram/rate_state.hpp"
#include "lib/session/greeter.hpp"
#include "lib/session/handshake.hpp"
#include "lib/session/link_memory.hpp"
#include "lib/session/output.hpp"
#include "lib/session/service.hpp"
#include "lib/session/status.hpp"

namespace longhaul::session {

constexpr std::size_t kServicesMax = 16;

class Core;
class PathMaker;
class Recording;
class TraceSink;

struct SessionOptions {
  BufferPool* buffers = nullptr;  // required; outlives the session and every Slice out of it
  std::uint32_t addresses = 1;    // how many the owner can dial for us; 0 on the accepting side
  std::size_t window_bytes = 64U << 20;  // received and not yet let go by services, in all
  BytesPerSecond rate_limit;             // the user's --limit-rate; zero: none
  std::uint32_t bulk_paths_max = 62;     // and two for control
  // Much is going to cross: the connections for it are dialled together with the first, so that
  // their handshakes and their slow starts overlap.
  bool expects_bulk = false;
  Duration outage_max = std::chrono::hours(24);  // without any path for longer, the session ends
  // How long a dial may take until TLS is done; zero: a few round trips. Through ssh it takes
  // longer.
  Duration dial_life{};
  // Between dials while there is no path. The newest value of a run is back within a second and
  // three round trips: so a little less than a second, for what is not a round trip.
  Duration probe_pause = std::chrono::milliseconds(900);
  // Who answers a dial may be somebody else (the peer dials us, and anyone may): another key is a
  // lost path then, never the end.
  bool strangers_answer = false;
  LinkMemory learned;      // of the last session over this link, or empty
  bool datagrams = false;  // the owner has a UDP socket for us; then the fast path is tried
  // Capability bits (handshake.hpp) that the dialler cannot do without: a peer that lacks one
  // refuses the session (RefuseReason::kVersion).
  std::uint64_t required = 0;
  datagram::RateMode rate_mode = datagram::RateMode::kFair;
  std::optional<datagram::KeyLimits> datagram_limits;  // of tests
  PathMaker* paths = nullptr;  // dialled connections that are not TLS: replay.hpp
  // Writes all inputs and outputs down (trace.hpp); outlives the session, which then leaves the
  // fast path alone and requires nothing: neither is recorded.
  TraceSink* trace = nullptr;
  StageClock* stages = nullptr;  // told of packets sealed and opened; outlives the session
  bool trace_payloads = false;   // with what messages say, not only its length and hash
};

class Session {
 public:
  // The dialling side. `services` outlive the session; service i talks to service i of the peer.
  static std::unique_ptr<Session> dial(Time now, const SessionKeys& keys,
                                       const SessionOptions& options,
                                       std::span<Service* const> services);
  // The accepting side: a new session from a connection that Greeter handed over.
  // `first` gets that connection's name. Without an association() it came to nothing, and the
  // arrival is still the caller's, as in adopt().
  static std::unique_ptr<Session> accept(Time now, Arrival& arrival, const SessionOptions& options,
                                         std::span<Service* const> services, PathId* first);
  ~Session();

  // A further connection of this session (Arrival::wants_session() names it). Refused if the key
  // or the proof is not this session's (kAuth), there are too many (kLimit), its Hello makes no
  // sense (kMalformed) or the session is over (kLink): the arrival is then still the caller's, to
  // be given back to its greeter and refused. Gives the path its name.
  Result<PathId> adopt(Time now, Arrival& arrival);

  void on_dialed(Time now, PathId path, Result<> result);
  void on_stream(Time now, PathId path, Slice in);  // any split; ignored for a closed path
  void on_stream_closed(Time now, PathId path, const Error& why);  // FIN, RST, ..
  // Where the peer's UDP socket is; for the dialling side, before on_dialed() of the connection
  // that showed it (the port is the same as TCP's). Without it no datagram leaves; the accepting
  // side learns the peer's address from what authenticates.
  void on_datagram_peer(Time now, const datagram::Address& peer);
  // What the UDP socket received: one datagram, or several of `each_bytes` that the kernel has put
  // together (UDP_GRO; the last may be shorter). Anything may come: it is dropped without a word
  // unless it authenticates, and `from` counts for nothing before. ids: Output ClaimDatagrams. ago:
  // when they came in, by the kernel's stamp; what waits here is no delay of the network.
  // socket_drops: how many datagrams the socket had no room for, ever: no loss of the network's.
  void on_datagrams(Time now, const datagram::Address& from, const Slice& in,
                    std::size_t each_bytes, Duration ago = {}, std::uint64_t socket_drops = 0);
  void on_datagrams_blocked(Time now, bool blocked);      // the socket takes nothing now, or again
  void on_datagram_too_big(Time now, std::size_t bytes);  // EMSGSIZE for a datagram of this size
  void on_writable(Time now, PathId path, std::size_t bytes);  // the path takes this many now
  void on_path_info(Time now, PathId path, const PathInfo& info);
  void on_addresses_changed(Time now);  // host's addresses or routes: probe at once
  void on_job(Time now, ServiceId service, Job done);
  void on_deadline(Time now);  // at or after next_deadline()
  void on_service(Time now);   // a service has new work (it was used from outside on_*())
  void set_rate_limit(Time now, BytesPerSecond limit);
  void end(Time now, Error why);  // says goodbye and closes; services get on_end()

  std::optional<Output> poll_output();
  std::optional<Time> next_deadline() const;
  void check() const;  // invariants

  Status status() const;
  // Which connections belong to this session: their Hello names it. nullptr before its first
  // connection has finished TLS.
  const Association* association() const;
  LinkMemory learned() const;  // to be kept for the next session over this link

 private:
  Session(std::unique_ptr<Recording> recording, std::unique_ptr<Core> core);
  std::unique_ptr<Recording> recording_;  // nullptr: nothing is written down
  std::unique_ptr<Core> core_;
};

}  // namespace longhaul::session
