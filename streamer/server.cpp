#include "streamer/server.hpp"

#include <algorithm>
#include <utility>

#include "lib/auth/pairing.hpp"
#include "lib/base/escape.hpp"
#include "lib/crypto/aead.hpp"
#include "streamer/collecting.hpp"
#include "streamer/guest.hpp"
#include "streamer/live.hpp"

namespace longhaul::streamer {
namespace {

// A revoked peer is out after at most this and one read of the ledger; the promise is 60 s.
constexpr Duration kLedgerPause = 5s;
constexpr Duration kAcceptPause =
    100ms;  // after a refused accept, when nothing can be done about it
constexpr Duration kSameWarningPause = 10s;
// Strangers must not fill a disk with what is said of them.
constexpr unsigned kRefusalsLoggedMax = 100;
constexpr Duration kRefusalsPer = 60s;
// Unused connections kept open to each laptop that this site dials.
constexpr int kOffersKept = 4;

}  // namespace

Server::Server(io::Env& env, Log& log, Root root, std::shared_ptr<Datasets> datasets,
               const crypto::Identity& identity, ServerOptions options)
    : env_(env),
      log_(log),
      root_(std::move(root)),
      datasets_(std::move(datasets)),
      identity_(identity),
      tls_(identity_,
           crypto::TlsOptions{.aes_is_fast = crypto::has_fast_aes(), .stages = &datasets_->stages}),
      options_(std::move(options)),
      admission_(options_.strangers),
      tasks_(env.executor()),
      reaching_(env.executor()),
      collecting_(env.executor()),
      stopped_(env.executor()),
      turns_(env.alarm()) {}

Server::~Server() = default;

io::Task<Result<>> Server::run() {
  const Result<> listening = start_listening();
  if (!listening) co_return fail(listening.error());
  if (listener_) open_datagrams(listener_->local());
  if (options_.on_ready) options_.on_ready(listener_ ? listener_->local() : io::Endpoint{"-", 0});
  if (listener_) tasks_.spawn(accept_all(listener_));
  for (const io::Endpoint& to : options_.dial) {
    for (int i = 0; i < kOffersKept; ++i) reaching_.spawn(reach(to));
  }
  tasks_.spawn(watch());
  tasks_.spawn(give_turns());
  collecting_.spawn(collect_abandoned(env_, log_, datasets_));
  while (!stopping_) {
    co_await stopped_.wait();
  }
  if (listener_) listener_->close();
  reaching_.cancel();
  collecting_.cancel();
  co_await reaching_.join();
  co_await collecting_.join();
  turns_->set(env_.now());
  for (const auto& [id, guest] : guests_) {
    if (guest->stream) guest->stream->close();
    guest->turn.notify();
  }
  for (const auto& [token, live] : sessions_)
    live->pump->end(Error(Kind::kInterrupted, "go on with the session", "the streamer stops"));
  if (hub_ != nullptr) hub_->close();
  co_await tasks_.join();
  co_return Result<>();
}

// UDP on the port that TCP has: what a firewall must let through is one number.
void Server::open_datagrams(const io::Endpoint& at) {
  auto port = env_.datagrams(at);
  if (!port) {
    LOG(log_, kWarn, "{}: sessions go over TLS alone", port.error().message());
    return;
  }
  hub_ = std::make_unique<io::DatagramHub>(env_.executor(), *std::move(port));
  tasks_.spawn(hub_->run());
}

void Server::stop() {
  stopping_ = true;
  stopped_.notify();
}

Result<> Server::start_listening() {
  for (const io::Endpoint& at : options_.listen) {
    auto listener = env_.listen(at);
    const bool last = at == options_.listen.back();
    if (!listener && (last || listener.error().kind() != Kind::kBusy))
      return fail(listener.error());
    if (!listener) continue;
    listener_ = *std::move(listener);
    break;
  }
  return {};
}

io::Task<> Server::accept_all(std::shared_ptr<io::Listener> listener) {
  Time told_until{};
  while (!stopping_) {
    Result<std::unique_ptr<io::Stream>> accepted = co_await listener->accept();
    if (stopping_) break;
    if (!accepted) {
      if (env_.now() >= told_until) LOG(log_, kWarn, "{}", accepted.error().message());
      told_until = env_.now() + kSameWarningPause;
      if (accepted.error().kind() == Kind::kLimit && make_room()) continue;
      const Time later = env_.now() + kAcceptPause;
      co_await env_.sleep_until(later);
      continue;
    }
    receive(*std::move(accepted), Slice());
  }
}

// Strangers may hold the descriptor that it takes.
Result<auth::Ledger> Server::read_ledger() {
  Result<auth::Ledger> ledger = auth::load_ledger(*root_.node);
  while (!ledger && ledger.error().kind() == Kind::kLimit && make_room())
    ledger = auth::load_ledger(*root_.node);
  return ledger;
}

void Server::pair(Guest& guest) {
  const Charge charge(*this, guest.id);
  const session::Knock& knock = *guest.greeter->knock();
  const auth::PairingBinding binding{guest.greeter->exported(auth::kPairingLabel), knock.peer,
                                     identity_.pin()};
  auth::Inviter inviter(options_.name, binding);
  const Result<auth::Ledger> ledger = read_ledger();
  if (guest.evicted) return;
  const auth::Invites none;
  if (!ledger) LOG(log_, kError, "{}: nobody can pair", ledger.error().message());
  inviter.on_join(env_.wall(), *knock.join(), ledger ? ledger->invites : none);
  while (std::optional<auth::Inviter::Output> output = inviter.poll_output()) {
    if (const auto* commit = std::get_if<auth::Inviter::Commit>(&*output)) {
      const WallTime now = env_.wall();
      std::string name;  // by which it can be revoked
      const auto store = [&](auth::Ledger& changed) -> Result<> {
        TRY(auth::commit(*commit, now, changed.peers, changed.invites));
        name = changed.peers.find(commit->peer.pin)->name;
        return {};
      };
      const Result<> stored = auth::change_ledger(*root_.node, store);
      if (stored)
        LOG(log_, kInfo, "paired with '{}' as {}", name, auth::name_of(commit->peer.role));
      inviter.on_stored(stored);
    } else if (const auto* joined = std::get_if<wire::Joined>(&*output)) {
      guest.greeter->answer(*joined);
    } else {
      if (may_log_refusal())
        LOG(log_, kWarn, "{} tried to pair without a valid invite", guest.source());
      guest.greeter->refuse(std::get<wire::Refuse>(*output).reason);
    }
  }
}

// Whether this refusal is written down; a minute's others are counted.
bool Server::may_log_refusal() {
  if (env_.now() - refusals_.since >= kRefusalsPer) {
    if (refusals_.unsaid > 0) LOG(log_, kWarn, "refused {} more", refusals_.unsaid);
    refusals_ = {env_.now(), 0, 0};
  }
  const bool may = refusals_.said < kRefusalsLoggedMax;
  ++(may ? refusals_.said : refusals_.unsaid);
  return may;
}

void Server::refuse(Guest& guest, wire::Refusal reason, const char* why) {
  if (may_log_refusal())
    LOG(log_, kWarn, "refused {} from {}: {}", guest.greeter->knock()->peer.hex().substr(0, 16),
        guest.source(), why);
  guest.greeter->refuse(reason);
}

// A further connection of a session.
void Server::join(Guest& guest) {
  const auto found = sessions_.find(guest.greeter->knock()->hello()->session);
  if (found == sessions_.end())
    return refuse(guest, wire::Refusal::kNoSession, "its session is not known here");
  Live& live = *found->second;
  session::Arrival arrival = guest.greeter->take();
  const auto path = live.session->adopt(env_.now(), arrival);
  if (path && live.from != guest.source()) live.from.clear();
  if (path) return live.pump->attach(*path, std::move(guest.stream));
  guest.greeter->give_back(std::move(arrival));
  refuse(guest, session::refusal_of(path.error()), path.error().why().c_str());
}

void Server::admit(const std::shared_ptr<Guest>& guest) {
  const Charge charge(*this, guest->id);
  const session::Knock knock = *guest->greeter->knock();
  const Result<auth::Ledger> ledger = read_ledger();
  if (!ledger) {
    LOG(log_, kError, "{}: nobody is let in", ledger.error().message());
    const bool full = ledger.error().kind() == Kind::kLimit;
    return refuse(*guest, full ? wire::Refusal::kBusy : wire::Refusal::kForbidden,
                  "who is paired cannot be read");
  }
  if (guest->evicted) return;
  auth::Pin pin{};
  const auto bytes = knock.peer.bytes();
  std::copy(bytes.begin(), bytes.end(), pin.begin());
  const auth::Peer* peer = ledger->peers.find(pin);
  if (peer == nullptr || peer->revoked)
    return refuse(*guest, wire::Refusal::kForbidden, "it is not paired");
  admission_.on_known(env_.now(), guest->id);
  turns_->set(admission_.next_turn());  // its neighbours wait no longer
  // Last: what we speak is nothing for a stranger to know.
  if (const auto bad = session::judge_version(*knock.hello()))
    return refuse(*guest, *bad, "it speaks another version");

  if (knock.hello()->intent == wire::Intent::kJoin) return join(*guest);
  const auto its_own = std::count_if(sessions_.begin(), sessions_.end(),
                                     [&](const auto& entry) { return entry.second->peer == pin; });
  if (sessions_.size() >= kSessionsMax || its_own >= kSessionsPerPeerMax)
    return refuse(*guest, wire::Refusal::kBusy, "there are too many sessions");
  session::PathId first;
  session::Arrival arrival = guest->greeter->take();
  const std::string from = guest->source();
  const session::LinkMemory known = links_.find(pin, from);
  auto live = Live::make(env_, log_, datasets_, pool_, hub_.get(), probe_gate_, *peer, known,
                         arrival, first);
  live->from = from;
  const session::Association* association = live->session->association();
  if (association == nullptr) {
    guest->greeter->give_back(std::move(arrival));
    return refuse(*guest, wire::Refusal::kMalformed, "its greeting makes no sense");
  }
  sessions_[association->token] = live;
  live->token = association->token;
  if (!known.empty()) {
    LOG(log_, kInfo, "session {} sends over a link that carried {:.1f} MB/s",
        to_hex(live->token).substr(0, 8), static_cast<double>(known.rate.value()) / 1e6);
  }
  // Attached first: serve() begins at once, and what the session already says is for this path.
  live->pump->attach(first, std::move(guest->stream));
  tasks_.spawn(serve(live));
}

io::Task<> Server::serve(std::shared_ptr<Live> live) {
  io::TaskGroup probing(env_.executor());
  if (live->probe_socket != nullptr) probing.spawn(live->probe_socket->run());
  co_await live->pump->run();
  if (live->probe_socket != nullptr) live->probe_socket->close();
  co_await probing.join();
  sessions_.erase(live->token);
  if (!live->from.empty()) {
    links_.keep(live->peer, live->from, live->session->learned(),
                live->session->status().acked_bytes);
  }
  LOG(log_, kInfo, "session {} ended", to_hex(live->token).substr(0, 8));
}

io::Task<> Server::watch() {
  Time ledger_at = env_.now();
  while (!stopping_) {
    for (const auth::ConnectionId id : admission_.on_deadline(env_.now())) show_out(id);
    wake_waiting();
    end_abandoned();
    close_stale_offers();
    if (env_.now() >= ledger_at) {
      expel_revoked();
      ledger_at = env_.now() + kLedgerPause;
    }
    const Time next =
        std::min(env_.now() + 250ms, admission_.next_deadline().value_or(Time::max()));
    co_await env_.sleep_until(next);
  }
}

void Server::end_abandoned() {
  for (const auto& live : abandoned(sessions_, env_.now()))
    live->pump->end(Error(Kind::kLink, "go on with the session", "its process began anew"));
}

void Server::expel_revoked() {
  if (sessions_.empty()) return;
  const Result<auth::Ledger> ledger = read_ledger();
  if (!ledger && ledger.error().kind() == Kind::kLimit) return;  // too busy to read it: soon again
  const auto snapshot = sessions_;                               // ending one changes the map
  for (const auto& [token, live] : snapshot) {
    const auto role = ledger ? ledger->peers.role_of(live->peer) : std::nullopt;
    if (role == live->role) continue;
    live->pump->end(Error(Kind::kAuth, "go on with the session", "this node was revoked"));
  }
}

}  // namespace longhaul::streamer
