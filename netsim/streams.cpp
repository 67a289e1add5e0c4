#include "netsim/streams.hpp"

#include <algorithm>

namespace netsim {
namespace {

using longhaul::Slice;
using namespace std::chrono_literals;
using What = WirePacket::What;

constexpr std::uint32_t kHeaderBytes = 52;   // IPv4, TCP, timestamps
constexpr std::uint32_t kControlBytes = 60;  // SYN options
constexpr std::uint32_t kMssMin = 16;
constexpr std::uint32_t kSafeMss = 1280 - kHeaderBytes;  // what every path carries, in practice

}  // namespace

std::string_view name_of(CloseReason reason) {
  switch (reason) {
    case CloseReason::kFinished:
      return "finished";
    case CloseReason::kReset:
      return "reset";
    case CloseReason::kRefused:
      return "refused";
    case CloseReason::kTimedOut:
      return "timed-out";
  }
  return "?";
}

// ---- What applications call ----

Streams::Connection* Streams::find(StreamId id) const {
  if (id.value() < 2) return nullptr;
  const std::uint32_t number = connection_of(id);
  if (number >= connections_.size() || !connections_[number]) return nullptr;
  Connection* c = connections_[number].get();
  return c->ends[side_of(id)].state == State::kGone ? nullptr : c;
}

void Streams::listen(Endpoint local, Acceptor acceptor) {
  const bool fresh = listeners_.emplace(local, std::move(acceptor)).second;
  ASSERT(fresh);
}

void Streams::stop_listening(Endpoint local) {
  listeners_.erase(local);
}

StreamId Streams::dial(HostId from, Endpoint to, StreamUser& user, StreamOptions options) {
  const auto number = static_cast<std::uint32_t>(connections_.size());
  connections_.push_back(std::make_unique<Connection>(options));
  Connection& c = *connections_.back();
  std::uint16_t& port =
      next_port_.try_emplace(address_of(from), std::uint16_t{32768}).first->second;
  c.ends[0] = End{State::kDialling, &user, endpoint(from, port), to};
  port = port == 60999 ? 32768 : static_cast<std::uint16_t>(port + 1);
  c.dialled = wan_.now();
  send_syn(c, number);
  return id_of(number, 0);
}

std::size_t Streams::write(StreamId stream, const Slice& bytes) {
  Connection* c = find(stream);
  if (c == nullptr) return 0;
  const std::size_t side = side_of(stream);
  if (c->flows[side].write_is_shut()) return 0;
  const std::size_t taken = c->flows[side].write(bytes);
  if (taken < bytes.size()) c->ends[side].wants_room = true;
  pump(*c, connection_of(stream), side);
  return taken;
}

void Streams::finish(StreamId stream) {
  Connection* c = find(stream);
  if (c == nullptr) return;
  c->flows[side_of(stream)].finish();
  pump(*c, connection_of(stream), side_of(stream));
}

void Streams::close(StreamId stream) {
  Connection* c = find(stream);
  if (c == nullptr) return;
  const std::uint32_t number = connection_of(stream);
  send_control(*c, number, side_of(stream), What::kReset);
  vanish(*c, number, side_of(stream));
}

void Streams::pause_reading(StreamId stream) {
  if (Connection* c = find(stream)) c->ends[side_of(stream)].paused = true;
}

void Streams::resume_reading(StreamId stream) {
  Connection* c = find(stream);
  if (c == nullptr) return;
  const std::uint32_t number = connection_of(stream);
  const std::size_t side = side_of(stream);
  c->ends[side].paused = false;
  hand_over(*c, number, side);
  if (find(stream) != nullptr) send_ack(*c, number, side);  // the window is open again
}

StreamInfo Streams::info(StreamId stream) const {
  const Connection* c = find(stream);
  if (c == nullptr) return {};
  const Flow& flow = c->flows[side_of(stream)];
  return {flow.smoothed_rtt(),    flow.window_bytes(), flow.in_flight_bytes(), flow.room(),
          flow.retransmissions(), flow.timeouts(),     flow.delivered_bytes()};
}

Endpoint Streams::local(StreamId stream) const {
  const Connection* c = find(stream);
  return c == nullptr ? Endpoint{} : c->ends[side_of(stream)].local;
}

Endpoint Streams::peer(StreamId stream) const {
  const Connection* c = find(stream);
  return c == nullptr ? Endpoint{} : c->ends[side_of(stream)].peer;
}

std::size_t Streams::open() const {
  std::size_t count = 0;
  for (const auto& c : connections_)
    if (c)
      for (const End& end : c->ends) count += end.state != State::kGone ? 1 : 0;
  return count;
}

// ---- Packets out ----

void Streams::send_control(Connection& c, std::uint32_t number, std::size_t side, What what) {
  WirePacket packet;
  packet.what = what;
  packet.from = c.ends[side].local;
  packet.to = c.ends[side].peer;
  packet.bytes = kControlBytes;
  packet.connection = number;
  packet.to_side = static_cast<std::uint8_t>(1 - side);
  wan_.transmit(std::move(packet));
}

void Streams::send_ack(Connection& c, std::uint32_t number, std::size_t side) {
  const Flow::Ack ack = c.flows[1 - side].make_ack();
  WirePacket packet;
  packet.what = What::kAck;
  packet.from = c.ends[side].local;
  packet.to = c.ends[side].peer;
  packet.bytes = kHeaderBytes;
  packet.connection = number;
  packet.to_side = static_cast<std::uint8_t>(1 - side);
  packet.number = ack.received;
  packet.offset = ack.window_end;
  packet.generation = ack.generation;
  packet.marks = ack.marks;
  wan_.transmit(std::move(packet));
}

void Streams::pump(Connection& c, std::uint32_t number, std::size_t side) {
  End& end = c.ends[side];
  if (end.state != State::kOpen) return;
  while (const auto segment = c.flows[side].poll_segment(wan_.now())) {
    WirePacket packet;
    packet.what = What::kSegment;
    packet.ecn = c.options.ecn ? Ecn::kEct0 : Ecn::kNotEct;
    packet.from = end.local;
    packet.to = end.peer;
    packet.bytes = segment->bytes + kHeaderBytes;
    packet.connection = number;
    packet.to_side = static_cast<std::uint8_t>(1 - side);
    packet.number = segment->transmission;
    packet.offset = segment->index;
    packet.generation = segment->generation;
    wan_.transmit(std::move(packet));
  }
  arm(c, number, side);
}

void Streams::send_reset_to(const WirePacket& packet) {
  if (packet.what == What::kReset) return;
  WirePacket reset;
  reset.what = What::kReset;
  reset.from = packet.to;
  reset.to = packet.from;
  reset.bytes = kControlBytes;
  reset.connection = packet.connection;
  reset.to_side = static_cast<std::uint8_t>(1 - packet.to_side);
  wan_.transmit(std::move(reset));
}

// ---- Packets in ----

void Streams::on_packet(const WirePacket& packet) {
  Connection* c = connections_[packet.connection].get();
  if (c == nullptr) return send_reset_to(packet);
  if (packet.what == What::kSyn) return on_syn(packet);
  const std::size_t side = packet.to_side;
  End& end = c->ends[side];
  if (end.finished && packet.what == What::kSegment && end.peer == packet.from)
    return on_segment(*c, side, packet);
  // A stranger, by address: behind a NAT that forgot, a connection goes on under another name.
  if (end.state == State::kGone || end.peer != packet.from) return send_reset_to(packet);
  if (packet.what == What::kReset) {
    const bool refused = end.state == State::kDialling;
    return this->end(*c, packet.connection, side,
                     refused ? CloseReason::kRefused : CloseReason::kReset);
  }
  if (packet.what == What::kSynAck) return on_syn_ack(*c, packet);
  if (end.state == State::kAnswering) establish(*c, packet.connection);
  if (end.state != State::kOpen) return;
  on_flow_packet(*c, side, packet);
}

void Streams::on_flow_packet(Connection& c, std::size_t side, const WirePacket& packet) {
  const std::uint32_t number = packet.connection;
  if (packet.what == What::kSegment) return on_segment(c, side, packet);
  if (packet.what == What::kProbe) return send_ack(c, number, side);
  Flow& flow = c.flows[side];
  flow.on_ack(wan_.now(), {packet.number, packet.offset, packet.generation, packet.marks});
  pump(c, number, side);
  End& end = c.ends[side];
  // As Linux does: writable again when a third of the buffer is free, not at every byte.
  if (end.wants_room && flow.room() * 3 >= c.options.flow.send_buffer_bytes) {
    end.wants_room = false;
    end.user->on_writable(wan_.now(), id_of(number, side));
  }
  try_finished(c, number);
}

void Streams::on_segment(Connection& c, std::size_t side, const WirePacket& packet) {
  const std::uint32_t number = packet.connection;
  Flow& flow = c.flows[1 - side];
  flow.on_segment({packet.offset, packet.number, packet.bytes - kHeaderBytes, packet.generation},
                  packet.altered, packet.ecn == Ecn::kCe);
  send_ack(c, number, side);
  hand_over(c, number, side);
  try_finished(c, number);
}

void Streams::hand_over(Connection& c, std::uint32_t number, std::size_t side) {
  End& end = c.ends[side];
  if (end.reading) return;  // called from within on_bytes
  end.reading = true;
  Flow& flow = c.flows[1 - side];
  const StreamId id = id_of(number, side);
  const auto& fault = side == 1 ? c.options.reset_after_sent : c.options.reset_after_received;
  while (end.state == State::kOpen && !end.paused) {
    std::size_t most = c.options.slice_bytes == 0 ? SIZE_MAX : c.options.slice_bytes;
    if (fault)
      most = static_cast<std::size_t>(std::min<std::uint64_t>(most, *fault - flow.read_offset()));
    if (cut_here(c, number, side)) break;
    const auto bytes = flow.read(most);
    if (!bytes) break;
    end.user->on_bytes(wan_.now(), id, *bytes);
  }
  end.reading = false;
  if (end.state != State::kOpen || end.paused || end.told_end || !flow.at_end()) return;
  end.told_end = true;
  end.user->on_end(wan_.now(), id);
}

// The fault of StreamOptions: something on the way resets both ends.
bool Streams::cut_here(Connection& c, std::uint32_t number, std::size_t side) {
  const auto& fault = side == 1 ? c.options.reset_after_sent : c.options.reset_after_received;
  if (!fault || c.flows[1 - side].read_offset() < *fault) return false;
  send_control(c, number, side, What::kReset);
  end(c, number, side, CloseReason::kReset);
  return true;
}

// ---- Timers ----

void Streams::arm(Connection& c, std::uint32_t number, std::size_t side) {
  End& end = c.ends[side];
  const auto due = c.flows[side].next_timeout();
  if (!due) return;
  // Deadlines mostly move out, with every ack: let the old timer fire and look again.
  if (end.timer != TimerId{} && end.timer_at <= *due) return;
  wan_.clock().cancel(end.timer);
  end.timer_at = *due;
  end.timer = wan_.clock().at(*due, [this, number, side] { on_timer(number, side); });
}

void Streams::on_timer(std::uint32_t number, std::size_t side) {
  Connection& c = *connections_[number];
  End& end = c.ends[side];
  end.timer = TimerId{};
  if (end.state == State::kDialling) {
    if (wan_.now() - c.dialled >= c.options.dial_give_up)
      return this->end(c, number, side, CloseReason::kTimedOut);
    return send_syn(c, number);
  }
  Flow& flow = c.flows[side];
  const auto due = flow.next_timeout();
  if (end.state != State::kOpen || !due) return;
  if (*due > wan_.now()) return arm(c, number, side);
  const auto stalled = flow.stalled_since();
  if (stalled && wan_.now() - *stalled >= c.options.give_up)
    return this->end(c, number, side, CloseReason::kTimedOut);
  if (flow.on_timeout(wan_.now())) send_control(c, number, side, What::kProbe);
  if (stalled && c.options.find_mtu) flow.set_mss(kSafeMss);
  pump(c, number, side);
}

void Streams::on_too_big(const WirePacket& packet, std::uint32_t mtu_bytes) {
  if (packet.what != What::kSegment) return;
  Connection* c = connections_[packet.connection].get();
  const std::size_t side = 1U - packet.to_side;
  if (c == nullptr || c->ends[side].state != State::kOpen) return;
  c->flows[side].set_mss(std::max(kMssMin, mtu_bytes - kHeaderBytes));
  pump(*c, packet.connection, side);
}

void Streams::check() const {
  for (const auto& c : connections_)
    if (c)
      for (const Flow& flow : c->flows) flow.check();
}

}  // namespace netsim
