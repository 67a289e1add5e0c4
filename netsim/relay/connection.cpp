#include "netsim/relay/connection.hpp"

#include <algorithm>

#include "lib/base/assert.hpp"

namespace netsim::relay {
namespace {

constexpr Duration kFirstRetry = std::chrono::seconds(1);  // RFC 6298, then doubled
constexpr std::uint32_t kTriesMax = 7;                     // Linux: 6 repeats of a SYN
constexpr std::uint32_t kSynBytes = 60, kResetBytes = 40;

Direction other(Direction d) {
  return d == Direction::kUp ? Direction::kDown : Direction::kUp;
}

}  // namespace

std::uint32_t Wire::bytes() const {
  switch (kind) {
    case Kind::kSyn:
    case Kind::kSynAck:
      return kSynBytes;
    case Kind::kReset:
      return kResetBytes;
    case Kind::kData:
      return kHeaderBytes + segment.bytes;
    case Kind::kHandshakeAck:
    case Kind::kAck:
      return kHeaderBytes;
  }
  return kHeaderBytes;
}

Connection::Connection(const TcpModelOptions& options, const std::array<StreamFaults, 2>& faults)
    : sides_{Side{TcpModel(options), Outlet(faults[0])},
             Side{TcpModel(options), Outlet(faults[1])}} {}

void Connection::send(Wire::Kind kind, Direction d) {
  Wire wire;
  wire.kind = kind;
  wire.direction = d;
  wires_.push(wire);
}

void Connection::act(Action::What what, Direction d, std::uint64_t bytes) {
  if (!over_) actions_.push(Action{what, d, bytes});
}

void Connection::end() {
  act(Action::What::kForget, Direction::kUp);
  over_ = true;
  retry_at_.reset();
}

void Connection::on_open(Time now) {
  send(Wire::Kind::kSyn, Direction::kUp);
  tries_ = 1;
  retry_at_ = now + kFirstRetry;
}

void Connection::on_dialed(Time now, bool ok) {
  if (over_ || dial_ != Dial::kAsked) return;
  dial_ = ok ? Dial::kDone : Dial::kRefused;
  if (ok) {
    send(Wire::Kind::kSynAck, Direction::kDown);
  } else {
    on_error(now, Direction::kDown);
  }
}

bool Connection::may_bypass(const Side& s, bool clear) const {
  return clear && client_open_ && server_open_ && s.tcp.idle() && s.held_bytes == s.bypass_bytes;
}

void Connection::on_read(Direction d, std::uint64_t bytes, bool clear) {
  Side& s = side(d);
  if (may_bypass(s, clear)) {
    s.bypass_bytes += bytes;
    s.outlet.on_bytes(bytes);
  } else {
    s.tcp.add(bytes);
  }
  s.held_bytes += bytes;
}

void Connection::on_eof(Direction d, bool clear) {
  Side& s = side(d);
  if (may_bypass(s, clear)) {
    s.outlet.on_finish();
  } else {
    s.tcp.finish();
  }
}

void Connection::on_error(Time now, Direction d) {
  if (over_ || reset_) return;
  reset_ = d;
  send(Wire::Kind::kReset, d);
  tries_ = 1;
  retry_at_ = now + kFirstRetry;
}

void Connection::on_written(Direction d, std::uint64_t bytes) {
  Side& s = side(d);
  ASSERT(bytes <= s.held_bytes);
  s.held_bytes -= bytes;
  const std::uint64_t past = std::min(bytes, s.bypass_bytes);  // they came first
  s.bypass_bytes -= past;
  s.tcp.on_consumed(bytes - past);
}

std::uint64_t Connection::room(Direction d, bool clear) const {
  const Side& s = side(d);
  if (over_ || reset_) return 0;
  if (may_bypass(s, clear)) return kBypassMax - std::min(kBypassMax, s.held_bytes);
  return kUnsentMax - std::min(kUnsentMax, s.tcp.unsent_bytes());
}

void Connection::on_handshake(Time now, const Wire& wire) {
  switch (wire.kind) {
    case Wire::Kind::kSyn:
      if (dial_ == Dial::kNo) {
        dial_ = Dial::kAsked;
        act(Action::What::kDial, Direction::kUp);
      } else if (dial_ == Dial::kDone) {
        send(Wire::Kind::kSynAck, Direction::kDown);
      }
      return;
    case Wire::Kind::kSynAck:
      send(Wire::Kind::kHandshakeAck, Direction::kUp);
      if (client_open_) return;
      client_open_ = true;
      side(Direction::kUp).tcp.open(now);
      return;
    default:
      break;  // the client's ACK, or data, which carries it too
  }
  if (server_open_ || wire.direction != Direction::kUp) return;
  server_open_ = true;
  retry_at_.reset();
  side(Direction::kDown).tcp.open(now);
}

void Connection::on_wire(Time now, const Wire& wire) {
  if (over_) return;
  on_handshake(now, wire);
  if (wire.kind == Wire::Kind::kReset) {
    act(Action::What::kReset, wire.direction);
    end();
  } else if (wire.kind == Wire::Kind::kData) {
    Side& s = side(wire.direction);
    const Arrival arrival = s.tcp.on_segment(wire.segment);
    s.outlet.on_bytes(arrival.released_bytes);
    if (arrival.finished) s.outlet.on_finish();
    Wire ack;
    ack.kind = Wire::Kind::kAck;
    ack.direction = other(wire.direction);
    ack.ack = arrival.ack;
    wires_.push(ack);
  } else if (wire.kind == Wire::Kind::kAck) {
    side(other(wire.direction)).tcp.on_ack(now, wire.ack);
  }
}

void Connection::retry_handshake(Time now) {
  retry_at_.reset();
  if (++tries_ > kTriesMax) {  // nobody answered: both sides learn it
    abort();
    return;
  }
  retry_at_ = now + kFirstRetry * (std::int64_t{1} << (tries_ - 1));
  if (reset_) {
    send(Wire::Kind::kReset, *reset_);
  } else if (!client_open_) {
    send(Wire::Kind::kSyn, Direction::kUp);
  } else {
    send(Wire::Kind::kSynAck, Direction::kDown);
  }
}

void Connection::on_deadline(Time now) {
  if (over_) return;
  for (Side& s : sides_) s.tcp.on_deadline(now);
  if (retry_at_ && *retry_at_ <= now) retry_handshake(now);
}

std::optional<Time> Connection::next_deadline() const {
  std::optional<Time> next = retry_at_;
  const auto take = [&next](std::optional<Time> at) {
    if (at) next = next ? std::min(*next, *at) : *at;
  };
  for (const Side& s : sides_) {
    take(s.tcp.next_deadline());
    take(s.outlet.next_deadline());
  }
  return over_ ? std::nullopt : next;
}

void Connection::reconfigure(const std::array<StreamFaults, 2>& faults) {
  for (std::size_t i = 0; i < sides_.size(); ++i) sides_[i].outlet.reconfigure(faults[i]);
}

void Connection::abort() {
  for (const Direction d : kBothWays) act(Action::What::kReset, d);
  end();
}

std::optional<Wire> Connection::poll_wire(Time now) {
  if (!wires_.empty()) return wires_.pop();
  if (over_ || reset_) return std::nullopt;
  for (const Direction d : kBothWays)
    if (const auto segment = side(d).tcp.next_segment(now)) {
      Wire wire;
      wire.kind = Wire::Kind::kData;
      wire.direction = d;
      wire.segment = *segment;
      return wire;
    }
  return std::nullopt;
}

void Connection::drain_outlet(Time now, Direction d) {
  while (!over_) {
    const auto next = side(d).outlet.poll(now);
    if (!next) return;
    switch (next->what) {
      case Outlet::What::kWrite:
        act(Action::What::kWrite, d, next->bytes);
        break;
      case Outlet::What::kDiscard:
        act(Action::What::kDiscard, d, next->bytes);
        break;
      case Outlet::What::kFinish:
        act(Action::What::kFinish, d);
        break;
      case Outlet::What::kClose:
        for (const Direction way : kBothWays) act(Action::What::kFinish, way);
        end();
        break;
      case Outlet::What::kReset:
        abort();
        break;
    }
  }
}

std::optional<Action> Connection::poll_action(Time now) {
  for (const Direction d : kBothWays) drain_outlet(now, d);
  const auto done = [](const Side& s) { return s.outlet.finished() && s.held_bytes == 0; };
  if (!over_ && done(sides_[0]) && done(sides_[1])) end();
  if (actions_.empty()) return std::nullopt;
  return actions_.pop();
}

std::uint64_t Connection::passed_bytes(Direction d) const {
  return side(d).outlet.passed_bytes();
}

}  // namespace netsim::relay
