// Connection: one session to a site, with the exchange that rides on it: dialled, pumped, ended and
// joined. A command has one; Ctrl-C and errors go through end(). Lives on Env's strand; destroy it
// only after close() has returned.
//
//   auto connection = TRY(..Connection::make(app, site));
//   connection->exchange().start_push(..);  connection->poke();
//   while (co_await connection->changed(deadline)) ..poll events..
//   co_await connection->close();
#pragma once

#include <memory>
#include <optional>
#include <string>

#include "lib/crypto/tls_context.hpp"
#include "lib/feed/viewer.hpp"
#include "lib/io/address_watch.hpp"
#include "lib/io/probe_socket.hpp"
#include "lib/io/pump.hpp"
#include "lib/io/task_group.hpp"
#include "lib/probe/filler.hpp"
#include "lib/probe/prober.hpp"
#include "lib/session/handshake.hpp"
#include "lib/session/session.hpp"
#include "lib/transfer/exchange.hpp"
#include "proxy/app.hpp"
#include "proxy/reach.hpp"
#include "proxy/sites.hpp"
#include "proxy/telemetry_file.hpp"
#include "proxy/trace_file.hpp"

namespace longhaul::proxy {

struct ConnectOptions {
  std::string trace;          // a file to record the session in; empty: as LONGHAUL_TRACE says
  std::string telemetry;      // a file for the session's state; empty: as LONGHAUL_TELEMETRY says
  BytesPerSecond rate_limit;  // zero: none
  std::string mode;           // fair, background or max; empty: as session.mode says, or fair
  // session::kCapability*: what the command says is no use to a streamer without them.
  std::uint64_t required = 0;
  bool expects_bulk = false;  // files are going to cross
  // The link is going to be probed: prober() is there if this session may use UDP.
  std::optional<probe::ProberOptions> probe;
  // Or only be filled, over the ways that are allowed: filler() is there.
  std::optional<probe::FillerOptions> fill;
  bool datagrams = true;  // false: TLS alone, whatever udp says
};

// --mode, session.mode or fair; kUsage: it is none.
Result<datagram::RateMode> mode_wanted(const App& app, const std::string& option);

class Connection {
 public:
  // Reads the identity and what was learned of the link; dials when run. Nothing has been sent yet.
  static Result<std::unique_ptr<Connection>> make(App& app, const Site& site,
                                                  ConnectOptions options);
  ~Connection();
  Connection(const Connection&) = delete;
  Connection& operator=(const Connection&) = delete;

  transfer::Exchange& exchange() { return *exchange_; }
  feed::Viewer& viewer() { return *viewer_; }
  session::Session& session() { return *session_; }
  const session::Session& session() const { return *session_; }
  void poke() { pump_->poke(); }
  probe::Prober* prober() { return prober_.get(); }
  probe::Filler* filler() { return filler_.get(); }
  // Where the site's UDP socket is; nullopt before the first connection.
  const std::optional<datagram::Address>& udp_peer() const { return udp_peer_; }
  std::uint64_t capabilities() const { return capabilities_; }  // of both; once established
  // Returns when something may have happened since the last call, or at `until`.
  io::Task<> changed(Time until);
  void wake() { changed_.notify(); }  // so that changed() returns
  // Why the session ended, if it did.
  const std::optional<Error>& ended() const { return ended_; }
  // Without a path since; nullopt while there is one.
  std::optional<Time> down_since() const { return down_since_; }
  bool established() const { return established_; }
  const Site& site() const { return site_; }
  Time began() const { return began_; }
  // So much content crossed: what the session learned of the link's rate is worth as much.
  void note_moved(std::uint64_t bytes) { moved_bytes_ += bytes; }
  // Why the last dial failed; nullopt when it did not, or has not ended.
  const std::optional<Error>& dial_error() const { return dial_error_; }
  const Reach& reach() const { return *reach_; }
  // Says goodbye, waits for what must go out, keeps what was learned of the link.
  io::Task<> close();

 private:
  Connection(App& app, Site site, crypto::Identity identity);
  void begin();
  void on_event(const session::Event& event);
  io::Task<> keep_time();
  io::Task<> watch_addresses();
  io::Task<> tell_telemetry();
  std::unique_ptr<io::DatagramHub> open_datagrams(io::DatagramLoad load);
  void open_quiet_ports();
  session::Service* third_service(const ConnectOptions& options);
  io::Task<Result<std::unique_ptr<io::Stream>>> dial(bool small_segments);

  App& app_;
  Site site_;
  crypto::Identity identity_;
  crypto::TlsContext tls_;
  session::SessionKeys keys_;
  BufferPool buffers_;
  std::unique_ptr<TraceFile> trace_;
  std::unique_ptr<TelemetryFile> telemetry_;
  std::optional<io::TaskId> telling_;
  std::unique_ptr<transfer::Exchange> exchange_;
  std::unique_ptr<feed::Viewer> viewer_;
  std::unique_ptr<probe::Prober> prober_;
  std::unique_ptr<probe::Filler> filler_;
  std::unique_ptr<session::Session> session_;
  std::unique_ptr<io::DatagramHub> hub_;  // none: no UDP here, or not wanted
  std::unique_ptr<io::AddressWatch> addresses_;
  std::unique_ptr<io::Pump> pump_;
  std::unique_ptr<io::ProbeSocket> probe_socket_;
  struct QuietSocket {
    std::unique_ptr<io::DatagramHub> hub;
    std::unique_ptr<io::ProbeSocket> socket;
  };
  std::vector<QuietSocket> quiet_;  // of the prober's quiet ports
  std::optional<datagram::Address> udp_peer_;
  std::uint64_t capabilities_ = 0;
  io::TaskGroup tasks_;
  io::Signal changed_;
  std::unique_ptr<io::Alarm> alarm_;
  std::unique_ptr<Reach> reach_;
  std::optional<Error> ended_;
  std::optional<Error> dial_error_;
  Time began_{};
  std::optional<Time> down_since_;
  bool established_ = false;
  std::uint64_t moved_bytes_ = 0;
  bool gives_way_ = false;
  std::string network_;  // when it was dialled
  bool over_ = false;    // the session has ended
  bool closing_ = false;
};

}  // namespace longhaul::proxy
