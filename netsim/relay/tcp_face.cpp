#include "netsim/relay/tcp_face.hpp"

#include <netinet/tcp.h>

#include <algorithm>
#include <cerrno>

namespace netsim::relay {
namespace {

constexpr std::size_t kPieces = 16;             // of one readv or writev: 1 MiB
constexpr std::uint64_t kReadMax = 256U << 10;  // at once; fits the second-level cache

std::size_t index(Direction d) {
  return static_cast<std::size_t>(d);
}
Direction other(Direction d) {
  return d == Direction::kUp ? Direction::kDown : Direction::kUp;
}

}  // namespace

TcpFace::TcpFace(Core& core, Poller& poller, Address target)
    : core_(core), poller_(poller), target_(target) {}

longhaul::Result<> TcpFace::listen(const Address& address) {
  listener_ = TRY(listen_stream(address));
  listen_address_ = TRY(local_address(listener_));
  poller_.add(listener_, Face::kListener, 0, /*level=*/true);
  return {};
}

longhaul::Result<> TcpFace::reopen() {
  if (listener_) return {};
  return listen(listen_address_);
}

void TcpFace::close_listener() {
  listener_.reset();
}

TcpFace::Stream* TcpFace::find(std::uint64_t key) {
  const auto found = streams_.find(key);
  return found == streams_.end() ? nullptr : found->second.get();
}

void TcpFace::on_acceptable(Time now) {
  while (listener_) {
    Fd client(accept4(listener_.get(), nullptr, nullptr, SOCK_NONBLOCK | SOCK_CLOEXEC));
    if (!client) {
      if (errno != EAGAIN && errno != EINTR) ++accept_failures_;
      return;
    }
    const int on = 1;
    (void)setsockopt(client.get(), IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    auto stream = std::make_unique<Stream>(pool_);
    stream->client = std::move(client);
    stream->id = core_.on_accept(now);
    const std::uint64_t key = stream->id.value();
    poller_.add(stream->client, Face::kClient, key);
    streams_[key] = std::move(stream);
  }
}

void TcpFace::dial(Time now, Stream& s) {
  auto server = dial_stream(target_);
  if (!server) return core_.on_dialed(now, s.id, false);
  s.server = std::move(*server);
  s.dialing = true;
  poller_.add(s.server, Face::kServer, s.id.value());
}

void TcpFace::on_event(Time now, Face face, std::uint64_t key, std::uint32_t events) {
  Stream* s = find(key);
  if (s == nullptr) return;
  const bool at_client = face == Face::kClient;
  if (!at_client && s->dialing) {
    const int error = pending_error(s->server);
    if (error == 0 && (events & EPOLLOUT) == 0) return;
    s->dialing = false;
    if (error != 0) s->server.reset();
    core_.on_dialed(now, s->id, error == 0);
    if (error != 0) return;
  }
  const Direction from_here = at_client ? Direction::kUp : Direction::kDown;
  if ((events & EPOLLERR) != 0) return fail(now, *s, from_here);
  if ((events & (EPOLLIN | EPOLLRDHUP | EPOLLHUP)) != 0) {
    s->readable[index(from_here)] = true;
    read(now, *s, from_here);
  }
  if ((events & EPOLLOUT) != 0) flush(now, *s, other(from_here));
}

void TcpFace::read(Time now, Stream& s, Direction d) {
  const std::size_t i = index(d);
  if (!s.readable[i] || !s.source(d) || s.forgotten) return;
  const std::uint64_t room = std::min(core_.room(s.id, d), kReadMax);
  if (room > 0) {
    iovec pieces[kPieces];
    const std::size_t n = s.fifos[i].space(room, pieces);
    const ssize_t got = readv(s.source(d).get(), pieces, static_cast<int>(n));
    const int error = errno;
    s.fifos[i].commit(got > 0 ? static_cast<std::size_t>(got) : 0);
    if (got > 0) {
      core_.on_read(now, s.id, d, static_cast<std::uint64_t>(got));
    } else {
      s.readable[i] = error == EINTR && got < 0;
      if (got == 0) return core_.on_eof(now, s.id, d);
      if (error != EAGAIN && error != EINTR) return fail(now, s, d);
    }
  }
  if (s.readable[i] && !s.waiting) {
    s.waiting = true;
    waiting_.push_back(s.id.value());
  }
}

TcpFace::Progress TcpFace::read_more(Time now) {
  for (const std::uint64_t key : dead_) streams_.erase(key);
  dead_.clear();
  bool moved = false;
  std::vector<std::uint64_t> round;
  round.swap(waiting_);
  for (const std::uint64_t key : round) {
    Stream* s = find(key);
    if (s == nullptr) continue;
    s->waiting = false;
    for (const Direction d : kBothWays) {
      moved = moved || (s->readable[index(d)] && core_.room(s->id, d) > 0);
      read(now, *s, d);
    }
  }
  return moved ? Progress::kSome : Progress::kNone;
}

void TcpFace::flush(Time now, Stream& s, Direction d) {
  const std::size_t i = index(d);
  Fd& to = s.destination(d);
  while (s.due[i] > 0 && to) {
    iovec pieces[kPieces];
    const std::size_t n = s.fifos[i].front(s.due[i], pieces);
    msghdr message{};
    message.msg_iov = pieces;
    message.msg_iovlen = n;
    const ssize_t put = sendmsg(to.get(), &message, MSG_NOSIGNAL);
    if (put < 0 && errno == EINTR) continue;
    if (put < 0 && errno == EAGAIN) return;
    if (put < 0) return fail(now, s, other(d));
    const auto bytes = static_cast<std::uint64_t>(put);
    s.due[i] -= bytes;
    s.fifos[i].pop(bytes);
    core_.on_written(now, s.id, d, bytes);
  }
  if (s.finish[i] && !s.shut[i] && s.due[i] == 0 && to) {
    s.shut[i] = true;
    (void)shutdown(to.get(), SHUT_WR);
  }
  close_if_done(s);
}

void TcpFace::fail(Time now, Stream& s, Direction rst_travels) {
  Fd& dead = s.source(rst_travels);  // where that direction begins
  if (!dead) return;
  dead.reset();
  core_.on_error(now, s.id, rst_travels);
  close_if_done(s);
}

void TcpFace::close_if_done(Stream& s) {
  if (!s.forgotten) return;
  for (const Direction d : kBothWays)
    if (s.due[index(d)] > 0 && s.destination(d)) return;  // a slow reader still gets what is his
  dead_.push_back(s.id.value());
}

void TcpFace::on_output(Time now, const Output& output) {
  Stream* s = find(output.connection.value());
  if (s == nullptr) return;
  const Action& action = output.action;
  const Direction d = action.direction;
  const std::size_t i = index(d);
  switch (action.what) {
    case Action::What::kDial:
      return dial(now, *s);
    case Action::What::kWrite:
      s->due[i] += action.bytes;
      break;
    case Action::What::kDiscard:
      s->fifos[i].pop(action.bytes);
      return core_.on_written(now, s->id, d, action.bytes);
    case Action::What::kFinish:
      s->finish[i] = true;
      break;
    case Action::What::kReset:
      close_with_reset(s->destination(d));
      return;
    case Action::What::kForget:
      s->forgotten = true;
      close_if_done(*s);
      return;
  }
  flush(now, *s, d);
}

}  // namespace netsim::relay
