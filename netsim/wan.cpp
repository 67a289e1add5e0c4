#include "netsim/wan.hpp"

#include <fmt/format.h>

#include <algorithm>

#include "netsim/streams.hpp"

namespace netsim {
namespace {

constexpr std::uint8_t kHopsMax = 64;  // routes set by hand may run in a circle
constexpr LinkId kNoLink{0xffff'ffffU};
constexpr std::uint32_t kDatagramOverhead = 28;  // IPv4 and UDP headers

}  // namespace

Wan::Wan(std::uint64_t seed)
    : seed_(seed), rng_(seed), streams_(std::make_unique<Streams>(*this)) {}
Wan::~Wan() = default;

// ---- Topology ----

HostId Wan::add_host(std::string name) {
  hosts_.push_back(Host{std::move(name), true, {}, {}});
  for (Host& host : hosts_) host.next_hop.clear();
  return HostId(static_cast<std::uint32_t>(hosts_.size() - 1));
}

LinkId Wan::connect(HostId a, HostId b, const LinkConfig& config) {
  ASSERT(netsim::check(config).has_value());
  ASSERT(a != b && a.value() < hosts_.size() && b.value() < hosts_.size());
  const LinkId id(static_cast<std::uint32_t>(lanes_.size()));
  lanes_.push_back(
      Lane{a, b, Link(config, rng_.stream(fmt::format("link{}", id.value())), now()), {}, {}, {}});
  for (Host& host : hosts_) host.next_hop.clear();
  return id;
}

void Wan::route(HostId here, HostId to, LinkId via) {
  const Lane& lane = lanes_[via.value()];
  ASSERT(lane.a == here || lane.b == here);
  hosts_[here.value()].routes[address_of(to)] = via;
}

std::optional<HostId> Wan::host_of(Address address) const {
  if (address >= kFirstAlias) {
    if (address - kFirstAlias >= alias_owner_.size()) return std::nullopt;
    return alias_owner_[address - kFirstAlias];
  }
  if (address == 0 || address > hosts_.size()) return std::nullopt;
  return HostId(address - 1);
}

void Wan::find_routes(HostId here) {  // breadth first; among equals the link that was made first
  auto& table = hosts_[here.value()].next_hop;
  table.assign(hosts_.size(), kNoLink);
  std::vector<HostId> frontier{here};
  for (std::size_t i = 0; i < frontier.size(); ++i) {
    const HostId from = frontier[i];
    for (std::uint32_t l = 0; l < lanes_.size(); ++l) {
      const Lane& lane = lanes_[l];
      if (lane.a != from && lane.b != from) continue;
      const HostId to = lane.a == from ? lane.b : lane.a;
      if (to == here || table[to.value()] != kNoLink) continue;
      table[to.value()] = from == here ? LinkId(l) : table[from.value()];
      frontier.push_back(to);
    }
  }
}

std::optional<LinkId> Wan::next_hop(HostId here, HostId to) {
  Host& host = hosts_[here.value()];
  if (const auto by_hand = host.routes.find(address_of(to)); by_hand != host.routes.end())
    return by_hand->second;
  if (host.next_hop.size() != hosts_.size()) find_routes(here);
  const LinkId via = host.next_hop[to.value()];
  return via == kNoLink ? std::nullopt : std::optional(via);
}

// ---- Running ----

bool Wan::step() {
  if (!clock_.step()) return false;
  streams_->bury();
  if (check_steps_) check();
  return true;
}

void Wan::run() {
  while (step()) {
  }
}

void Wan::run_until(Time when) {
  while (clock_.next() && *clock_.next() <= when) step();
  if (when > now()) clock_.advance_to(when);
}

bool Wan::run_until(const std::function<bool()>& done, Duration limit) {
  const Time last = now() + limit;
  while (!done()) {
    if (!clock_.next() || *clock_.next() > last) return false;
    step();
  }
  return true;
}

void Wan::check() const {
  for (const Lane& lane : lanes_) lane.link.check();
  streams_->check();
}

// ---- Packets ----

std::uint32_t Wan::store(WirePacket packet) {
  if (free_packets_.empty()) {
    free_packets_.push_back(static_cast<std::uint32_t>(packets_.size()));
    packets_.emplace_back();
  }
  const std::uint32_t index = free_packets_.back();
  free_packets_.pop_back();
  packets_[index] = std::move(packet);
  return index;
}

WirePacket Wan::release(std::uint32_t index) {
  free_packets_.push_back(index);
  return std::move(packets_[index]);
}

void Wan::trace(Trace what, std::uint64_t detail) {
  const auto mix = [this](std::uint64_t word) {
    hash_ = (hash_ ^ word) * 0x9e3779b97f4a7c15U;
    hash_ ^= hash_ >> 32;
  };
  mix(static_cast<std::uint64_t>(now().time_since_epoch().count()));
  mix((detail << 8) | static_cast<std::uint64_t>(what));
}

void Wan::transmit(WirePacket packet) {
  const auto host = host_of(packet.from.address);
  if (!host || !hosts_[host->value()].up) return;
  packet.sent = now();
  forward(store(std::move(packet)), *host);
}

void Wan::forward(std::uint32_t index, HostId here) {
  WirePacket& packet = packets_[index];
  const auto to = host_of(packet.to.address);
  if (to && *to == here) {  // to itself: through no link, but never within the sender's call
    clock_.at(now(), [this, index, here] { arrive_local(index, here); });
    return;
  }
  const auto via = to && packet.hops++ < kHopsMax ? next_hop(here, *to) : std::nullopt;
  if (!via) {
    trace(Trace::kUnroutable, packet.bytes);
    release(index);
    return;
  }
  put_on(*via, here, index);
}

void Wan::put_on(LinkId via, HostId here, std::uint32_t index) {
  Lane& lane = lanes_[via.value()];
  WirePacket& packet = packets_[index];
  const Direction direction = lane.a == here ? Direction::kUp : Direction::kDown;
  lane.link.advance(now());
  drain(via);
  lane.nat.advance(now());
  if (direction == Direction::kUp) packet.from = lane.nat.outward(packet.from);
  ++hops_;
  trace(Trace::kSent, packet.bytes);
  lane.link.push(now(), direction, Packet{index, packet.bytes, packet.ecn});
  drain(via);
  arm(via);
}

void Wan::arm(LinkId id) {
  Lane& lane = lanes_[id.value()];
  const auto due = lane.link.next_delivery();
  if (!due || (lane.wake != TimerId{} && lane.wake_at <= *due)) return;
  clock_.cancel(lane.wake);
  lane.wake_at = *due;
  lane.wake = clock_.at(*due, [this, id] { poll(id); });
}

void Wan::poll(LinkId id) {
  Lane& lane = lanes_[id.value()];
  lane.wake = TimerId{};
  lane.link.advance(now());
  drain(id);
  for (const Direction direction : kBothWays)
    while (const auto delivery = lane.link.pop(now(), direction))
      on_delivery(lane, direction, *delivery);
  drain(id);
  arm(id);
}

void Wan::drain(LinkId id) {
  Lane& lane = lanes_[id.value()];
  while (const auto rebound = lane.link.pop_rebind()) {
    std::optional<Address> alias;
    if (rebound->address_too) {
      alias = kFirstAlias + static_cast<Address>(alias_owner_.size());
      alias_owner_.push_back(lane.a);
    }
    lane.nat.rebind(alias);
  }
  for (const Direction direction : kBothWays)
    while (const auto drop = lane.link.pop_drop(direction)) on_drop(lane, direction, *drop);
}

void Wan::on_delivery(Lane& lane, Direction direction, const Delivery& delivery) {
  auto index = static_cast<std::uint32_t>(delivery.cookie);
  if (delivery.duplicate) index = store(packets_[index]);
  WirePacket& packet = packets_[index];
  trace(Trace::kArrived, packet.bytes);
  if (delivery.ce_mark) packet.ecn = Ecn::kCe;
  if (delivery.corrupt) {
    const bool unseen = lane.link.config()[direction].corrupt.after_checksum;
    (unseen ? packet.altered : packet.damaged) = true;
  }
  const HostId here = direction == Direction::kUp ? lane.b : lane.a;
  if (direction == Direction::kDown) {
    lane.nat.advance(now());
    const auto inside = lane.nat.inward(packet.to);
    if (!inside) {
      trace(Trace::kNoNat, packet.bytes);
      release(index);
      return;
    }
    packet.to = *inside;
  }
  if (host_of(packet.to.address) == here)
    arrive_local(index, here);
  else if (!hosts_[here.value()].up)
    release(index);
  else
    forward(index, here);
}

void Wan::on_drop(Lane& lane, Direction direction, const Drop& drop) {
  const WirePacket packet = release(static_cast<std::uint32_t>(drop.cookie));
  trace(Trace::kDropped, (std::uint64_t{packet.bytes} << 8) | static_cast<std::uint64_t>(drop.why));
  if (drop.why != DropReason::kTooBig) return;
  // The router's answer takes as long back as the packet took to it.
  const std::uint32_t mtu_bytes = lane.link.pipe(direction).config().mtu_bytes;
  clock_.after(now() - packet.sent, [this, packet, mtu_bytes] {
    if (packet.what != WirePacket::What::kDatagram) return streams_->on_too_big(packet, mtu_bytes);
    const auto user = bound_.find(packet.from);
    if (user != bound_.end()) user->second->on_too_big(now(), packet.to, mtu_bytes);
  });
}

void Wan::arrive_local(std::uint32_t index, HostId here) {
  WirePacket packet = release(index);
  if (!hosts_[here.value()].up) {
    trace(Trace::kHostDown, packet.bytes);
    return;
  }
  if (packet.damaged) return;
  if (packet.what == WirePacket::What::kDatagram) return deliver_datagram(packet);
  streams_->on_packet(packet);
}

// ---- Datagrams ----

longhaul::Slice with_flipped_bit(const longhaul::Slice& bytes, std::uint64_t salt) {
  longhaul::Buffer buffer(bytes.size());
  std::copy(bytes.bytes().begin(), bytes.bytes().end(), buffer.bytes().begin());
  buffer.bytes()[salt % bytes.size()] ^= std::byte{1} << (salt / 8 % 8);
  return std::move(buffer).freeze(bytes.size());
}

void Wan::bind(Endpoint local, DatagramUser& user) {
  ASSERT(host_of(local.address) && is_up(*host_of(local.address)));
  const bool fresh = bound_.emplace(local, &user).second;
  ASSERT(fresh);
}

void Wan::unbind(Endpoint local) {
  bound_.erase(local);
}

void Wan::send(Datagram datagram) {
  WirePacket packet;
  packet.ecn = datagram.ecn;
  packet.from = datagram.from;
  packet.to = datagram.to;
  packet.bytes = static_cast<std::uint32_t>(datagram.payload.size()) + kDatagramOverhead;
  packet.payload = std::move(datagram.payload);
  transmit(std::move(packet));
}

void Wan::deliver_datagram(WirePacket& packet) {
  const auto user = bound_.find(packet.to);
  if (user == bound_.end()) return;
  longhaul::Slice payload = std::move(packet.payload);
  if (packet.altered && !payload.empty()) payload = with_flipped_bit(payload, hops_);
  user->second->on_datagram(now(),
                            Datagram{packet.from, packet.to, std::move(payload), packet.ecn});
}

// ---- Faults ----

void Wan::apply(LinkId id, const EventKind& what) {
  lanes_[id.value()].link.apply(now(), what);
  drain(id);
  arm(id);
}

void Wan::reconfigure(LinkId id, const LinkConfig& config) {
  ASSERT(netsim::check(config).has_value());
  lanes_[id.value()].link.reconfigure(now(), config);
  drain(id);
  arm(id);
}

void Wan::forget_idle_mappings(LinkId link, Duration span) {
  lanes_[link.value()].nat.forget_idle(span);
}

void Wan::crash(HostId host) {
  hosts_[host.value()].up = false;
  std::erase_if(bound_, [&](const auto& entry) { return host_of(entry.first.address) == host; });
  streams_->crash(host);
}

void Wan::restart(HostId host) {
  hosts_[host.value()].up = true;
}

}  // namespace netsim
