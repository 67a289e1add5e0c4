#include "proxy/connection.hpp"

#include <algorithm>
#include <charconv>
#include <thread>
#include <utility>

#include "lib/auth/node.hpp"
#include "lib/base/escape.hpp"
#include "lib/crypto/aead.hpp"
#include "proxy/files.hpp"
#include "proxy/link_file.hpp"
#include "proxy/network.hpp"
#include "proxy/session_end.hpp"

namespace longhaul::proxy {

namespace {

// "auto" unless the user says otherwise: "off", or "on", which is the same as "auto".
enum class Datagrams : std::uint8_t { kOff, kAuto };
Result<Datagrams> datagrams_wanted(const App& app) {
  const auto udp = app.config.find("udp");
  if (!udp || udp->value == "auto" || udp->value == "on") return Datagrams::kAuto;
  if (udp->value == "off") return Datagrams::kOff;
  return fail(Error(Kind::kUsage, "read udp from " + udp->origin,
                    "it is auto or off, not '" + printable(udp->value, 80) + "'")
                  .advise("leave it out: then both ways are tried and the better one is used"));
}

// How many connections a session may hold; two of them are for control.
Result<std::optional<std::uint32_t>> bulk_paths_wanted(const App& app) {
  const auto set = app.config.find("session.connections_max");
  if (!set) return std::optional<std::uint32_t>();
  std::uint32_t most = 0;
  const char* const end = set->value.data() + set->value.size();
  const auto [rest, error] = std::from_chars(set->value.data(), end, most);
  if (error == std::errc() && rest == end && most >= 3 && most <= 64)
    return std::optional<std::uint32_t>(most - 2);
  return fail(Error(Kind::kUsage, "read session.connections_max from " + set->origin,
                    "'" + printable(set->value, 80) + "' is not from 3 to 64")
                  .advise("two connections are for control, the rest for files"));
}

}  // namespace

Result<datagram::RateMode> mode_wanted(const App& app, const std::string& option) {
  std::string mode = option;
  std::string where = "read --mode";
  if (const auto set = app.config.find("session.mode"); mode.empty() && set) {
    mode = set->value;
    where = "read session.mode from " + set->origin;
  }
  if (mode.empty()) return datagram::RateMode::kFair;
  for (const auto one :
       {datagram::RateMode::kFair, datagram::RateMode::kBackground, datagram::RateMode::kMax}) {
    if (datagram::name_of(one) == mode) return one;
  }
  return fail(Error(Kind::kUsage, where, "'" + printable(mode, 80) + "' is no mode")
                  .advise("it is fair, background or max (docs/rate.md)"));
}

Connection::Connection(App& app, Site site, crypto::Identity identity)
    : app_(app),
      site_(std::move(site)),
      identity_(std::move(identity)),
      tls_(identity_,
           crypto::TlsOptions{.aes_is_fast = crypto::has_fast_aes(), .stages = &app.stages}),
      tasks_(app.env.executor()),
      changed_(app.env.executor()),
      alarm_(app.env.alarm()) {}

Connection::~Connection() = default;

Result<std::unique_ptr<Connection>> Connection::make(App& app, const Site& site,
                                                     ConnectOptions options) {
  const auto config = TRY(private_folder(app.home.config));
  crypto::Identity identity = TRY(auth::load_identity(*config));
  std::unique_ptr<Connection> made(new Connection(app, site, std::move(identity)));
  made->keys_.tls = &made->tls_;
  made->keys_.peer = TRY(crypto::Digest::from_hex(site.pin));

  session::SessionOptions session_options;
  session_options.buffers = &made->buffers_;
  session_options.rate_limit = options.rate_limit;
  session_options.expects_bulk = options.expects_bulk;
  session_options.required = options.required;
  session_options.stages = &app.stages;
  made->network_ = network_now();
  session_options.learned = load_link(app, site.name, made->network_);
  if (const auto set = app.config.find("trace"); options.trace.empty() && set)
    options.trace = set->value;
  if (!options.trace.empty() && !is_direct(site)) {  // a trace does not tell of such dials
    return fail(Error(Kind::kUsage, "record a session with " + site.name + ", " + way_to(site),
                      "only one that is dialled over TCP can be replayed")
                    .advise("leave --trace out, or reach the site directly"));
  }
  if (!options.trace.empty()) {
    made->trace_ = TRY(TraceFile::create(options.trace));
    session_options.trace = made->trace_.get();
  }
  if (const auto set = app.config.find("telemetry"); options.telemetry.empty() && set)
    options.telemetry = set->value;
  if (!options.telemetry.empty()) made->telemetry_ = TRY(TelemetryFile::create(options.telemetry));
  made->reach_ = TRY(Reach::make(app, site));
  made->reach_->fit(session_options);
  session_options.rate_mode = TRY(mode_wanted(app, options.mode));
  made->gives_way_ = session_options.rate_mode == datagram::RateMode::kBackground;
  // A bundle of TCP connections yields to nobody: of a link that it shares, each takes its part.
  if (made->gives_way_) session_options.bulk_paths_max = 1;
  if (const auto most = TRY(bulk_paths_wanted(app)))
    session_options.bulk_paths_max = std::min(session_options.bulk_paths_max, *most);
  transfer::ExchangeOptions exchange_options;
  exchange_options.link = session_options.learned.rate;
  exchange_options.cores = std::max(1U, std::thread::hardware_concurrency());
  exchange_options.encode_jobs = 2 * exchange_options.cores;
  exchange_options.peer_knows_base_parts.reset();  // once it has accepted
  exchange_options.clocks = {&io::thread_cpu_time, &app.stages};
  made->exchange_ =
      std::make_unique<transfer::Exchange>(transfer::Side::kDialer, nullptr, exchange_options);
  made->viewer_ = std::make_unique<feed::Viewer>();
  std::vector<session::Service*> services{made->exchange_.get(), made->viewer_.get()};
  // ssh carries TCP alone, and a site that calls us may have no other way in or out.
  const Datagrams datagrams = TRY(datagrams_wanted(app));
  if (is_direct(site) && options.datagrams && datagrams == Datagrams::kAuto)
    made->hub_ = made->open_datagrams(io::DatagramLoad::kBulk);
  session_options.datagrams = made->hub_ != nullptr;
  if (session::Service* const third = made->third_service(options)) services.push_back(third);
  made->session_ = session::Session::dial(app.env.now(), made->keys_, session_options, services);
  made->begin();
  return made;
}

// Who asks what the link is like; null: nobody.
session::Service* Connection::third_service(const ConnectOptions& options) {
  if (options.fill) {
    filler_ = std::make_unique<probe::Filler>(*options.fill);
    return filler_.get();
  }
  if (!options.probe || hub_ == nullptr) return nullptr;
  probe::ProberOptions prober_options = *options.probe;
  prober_options.buffers = &buffers_;
  prober_ = std::make_unique<probe::Prober>(prober_options);
  return prober_.get();
}

// What runs for as long as it lives.
void Connection::begin() {
  began_ = app_.env.now();
  auto dialer = [this](const session::Dial& how) { return dial(how.small_segments); };
  auto hear = [this](const session::Event& event) { on_event(event); };
  auto drained = [this] {
    if (probe_socket_ != nullptr) probe_socket_->kick();
    for (const QuietSocket& quiet : quiet_) quiet.socket->kick();
    changed_.notify();
  };
  pump_ = std::make_unique<io::Pump>(app_.env, *session_, dialer, hear, drained);
  if (hub_ != nullptr) {
    pump_->use(*hub_);
    tasks_.spawn(hub_->run());
  }
  if (prober_ != nullptr) {
    probe_socket_ =
        std::make_unique<io::ProbeSocket>(app_.env, *hub_, *prober_, [this] { pump_->poke(); });
    tasks_.spawn(probe_socket_->run());
    open_quiet_ports();
  }
  tasks_.spawn(pump_->run());
  if (auto watch = io::AddressWatch::open(app_.env.executor())) {
    addresses_ = *std::move(watch);
    tasks_.spawn(watch_addresses());
  }
  tasks_.spawn(keep_time());
  if (telemetry_ != nullptr) telling_ = tasks_.spawn(tell_telemetry());
}

io::Task<Result<std::unique_ptr<io::Stream>>> Connection::dial(bool small_segments) {
  Result<std::unique_ptr<io::Stream>> dialed = co_await reach_->dial(small_segments);
  if (!dialed) {
    dial_error_ = dialed.error();
    // ssh has told what is wrong (a key, a name, a password): trying on would only ask again.
    if (reach_->by_ssh() && !established_ && !ended_) {
      ended_ = dial_error_;
      changed_.notify();
    }
  }
  if (dialed) {
    dial_error_.reset();
    const auto at = io::to_address((*dialed)->peer());
    if (at) udp_peer_ = *at;
  }
  co_return dialed;
}

// UDP and TCP share what the site's address says; without UDP everything crosses over TLS.
std::unique_ptr<io::DatagramHub> Connection::open_datagrams(io::DatagramLoad load) {
  auto port = app_.env.datagrams({"::", 0}, load);
  if (!port) port = app_.env.datagrams({"0.0.0.0", 0}, load);  // a host without IPv6
  if (!port) {
    LOG(app_.log, kInfo, "no UDP: {}", port.error().message());
    return nullptr;
  }
  return std::make_unique<io::DatagramHub>(app_.env.executor(), *std::move(port));
}

// One that cannot be opened is as good as unanswered.
void Connection::open_quiet_ports() {
  for (const auto& port : prober_->quiet_ports()) {
    QuietSocket quiet;
    quiet.hub = open_datagrams(io::DatagramLoad::kLittle);
    if (quiet.hub == nullptr) continue;
    quiet.socket =
        std::make_unique<io::ProbeSocket>(app_.env, *quiet.hub, *port, [this] { pump_->poke(); });
    tasks_.spawn(quiet.hub->run());
    tasks_.spawn(quiet.socket->run());
    quiet_.push_back(std::move(quiet));
  }
}

io::Task<> Connection::tell_telemetry() {
  const Time began = app_.env.now();
  for (Time at = began; !closing_; at += TelemetryFile::kPause) {
    co_await app_.env.sleep_until(at);
    telemetry_->write(app_.env.now() - began, session_->status());
  }
}

io::Task<> Connection::watch_addresses() {
  while (!closing_) {
    const auto changed = co_await addresses_->changed();
    if (!changed || closing_) break;
    LOG(app_.log, kInfo, "this host's addresses or routes changed");
    pump_->addresses_changed();
  }
}

io::Task<> Connection::keep_time() {
  while (!closing_) {
    co_await alarm_->ring();
    changed_.notify();
  }
}

io::Task<> Connection::changed(Time until) {
  alarm_->set(until);
  co_await changed_.wait();
}

void Connection::on_event(const session::Event& event) {
  if (const auto* established = std::get_if<session::Established>(&event)) {
    established_ = true;
    capabilities_ = established->capabilities;
    exchange_->learn_peer(capabilities_);
  }
  if (std::holds_alternative<session::LinkUp>(event)) down_since_.reset();
  if (std::holds_alternative<session::LinkDown>(event)) down_since_ = app_.env.now();
  if (const auto* changed = std::get_if<session::KChanged>(&event)) {
    LOG(app_.log, kInfo, "connections: {} to {} ({}), {} bytes/s", changed->from, changed->to,
        session::name_of(changed->reason), changed->sum.value());
  }
  if (const auto* capped = std::get_if<session::RateCapped>(&event)) {
    LOG(app_.log, kInfo, "held at {} bytes/s", capped->cap.value());
  }
  if (const auto* chosen = std::get_if<session::PathChosen>(&event)) {
    LOG(app_.log, kInfo, "bulk goes over {} ({})", chosen->datagrams ? "UDP" : "TLS",
        session::name_of(chosen->why));
  }
  if (const auto* lost = std::get_if<session::PathLost>(&event)) {
    LOG(app_.log, kInfo, "a connection was lost ({}); {} bytes go again over the others",
        lost->why.message(), lost->requeued_bytes);
  }
  if (const auto* ended = std::get_if<session::Ended>(&event)) {
    over_ = true;
    // A session that was never a session can say little; the last dial knows more.
    if (!ended_ && !established_ && ended->why.attempt() == session::kReachThePeer) {
      const Duration waited = app_.env.now() - began_;
      ended_ = explain_silence(site_.name, waited, dial_error_, reach_->is_called());
    }
    if (!ended_) ended_ = explain_end(*ended, site_.name);
    changed_.notify();
  }
}

io::Task<> Connection::close() {
  closing_ = true;
  // What it left to others says nothing of the link, and what it learned in two networks nothing of
  // either. (A gateway that nothing was sent to yet had no hardware address when it was dialled.)
  const std::string network = network_now();
  if (!gives_way_ && network.starts_with(network_)) {
    save_link(
        app_, site_.name, network,
        worth_keeping(load_link(app_, site_.name, network), session_->learned(), moved_bytes_));
  }
  if (!over_) pump_->end(Error(Kind::kInterrupted, "go on with the session", "done"));
  alarm_->set(app_.env.now());
  if (telling_) tasks_.cancel(*telling_);
  if (addresses_ != nullptr) addresses_->close();
  if (probe_socket_ != nullptr) probe_socket_->close();
  for (const QuietSocket& quiet : quiet_) {
    quiet.socket->close();
    quiet.hub->close();
  }
  if (hub_ != nullptr) hub_->close();
  co_await reach_->close();
  co_await tasks_.join();
  if (trace_ == nullptr) co_return;
  const Result<> written = trace_->close();
  if (!written) LOG(app_.log, kWarn, "the trace is not whole: {}", written.error().message());
}

}  // namespace longhaul::proxy
