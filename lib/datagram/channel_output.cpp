// What a channel sends: which packet is due, and what stands in it.
#include <algorithm>

#include "lib/datagram/channel.hpp"

namespace longhaul::datagram {

namespace {
constexpr std::size_t kBatchBytesMax = 63'000;  // of UDP_SEGMENT: 65507 at most
constexpr std::size_t kBatchPacketsMax = 64;    // the kernel's UDP_MAX_SEGMENTS
constexpr std::uint32_t kIpv4Headers = 28, kIpv6Headers = 48;
constexpr std::uint64_t kResendShare = 20;       // one early copy for so many packets of load
constexpr std::uint64_t kUrgentOverWindow = 64;  // packets of control beyond a full window

bool is_ipv4(const Address& address) {
  constexpr std::array<std::byte, 12> kMapped{
      {{}, {}, {}, {}, {}, {}, {}, {}, {}, {}, std::byte{0xff}, std::byte{0xff}}};
  return std::equal(kMapped.begin(), kMapped.end(), address.ip.begin());
}
}  // namespace

std::uint32_t Channel::wire_bytes(std::size_t datagram_bytes) const {
  const bool ipv4 = !route_.current().has_value() || is_ipv4(*route_.current());
  return static_cast<std::uint32_t>(datagram_bytes) + (ipv4 ? kIpv4Headers : kIpv6Headers);
}

bool Channel::may_load(Time now) const {
  return life_ != Life::kStalled && !resting_ && load_.has(now, false);
}

bool Channel::may_resend(Time now) const {
  return life_ == Life::kAlive && resends_earned_ >= kResendShare && !load_.has(now, false);
}

std::optional<Channel::Batch> Channel::poll(Time now) {
  if (life_ == Life::kOver || blocked_ || !protection_.may_seal()) return std::nullopt;
  if (auto batch = poll_path(now)) return batch;
  if (!route_.current().has_value() || route_.room() < kSmallBytes) return std::nullopt;
  // Before what fills the link: a size found late costs a packet in five until then.
  if (auto batch = poll_mtu_probe(now)) return batch;
  if (route_.room() >= mtu_.size()) {
    if (auto batch = poll_load(now)) return batch;
  }
  return poll_rest(now);
}

// What proves addresses goes first, to where it must, and is small.
std::optional<Channel::Batch> Channel::poll_path(Time now) {
  if (answer_.has_value()) {
    const Answer answer = *answer_;
    answer_.reset();
    return single(now, answer.to, {Wish::What::kResponse, answer.token, kMtuBase});
  }
  if (route_.room() < kSmallBytes) return std::nullopt;
  if (const auto challenge = route_.take_challenge(now)) {
    return single(now, challenge->to, {Wish::What::kChallenge, challenge->token, kMtuBase});
  }
  return std::nullopt;
}

std::optional<Channel::Batch> Channel::poll_mtu_probe(Time now) {
  if (life_ != Life::kAlive || !route_.validated() || !rate_.may_send(now)) return std::nullopt;
  const auto size = mtu_.wanted(now);
  if (!size.has_value()) return std::nullopt;
  mtu_.on_probe_sent(now);
  return single(now, *route_.current(), {Wish::What::kMtuProbe, {}, *size});
}

std::optional<Channel::Batch> Channel::poll_load(Time now) {
  const Address to = *route_.current();
  if (!may_load(now)) return std::nullopt;
  const bool free = rate_.may_send(now);
  // A window that shrank is full for as long as what is in flight takes to drain: control goes on,
  // a packet for each that is acknowledged.
  const bool full = !rate_.next_send().has_value();
  const bool urgent =
      !free && load_.has(now, true) && (!full || urgent_over_window_ < kUrgentOverWindow);
  if (!free && !urgent) return std::nullopt;
  if (urgent) {
    if (full) ++urgent_over_window_;
    return single(now, to, {Wish::What::kUrgent, {}, mtu_.size()});
  }

  // All that may leave together, in one call to the kernel: packet by packet as each comes due, the
  // calls cost more than what is in them.
  const std::size_t burst = std::max<std::size_t>(rate_.burst(now).value(), 1);
  const std::size_t bytes_max = std::min<std::size_t>(
      {burst + mtu_.size(), kBatchBytesMax, static_cast<std::size_t>(route_.room())});
  Buffer buffer = pool_.take(std::max<std::size_t>(bytes_max, mtu_.size()));
  Batch batch;
  std::size_t used = 0, packets = 0;
  while (packets < kBatchPacketsMax &&
         used + (packets == 0 ? mtu_.size() : batch.each_bytes) <= bytes_max) {
    Wish wish{Wish::What::kLoad, {}, packets == 0 ? mtu_.size() : batch.each_bytes};
    const std::size_t bytes = build(now, wish, buffer.bytes().subspan(used, wish.bytes_max));
    if (bytes == 0) break;
    used += bytes;
    if (packets++ == 0) batch.each_bytes = static_cast<std::uint32_t>(bytes);
    if (bytes < mtu_.size() / 2) break;  // several small ones are no batch worth their padding
    if (bytes < batch.each_bytes || used + packets * wire_bytes(0) >= burst) break;
  }
  if (used == 0) return std::nullopt;
  route_.on_sent(to, used);
  batch.to = to;
  batch.bytes = std::move(buffer).freeze(used);
  // Once nothing new is left the oldest may go early: at most this share of the last window.
  resends_earned_ = std::min(resends_earned_ + packets, recovery_.in_flight_packets());
  return batch;
}

std::optional<Channel::Batch> Channel::poll_rest(Time now) {
  const Address to = *route_.current();
  if (probes_due_ > 0) {
    --probes_due_;
    const bool copy = !recovery_.oldest_uncopied().empty();
    if (copy) {
      if (auto batch = single(now, to, {Wish::What::kCopy, {}, mtu_.size()})) return batch;
    }
    return single(now, to, {Wish::What::kPing, {}, kMtuBase});
  }
  if (ping_due_) {
    ping_due_ = false;
    return single(now, to, {Wish::What::kPing, {}, kMtuBase});
  }
  if (may_resend(now) && rate_.may_send(now)) {
    resends_earned_ -= kResendShare;
    if (!recovery_.oldest_uncopied().empty()) {
      ++counters_.resent_early;
      if (auto batch = single(now, to, {Wish::What::kCopy, {}, mtu_.size()})) return batch;
    }
    resends_earned_ = 0;
  }
  if (received_.ack_at().has_value() && *received_.ack_at() <= now) {
    return single(now, to, {Wish::What::kAck, {}, mtu_.size()});
  }
  return std::nullopt;
}

std::optional<Channel::Batch> Channel::single(Time now, const Address& to, const Wish& wish) {
  Wish within = wish;
  if (route_.current() == to) {
    within.bytes_max = static_cast<std::uint32_t>(
        std::min<std::uint64_t>(wish.bytes_max, std::max(route_.room(), kSmallBytes)));
  }
  Buffer buffer = pool_.take(within.bytes_max);
  const std::size_t bytes = build(now, within, buffer.bytes().first(within.bytes_max));
  if (bytes == 0) return std::nullopt;
  route_.on_sent(to, bytes);
  return Batch{to, std::move(buffer).freeze(bytes), static_cast<std::uint32_t>(bytes)};
}

// One packet at the front of `out`; zero if there is nothing to put into it.
std::size_t Channel::build(Time now, const Wish& wish, MutableBytes out) {
  const std::size_t header = protection_.header_bytes();
  const std::size_t around = header + crypto::kTagBytes;
  items_.clear();
  Packing packet(out.subspan(header, wish.bytes_max - around), mtu_.size() - around, items_);
  if (!compose(now, wish, packet)) return 0;
  packet.pad(wish.what == Wish::What::kMtuProbe ? packet.used() + packet.room() : kFramesBytesMin);
  const std::size_t bytes = packet.used() + around;
  const PacketNumber number = protection_.seal(now, out.first(bytes));

  SentPacket sent{number, now, wire_bytes(bytes), 0, false};
  if (packet.quiet()) {
    recovery_.on_sent(now, Recovery::Kind::kQuiet, sent, {});
  } else {
    const bool of_load = wish.what == Wish::What::kLoad || wish.what == Wish::What::kUrgent;
    const bool limited = !of_load || !load_.has(now, false);
    sent = rate_.on_sent(now, number, sent.bytes, limited);
    if (wish.what == Wish::What::kCopy) {
      recovery_.on_copy_sent(now, sent);
    } else {
      const bool probe = wish.what == Wish::What::kMtuProbe;
      recovery_.on_sent(now, probe ? Recovery::Kind::kMtuProbe : Recovery::Kind::kEliciting, sent,
                        items_);
    }
  }
  if (wish.what == Wish::What::kLoad) ++counters_.data_packets_out;
  ++counters_.packets_out;
  counters_.bytes_out += bytes;
  sent_at_ = now;
  return bytes;
}

bool Channel::compose(Time now, const Wish& wish, Packing& packet) {
  const auto token = [&](FrameType type) {
    packet.frame(1 + wish.token.size(), [&](wire::Writer& out) {
      out.byte(static_cast<std::uint8_t>(type));
      out.raw(wish.token);
    });
    return true;
  };
  const auto ping = [&packet] {
    packet.frame(1,
                 [](wire::Writer& out) { out.byte(static_cast<std::uint8_t>(FrameType::kPing)); });
    packet.elicit();
    return true;
  };
  switch (wish.what) {
    case Wish::What::kChallenge:
      return token(FrameType::kChallenge);
    case Wish::What::kResponse:
      return token(FrameType::kResponse);
    case Wish::What::kMtuProbe:
      return ping();
    case Wish::What::kCopy:
      if (!load_.refill(recovery_.oldest_uncopied().front(), packet)) return false;
      items_.clear();
      packet.elicit();
      return true;
    case Wish::What::kPing:
      ping();  // first: an acknowledgement takes all the room it finds
      add_ack(now, packet);
      return true;
    case Wish::What::kAck:
      return add_ack(now, packet);
    case Wish::What::kLoad:
    case Wish::What::kUrgent:
      break;
  }
  load_.fill(now, packet, wish.what == Wish::What::kUrgent);
  if (packet.used() == 0) return false;
  if (received_.owes()) add_ack(now, packet);  // if there is room
  return true;
}

bool Channel::add_ack(Time now, Packing& packet) {
  if (!received_.any()) return false;
  AckFrame ack = received_.frame(now);
  ack.dropped = socket_drops_;
  const auto size_of = [&ack] {
    wire::Writer counter;
    write(counter, ack);
    return counter.size();
  };
  while (size_of() > packet.room()) {
    if (ack.time_count > 0) {
      ack.time_count /= 2;
    } else if (ack.range_count > 1) {
      ack.range_count /= 2;
    } else {
      return false;
    }
  }
  packet.frame(size_of(), [&ack](wire::Writer& out) { write(out, ack); });
  load_.accompany(packet);
  received_.on_ack_sent();
  ++counters_.acks_out;
  return true;
}

}  // namespace longhaul::datagram
