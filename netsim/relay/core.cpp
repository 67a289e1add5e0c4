#include "netsim/relay/core.hpp"

#include <algorithm>

namespace netsim::relay {
namespace {

constexpr std::uint32_t kDatagramHeaders = 28;  // IPv4 and UDP
constexpr std::uint64_t kSlotBits = 24;

std::size_t index(Direction d) {
  return static_cast<std::size_t>(d);
}
std::size_t slot_of(ConnectionId id) {
  return static_cast<std::size_t>(id.value() & ((1U << kSlotBits) - 1));
}

TcpModelOptions fitted(TcpModelOptions options, const LinkConfig& link) {
  const std::uint32_t mtu = std::min(link.up.mtu_bytes, link.down.mtu_bytes);
  const std::uint32_t fits = mtu > kHeaderBytes + 1 ? mtu - kHeaderBytes : 1;
  options.segment_bytes = std::min(options.segment_bytes, fits);
  return options;
}

void add(TcpModelCounters& sum, const TcpModelCounters& more) {
  sum.segments += more.segments;
  sum.repeats += more.repeats;
  sum.timeouts += more.timeouts;
}

}  // namespace

Core::Core(const RelayConfig& config, const longhaul::Rng& rng, Time start)
    : config_(config), link_(config.link, rng, start) {}

Core::Slot* Core::find(ConnectionId id) {
  return const_cast<Slot*>(static_cast<const Core*>(this)->find(id));
}
const Core::Slot* Core::find(ConnectionId id) const {
  const std::size_t at = slot_of(id);
  if (at >= slots_.size() || slots_[at].connection == nullptr) return nullptr;
  return slots_[at].generation == id.value() >> kSlotBits ? &slots_[at] : nullptr;
}

std::vector<ConnectionId> Core::all() const {
  std::vector<ConnectionId> out;
  for (std::size_t i = 0; i < slots_.size(); ++i)
    if (slots_[i].connection) out.push_back(ConnectionId(slots_[i].generation << kSlotBits | i));
  return out;
}

bool Core::clear(Direction d) const {
  const DirectionConfig& c = link_.config()[d];
  const bool nothing = c.delay.base == Duration{} && c.reorder.p <= 0 && c.duplicate <= 0 &&
                       c.corrupt.p <= 0 && !c.policer && !c.aggregation;
  return nothing && std::holds_alternative<NoJitter>(c.delay.jitter) &&
         std::holds_alternative<NoLoss>(c.loss) && std::holds_alternative<UnlimitedRate>(c.rate) &&
         !link_.pipe(d).is_cut();
}

ConnectionId Core::on_accept(Time now) {
  run_until(now);
  if (free_slots_.empty()) {
    free_slots_.push_back(slots_.size());
    slots_.emplace_back();
  }
  const std::size_t at = free_slots_.back();
  free_slots_.pop_back();
  Slot& slot = slots_[at];
  ++slot.generation;
  slot.connection =
      std::make_unique<Connection>(fitted(config_.tcp, link_.config()), config_.faults);
  ++open_;
  ++counters_.connections;
  const ConnectionId id(slot.generation << kSlotBits | at);
  slot.connection->on_open(now);
  settle(now, id);
  run_until(now);  // where the link has no delay
  return id;
}

void Core::on_dialed(Time now, ConnectionId id, bool ok) {
  run_until(now);
  Slot* slot = find(id);
  if (slot == nullptr) return;
  if (!ok) ++counters_.refused;
  slot->connection->on_dialed(now, ok);
  settle(now, id);
  run_until(now);
}

void Core::on_read(Time now, ConnectionId id, Direction d, std::uint64_t bytes) {
  run_until(now);
  Slot* slot = find(id);
  if (slot == nullptr) return;
  slot->connection->on_read(d, bytes, clear(d));
  settle(now, id);
  run_until(now);
}

void Core::on_eof(Time now, ConnectionId id, Direction d) {
  run_until(now);
  Slot* slot = find(id);
  if (slot == nullptr) return;
  slot->connection->on_eof(d, clear(d));
  settle(now, id);
  run_until(now);
}

void Core::on_error(Time now, ConnectionId id, Direction d) {
  run_until(now);
  Slot* slot = find(id);
  if (slot == nullptr) return;
  slot->connection->on_error(now, d);
  settle(now, id);
  run_until(now);
}

void Core::on_written(Time now, ConnectionId id, Direction d, std::uint64_t bytes) {
  Slot* slot = find(id);
  if (slot == nullptr) return;
  slot->connection->on_written(d, bytes);
  counters_.bytes[index(d)] += bytes;
  settle(now, id);
  run_until(now);
}

std::uint64_t Core::room(ConnectionId id, Direction d) const {
  const Slot* slot = find(id);
  return slot == nullptr ? 0 : slot->connection->room(d, clear(d));
}

void Core::on_datagram(Time now, Direction d, std::uint32_t payload_bytes, std::uint64_t handle) {
  run_until(now);
  ++counters_.datagrams[index(d)];
  InLink what;
  what.is_datagram = true;
  what.handle = handle;
  push(now, d, payload_bytes + kDatagramHeaders, what);
  run_until(now);
}

void Core::push(Time now, Direction d, std::uint32_t bytes, const InLink& what) {
  if (free_cookies_.empty()) {
    free_cookies_.push_back(in_link_.size());
    in_link_.emplace_back();
  }
  const std::uint64_t cookie = free_cookies_.back();
  free_cookies_.pop_back();
  in_link_[cookie] = what;
  const DirectionConfig& c = link_.config()[d];
  // Where the sender is told, real TCP cuts its segments to the smaller MTU; a
  // datagram would be fragmented; here it counts as one packet of that size.
  const std::uint32_t size = c.pmtu_reply ? std::min(bytes, c.mtu_bytes) : bytes;
  link_.push(now, d, Packet{cookie, size, Ecn::kNotEct});
  while (const auto drop = link_.pop_drop(d)) on_drop(now, *drop, d);
}

void Core::run_until(Time now) {
  for (;;) {
    const auto due = link_.next_delivery();
    const bool timer_first = !timers_.empty() && (!due || timers_.front().at < *due);
    if (timer_first) {
      if (timers_.front().at > now) break;
      const auto entry = timers_.pop();
      Slot* slot = find(entry.value);
      if (slot == nullptr || slot->armed != entry.at) continue;  // forgotten, or armed anew
      slot->armed.reset();
      slot->connection->on_deadline(entry.at);
      settle(entry.at, entry.value);
    } else {
      if (!due || *due > now) break;
      run_link(*due);
    }
  }
  link_.advance(now);
  while (const auto rebound = link_.pop_rebind()) {
    Output out;
    out.at = rebound->at;
    outputs_.push(out);
  }
}

void Core::run_link(Time at) {
  for (const Direction d : kBothWays) {
    while (const auto delivery = link_.pop(at, d)) on_delivery(*delivery, d);
    while (const auto drop = link_.pop_drop(d)) on_drop(at, *drop, d);
  }
}

void Core::on_delivery(const Delivery& delivery, Direction d) {
  const InLink what = in_link_[delivery.cookie];
  if (!delivery.duplicate) free_cookies_.push_back(delivery.cookie);
  if (what.is_datagram) {
    Output out;
    out.what = Output::What::kDatagram;
    out.at = delivery.at;
    out.direction = d;
    out.handle = what.handle;
    out.corrupt = delivery.corrupt;
    out.duplicate = delivery.duplicate;
    outputs_.push(out);
    return;
  }
  // TCP drops a segment with a wrong checksum, and one it has seen; a stream shows neither.
  if (delivery.duplicate || delivery.corrupt) return;
  Slot* slot = find(what.connection);
  if (slot == nullptr) return;
  slot->connection->on_wire(delivery.at, what.wire);
  settle(delivery.at, what.connection);
}

void Core::on_drop(Time now, const Drop& drop, Direction d) {
  const InLink what = in_link_[drop.cookie];
  free_cookies_.push_back(drop.cookie);
  if (!what.is_datagram) return;  // TCP finds out by itself
  ++counters_.datagrams_lost[index(d)];
  Output out;
  out.what = Output::What::kDatagramLost;
  out.at = now;
  out.direction = d;
  out.handle = what.handle;
  outputs_.push(out);
}

void Core::settle(Time now, ConnectionId id) {
  Slot* slot = find(id);
  if (slot == nullptr) return;
  Connection& connection = *slot->connection;
  while (const auto wire = connection.poll_wire(now)) {
    InLink what;
    what.connection = id;
    what.wire = *wire;
    push(now, wire->direction, wire->bytes(), what);
  }
  while (const auto action = connection.poll_action(now)) on_output(now, id, *action);
  if (connection.over()) return forget(id);
  arm(id, *slot);
}

void Core::on_output(Time now, ConnectionId id, const Action& action) {
  if (action.what == Action::What::kReset) ++counters_.resets;
  Output out;
  out.what = Output::What::kConnection;
  out.at = now;
  out.connection = id;
  out.action = action;
  outputs_.push(out);
}

void Core::arm(ConnectionId id, Slot& slot) {
  const auto next = slot.connection->next_deadline();
  if (!next || (slot.armed && *slot.armed <= *next)) return;  // an early timer arms itself again
  slot.armed = next;
  timers_.push(*next, id);
}

void Core::forget(ConnectionId id) {
  Slot* slot = find(id);
  for (const Direction d : kBothWays)
    add(counters_.flows[index(d)], slot->connection->tcp(d).counters());
  slot->connection.reset();
  slot->armed.reset();
  free_slots_.push_back(slot_of(id));
  --open_;
}

void Core::on_deadline(Time now) {
  run_until(now);
}

std::optional<Time> Core::next_deadline() const {
  auto next = link_.next_deadline();
  if (!timers_.empty()) next = next ? std::min(*next, timers_.front().at) : timers_.front().at;
  return next;
}

std::optional<Output> Core::poll_output() {
  if (outputs_.empty()) return std::nullopt;
  return outputs_.pop();
}

void Core::reconfigure(Time now, const RelayConfig& config) {
  run_until(now);
  config_ = config;
  link_.reconfigure(now, config.link);
  for (const ConnectionId id : all()) {
    find(id)->connection->reconfigure(config.faults);
    settle(now, id);
  }
  run_until(now);
}

void Core::happen(Time now, const EventKind& what) {
  run_until(now);
  link_.apply(now, what);
  run_until(now);
}

void Core::reset_all(Time now) {
  run_until(now);
  for (const ConnectionId id : all()) {
    find(id)->connection->abort();
    settle(now, id);
  }
}

void Core::half_close_all(Time now, Direction d) {
  run_until(now);
  for (const ConnectionId id : all()) {
    find(id)->connection->half_close(d);
    settle(now, id);
  }
}

RelayConfig Core::config() const {
  RelayConfig out = config_;
  out.link = link_.config();
  return out;
}

CoreCounters Core::counters() const {
  CoreCounters out = counters_;
  for (const Slot& slot : slots_)
    if (slot.connection)
      for (const Direction d : kBothWays)
        add(out.flows[index(d)], slot.connection->tcp(d).counters());
  return out;
}

void Core::check() const {
  link_.check();
  std::size_t seen = 0;
  for (const Slot& slot : slots_) {
    if (!slot.connection) continue;
    ++seen;
    for (const Direction d : kBothWays) slot.connection->tcp(d).check();
  }
  ASSERT(seen == open_);
}

}  // namespace netsim::relay
