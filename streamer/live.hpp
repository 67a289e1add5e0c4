// Live: one session of a paired peer at this site, with what rides on it. Made by Server, on Env's
// strand; destroyed after its pump has run to the end.
#pragma once

#include <map>
#include <memory>
#include <optional>
#include <vector>

#include "lib/auth/peer_book.hpp"
#include "lib/base/log.hpp"
#include "lib/feed/feeder.hpp"
#include "lib/io/probe_socket.hpp"
#include "lib/io/pump.hpp"
#include "lib/probe/site.hpp"
#include "lib/session/greeter.hpp"
#include "lib/session/handshake.hpp"
#include "lib/session/session.hpp"
#include "lib/transfer/exchange.hpp"
#include "lib/transfer/host.hpp"
#include "streamer/datasets.hpp"

namespace longhaul::streamer {

constexpr std::size_t kSessionsMax = 256;
constexpr std::ptrdiff_t kSessionsPerPeerMax = 32;  // one for each command that runs

struct Live {
  auth::Pin peer{};
  std::string from;  // the address its connections come from; empty: of several, two links' worth
  auth::Role role = auth::Role::kObserver;
  wire::SessionToken token{};
  Time began{};
  std::optional<Time> down_since;  // without a path
  std::unique_ptr<transfer::Host> host;
  std::unique_ptr<transfer::Exchange> exchange;
  std::unique_ptr<feed::Feeder> feeder;
  std::unique_ptr<probe::ProbeSite> probe;
  std::unique_ptr<session::Session> session;
  std::unique_ptr<io::Pump> pump;
  std::unique_ptr<io::ProbeSocket> probe_socket;  // none without a hub; who serves runs it

  // hub: the site's UDP socket, or none; it and the gate outlive it. known: of the link to the
  // peer.
  static std::shared_ptr<Live> make(io::Env& env, Log& log, std::shared_ptr<Datasets> datasets,
                                    BufferPool& pool, io::DatagramHub* hub, probe::Gate& gate,
                                    const auth::Peer& peer, const session::LinkMemory& known,
                                    session::Arrival& arrival, session::PathId& first);
};

// A living peer dials every second: one that began anew and left a session dead for so long was
// restarted.
constexpr Duration kAbandonedAfter = 3s;
// A session whose process was killed would hold its dataset for a day. Its peer's next session
// shows that it is gone; without one it stays, because then the link may be what is dead.
std::vector<std::shared_ptr<Live>> abandoned(
    const std::map<wire::SessionToken, std::shared_ptr<Live>>& sessions, Time now);

}  // namespace longhaul::streamer
