// A connection from its accept until it has said what it wants: what it may cost until then is
// auth::Admission's to say. server.cpp judges it.
#include "streamer/guest.hpp"

#include <algorithm>
#include <utility>

namespace longhaul::streamer {
namespace {

// A whole handshake and a Hello fit: a thousand strangers that say nothing hold no more each.
constexpr std::size_t kStrangerReadBytes = 4096;
// A session's connections are dialled together, and each says Hello without waiting for the first:
// one that overtook it waits while another of its source is still greeting. Two retransmission
// time-outs of the kernel.
constexpr Duration kOvertakenMost = 3s;

}  // namespace

void Server::receive(std::unique_ptr<io::Stream> stream, Slice first) {
  const auto guest = std::make_shared<Guest>(env_.executor());
  guest->id = std::exchange(next_, next_.next());
  guest->stream = std::move(stream);
  guest->first = std::move(first);
  const auto closed = admission_.on_accept(env_.now(), guest->id, guest->source());
  for (const auth::ConnectionId id : closed) show_out(id);
  if (std::find(closed.begin(), closed.end(), guest->id) != closed.end()) return;
  guests_[guest->id] = guest;
  tasks_.spawn(greet(guest));
}

void Server::show_out(auth::ConnectionId id) {
  const auto found = guests_.find(id);
  if (found == guests_.end()) return;
  found->second->evicted = true;
  found->second->turn.notify();
  if (found->second->stream) found->second->stream->close();
}

// Strangers took the descriptors: the slowest gives one back, for whoever waits to be accepted.
bool Server::make_room() {
  const auto slowest = admission_.evict();
  if (slowest) show_out(*slowest);
  return slowest.has_value();
}

io::Task<> Server::greet(std::shared_ptr<Guest> guest) {
  const Result<> heard = co_await listen_to(*guest);
  if (heard) {
    const session::Knock& knock = *guest->greeter->knock();
    guest->waits_since = env_.now();
    if (knock.join() != nullptr) {
      pair(*guest);
    } else {
      while (waits_for_session(*guest)) {
        co_await guest->changed.wait();
      }
      if (!guest->evicted) admit(guest);
    }
  } else {
    LOG(log_, kDebug, "a connection from {} came to nothing: {}", guest->source(),
        heard.error().message());
  }
  if (guest->stream) {  // not handed to a session
    const bool flushed = co_await flush(*guest);
    if (flushed) guest->stream->finish();
    guest->stream->close();
  }
  admission_.on_closed(guest->id);
  guests_.erase(guest->id);
  wake_waiting();
}

// It belongs to a session that is not known here, but may be at any moment.
bool Server::waits_for_session(const Guest& guest) const {
  const wire::Hello& hello = *guest.greeter->knock()->hello();
  if (hello.intent != wire::Intent::kJoin || sessions_.contains(hello.session)) return false;
  if (stopping_ || guest.evicted || env_.now() - guest.waits_since >= kOvertakenMost) return false;
  return std::any_of(guests_.begin(), guests_.end(), [&guest](const auto& entry) {
    const Guest& other = *entry.second;
    return other.knock() == nullptr && !other.evicted && other.source() == guest.source();
  });
}

void Server::wake_waiting() {
  for (const auto& [id, guest] : guests_) guest->changed.notify();
}

// Until the guest has said what it wants, or has shown that it is none.
io::Task<Result<>> Server::listen_to(Guest& guest) {
  // No more than it may send before it is known: its Hello fits, and what it sends behind that,
  // without waiting for an answer, stays with the kernel until its session reads it.
  std::size_t left = options_.strangers.connection_bytes_max;
  while (guest.knock() == nullptr) {
    if (left == 0) co_return fail(Kind::kLimit, "greet a peer", "it sent too much");
    Result<Slice> in = std::exchange(guest.first, Slice());
    if (in->empty()) {
      const std::size_t most = std::min(left, kStrangerReadBytes);
      in = co_await guest.stream->read_at_most(most);
    }
    if (!in) co_return fail(in.error());
    left -= std::min(left, in->size());
    if (in->empty()) co_return fail(Kind::kLink, "greet a peer", "it closed the connection");
    if (admission_.on_bytes(guest.id, in->size()) == auth::Admission::Verdict::kClose)
      co_return fail(Kind::kLimit, "greet a peer", "it sent too much before it was known");
    guest.in = *std::move(in);
    guest.fed.reset();
    admission_.on_waiting(env_.now(), guest.id);
    give_turn();
    while (!guest.fed && !guest.evicted && !stopping_) {
      co_await guest.turn.wait();
    }
    if (!guest.fed) co_return fail(Kind::kLimit, "greet a peer", "its turn never came");
    const bool flushed = co_await flush(guest);
    if (!*guest.fed) co_return fail(guest.fed->error());
    if (!flushed) co_return fail(Kind::kLink, "greet a peer", "the connection broke");
    if (guest.greeter->secured() && !std::exchange(guest.staged, true))
      admission_.on_stage(env_.now(), guest.id);
  }
  co_return Result<>();
}

// One at a time, so that a session's bytes pass between a stranger and the next.
void Server::give_turn() {
  if (const auto id = admission_.poll_turn(env_.now())) {
    Guest& guest = *guests_.at(*id);
    const Charge charge(*this, *id);
    if (!guest.greeter) {
      auto engine = crypto::TlsEngine::server(tls_, pool_);  // 16 KiB: only for who said something
      guest.greeter = std::make_unique<session::Greeter>(std::move(engine), pool_);
    }
    guest.fed = guest.greeter->on_stream(env_.now(), std::exchange(guest.in, Slice()));
    guest.turn.notify();
  }
  turns_->set(admission_.next_turn());
}

io::Task<> Server::give_turns() {
  while (!stopping_) {
    co_await turns_->ring();
    if (!stopping_) give_turn();
  }
}

io::Task<bool> Server::flush(Guest& guest) {
  if (!guest.greeter) co_return true;
  std::vector<Slice> parts;
  while (std::optional<Slice> part = guest.greeter->poll_output())
    parts.push_back(*std::move(part));
  if (parts.empty()) co_return true;
  const Result<> written = co_await guest.stream->write(std::move(parts));
  co_return written.has_value();
}

}  // namespace longhaul::streamer
