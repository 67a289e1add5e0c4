// Server: accepts connections, lets strangers cost little (auth::Admission), pairs those that hold
// an invite, and owns one session per paired peer that asks for one: Session, Exchange and the pump
// between them. Lives on Env's strand.
//
//   Server server(env, log, root, identity, options);
//   co_await server.run();          // until stop()
#pragma once

#include <map>
#include <memory>
#include <string>

#include "lib/auth/admission.hpp"
#include "lib/auth/ledger.hpp"
#include "lib/base/log.hpp"
#include "lib/crypto/tls_context.hpp"
#include "lib/io/datagram_hub.hpp"
#include "lib/io/env.hpp"
#include "lib/io/signal.hpp"
#include "lib/io/task_group.hpp"
#include "lib/probe/site.hpp"
#include "lib/session/greeter.hpp"
#include "streamer/datasets.hpp"
#include "streamer/peer_links.hpp"
#include "streamer/root.hpp"

namespace longhaul::streamer {

struct Live;

struct ServerOptions {
  std::vector<io::Endpoint> listen;  // the first that is free; none: nowhere
  std::vector<io::Endpoint> dial;    // laptops to keep connections open to (reach.cpp)
  std::string name;                  // what this site calls itself when it pairs
  auth::AdmissionLimits strangers;
  std::function<void(const io::Endpoint&)> on_ready;  // port 0: it listens nowhere
};

class Server {
 public:
  Server(io::Env& env, Log& log, Root root, std::shared_ptr<Datasets> datasets,
         const crypto::Identity& identity, ServerOptions options);
  ~Server();
  io::Task<Result<>> run();
  void stop();

 private:
  using StreamRef = std::shared_ptr<io::Stream>;
  struct Guest;  // a connection before its peer is known
  class Charge;
  Result<> start_listening();
  io::Task<> accept_all(std::shared_ptr<io::Listener> listener);
  io::Task<> reach(io::Endpoint to);
  io::Task<bool> offer(std::unique_ptr<io::Stream> stream);
  void receive(std::unique_ptr<io::Stream> stream, Slice first);
  void close_stale_offers();
  void show_out(auth::ConnectionId id);
  bool make_room();
  Result<auth::Ledger> read_ledger();
  io::Task<> greet(std::shared_ptr<Guest> guest);
  io::Task<Result<>> listen_to(Guest& guest);
  void give_turn();
  io::Task<> give_turns();
  io::Task<bool> flush(Guest& guest);
  void pair(Guest& guest);
  bool waits_for_session(const Guest& guest) const;
  void wake_waiting();
  void admit(const std::shared_ptr<Guest>& guest);
  void join(Guest& guest);
  bool may_log_refusal();
  void refuse(Guest& guest, wire::Refusal reason, const char* why);
  io::Task<> serve(std::shared_ptr<Live> live);
  void open_datagrams(const io::Endpoint& at);
  io::Task<> watch();
  void expel_revoked();
  void end_abandoned();

  io::Env& env_;
  Log& log_;
  Root root_;
  std::shared_ptr<Datasets> datasets_;
  const crypto::Identity identity_;
  crypto::TlsContext tls_;
  ServerOptions options_;
  BufferPool pool_;
  auth::Admission admission_;
  auth::ConnectionId next_{1};
  probe::Gate probe_gate_;
  std::map<auth::ConnectionId, std::shared_ptr<Guest>> guests_;
  std::map<wire::SessionToken, std::shared_ptr<Live>> sessions_;
  PeerLinks links_;
  std::unique_ptr<io::DatagramHub> hub_;  // none: the port is taken; then TLS alone
  std::map<io::Stream*, Time> offers_;    // unused so far, and since when
  struct {
    Time since{};
    unsigned said = 0, unsaid = 0;
  } refusals_;  // in the log, this minute
  io::TaskGroup tasks_;
  io::TaskGroup reaching_;
  io::TaskGroup collecting_;
  io::Signal stopped_;
  std::unique_ptr<io::Alarm> turns_;
  std::shared_ptr<io::Listener> listener_;
  bool stopping_ = false;
};

}  // namespace longhaul::streamer
