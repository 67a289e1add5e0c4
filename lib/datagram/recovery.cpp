#include "lib/datagram/recovery.hpp"

#include <algorithm>

namespace longhaul::datagram {

namespace {
constexpr Duration kGranularity = 1ms;
constexpr std::uint32_t kReorderEighthsMost = 8;  // a whole round trip more
constexpr std::uint32_t kBackoffMost = 6;
// A receiver that was busy acknowledges more packets at once than a frame has times for; those few
// milliseconds are known well enough.
constexpr Duration kGuessTrusted = 10ms;
constexpr std::size_t kRecordsMax = 1U << 16;  // of which nothing is in flight

Duration absolute(Duration span) {
  return span < Duration{} ? -span : span;
}
}  // namespace

void RttEstimate::on_sample(Duration sample, Duration held) {
  sample = std::max<Duration>(sample, 1us);
  latest_ = sample;
  if (!known()) {
    least_ = smoothed_ = sample;
    variation_ = sample / 2;
    return;
  }
  // All of what the peer says it held it: RFC 9002 bounds that by what was agreed, but after an
  // outage the newest packet may be acknowledged minutes late, and ten minutes of round trip would
  // stop every timer here.
  least_ = std::min(least_, sample);
  if (sample >= least_ + held) sample -= held;
  latest_ = std::min(latest_, sample + kAckDelayMost);
  variation_ += (absolute(smoothed_ - sample) - variation_) / 4;
  smoothed_ += (sample - smoothed_) / 8;
}

Duration RttEstimate::probe_timeout() const {
  return smoothed_ + std::max<Duration>(4 * variation_, kGranularity) + kAckDelayMost;
}

void Recovery::Outcome::clear() {
  acked.clear();
  lost.clear();
  forgotten.clear();
  probe_acked.reset();
  probe_lost.reset();
  largest_acked_bytes = 0;
  any_new = false;
}

Recovery::Record* Recovery::record(PacketNumber number) {
  if (number < floor_ || number - floor_ >= records_.size()) return nullptr;
  return &records_[number - floor_];
}

Recovery::Kept* Recovery::kept(std::uint64_t place) {
  if (place < items_floor_ || place - items_floor_ >= items_.size()) return nullptr;
  return &items_[place - items_floor_];
}

void Recovery::push(Time now, Kind kind, const SentPacket& packet) {
  ASSERT(packet.number == floor_ + records_.size());
  Record record;
  record.packet = packet;
  record.first_item = items_floor_ + items_.size();
  record.kind = kind;
  if (kind != Kind::kQuiet) {
    record.state = State::kInFlight;
    if (in_flight_++ == 0) heard_ = now;
    last_eliciting_ = now;
  }
  records_.push(record);
}

void Recovery::on_sent(Time now, Kind kind, const SentPacket& packet, std::span<const Item> items) {
  push(now, kind, packet);
  records_.back().item_count = static_cast<std::uint32_t>(items.size());
  for (const Item& item : items) items_.push(Kept{item, Kept::kNone, true, false});
  forget_old(now);
}

std::span<const Item> Recovery::oldest_uncopied() {
  next_copy_ = std::max(next_copy_, floor_);
  for (; record(next_copy_) != nullptr; ++next_copy_) {
    const Record& packet = *record(next_copy_);
    if (packet.state != State::kInFlight || packet.copied || packet.item_count != 1) continue;
    const Kept& one = *kept(packet.first_item);
    if (one.twin == Kept::kNone && !one.told) return {&one.item, 1};
  }
  return {};
}

void Recovery::on_copy_sent(Time now, const SentPacket& packet) {
  Record& original = *record(next_copy_);
  original.copied = true;
  const std::uint64_t from = original.first_item;
  push(now, Kind::kEliciting, packet);
  records_.back().item_count = 1;
  records_.back().copied = true;
  Kept copy = *kept(from);
  copy.twin = from;
  copy.waits = true;
  kept(from)->twin = items_floor_ + items_.size();
  items_.push(copy);
}

// The first copy that arrives tells the owner; the last one that is lost does.
void Recovery::settle(Record& packet, bool arrived, ItemSink& sink) {
  for (std::uint32_t i = 0; i < packet.item_count; ++i) {
    Kept& one = *kept(packet.first_item + i);
    Kept* twin = one.twin == Kept::kNone ? nullptr : kept(one.twin);
    one.waits = false;
    if (one.told) continue;
    if (!arrived && twin != nullptr && twin->waits) continue;
    one.told = true;
    if (twin != nullptr) twin->told = true;
    arrived ? sink.on_acked(one.item) : sink.on_lost(one.item);
  }
}

void Recovery::take_acked(const AckFrame& ack, Record& packet, ItemSink& sink, Outcome* out) {
  if (packet.state == State::kAcked) return;
  if (packet.state == State::kQuiet || packet.state == State::kForgotten) {
    packet.state = State::kAcked;
    out->any_new = true;
    return;
  }
  const bool was_lost = packet.state == State::kLost;
  if (was_lost) {
    ++spurious_;
    // What came late by so much is no loss: wait that long from now on.
    reorder_packets_ = std::max(reorder_packets_, ack.largest() - packet.packet.number + 1);
    reorder_eighths_ = std::min(reorder_eighths_ + 1, kReorderEighthsMost);
  } else {
    --in_flight_;
  }
  packet.state = State::kAcked;
  settle(packet, true, sink);
  out->any_new = true;
  out->largest_acked_bytes = std::max(out->largest_acked_bytes, packet.packet.bytes);
  if (packet.kind == Kind::kMtuProbe) out->probe_acked = packet.packet.bytes;
  out->acked.push_back({packet.packet, ack.received, was_lost});
}

Result<> Recovery::on_ack(Time now, const AckFrame& ack, ItemSink& sink, Outcome* out) {
  if (ack.largest() >= floor_ + records_.size()) {
    return fail(longhaul::Kind::kMalformed, "take an acknowledgement", "of what was never sent");
  }
  // What was not acknowledged before: above the largest of then, and the holes below it.
  const PacketNumber from = largest_acked_.has_value() ? *largest_acked_ + 1 : floor_;
  const std::size_t before = out->acked.size();
  std::erase_if(holes_, [&](PacketNumber number) {
    Record* packet = record(number);
    if (packet == nullptr) return true;
    if (!ack.contains(number)) return false;
    take_acked(ack, *packet, sink, out);
    return true;
  });
  for (PacketNumber number = std::max(from, floor_); number <= ack.largest(); ++number) {
    if (ack.contains(number)) {
      take_acked(ack, *record(number), sink, out);
    } else {
      holes_.push_back(number);
    }
  }
  const bool larger = !largest_acked_.has_value() || ack.largest() > *largest_acked_;
  if (larger) largest_acked_ = ack.largest();
  if (const Record* newest = record(ack.largest());
      larger && newest != nullptr && newest->kind != Kind::kQuiet) {
    rtt_.on_sample(now - newest->packet.sent, ack.held);
  }
  set_arrival_times(ack, std::span(out->acked).subspan(before));
  if (!out->any_new) return {};
  heard_ = now;
  probes_ = 0;
  find_losses(now, sink, out);
  forget_old(now);
  return {};
}

// The frame tells the time of its newest numbers. What it acknowledges below them, because
// acknowledgements were lost, is taken to have been on its way for as long as the oldest of those.
// With that one's time of arrival a round trip without acknowledgements, as a rebinding costs,
// looked like a queue of a round trip, and the rate fell to a twentieth.
void Recovery::set_arrival_times(const AckFrame& ack, std::span<AckedPacket> acked) {
  std::sort(acked.begin(), acked.end(), [](const AckedPacket& a, const AckedPacket& b) {
    return a.packet.number > b.packet.number;
  });
  std::size_t next = 0, times = 0;
  PacketNumber oldest = ack.largest();  // whose time was told
  Duration at = ack.received;
  for (std::size_t i = 0; i < ack.range_count && next < acked.size(); ++i) {
    for (PacketNumber n = ack.ranges[i].last + 1; n-- > ack.ranges[i].first;) {
      if (n != ack.largest()) {
        if (times == ack.time_count) break;
        at -= Duration(std::chrono::microseconds(ack.earlier_us[times++]));
      }
      oldest = n;
      if (next < acked.size() && acked[next].packet.number == n) acked[next++].received = at;
    }
  }
  const Record* told = record(oldest);
  for (; next < acked.size(); ++next) {
    const Duration sooner =
        told == nullptr ? Duration{} : told->packet.sent - acked[next].packet.sent;
    acked[next].received = at - std::max(sooner, Duration{});
    acked[next].guessed = sooner > kGuessTrusted;
  }
  std::reverse(acked.begin(), acked.end());
}

Duration Recovery::loss_delay() const {
  const Duration rtt = rtt_.longest();
  return std::max<Duration>(rtt + rtt / 8 * static_cast<std::int64_t>(reorder_eighths_),
                            kGranularity);
}

void Recovery::find_losses(Time now, ItemSink& sink, Outcome* out) {
  loss_at_.reset();
  for (const PacketNumber number : holes_) {
    Record* packet = record(number);
    if (packet == nullptr || packet->state != State::kInFlight) continue;
    const Time at = packet->packet.sent + loss_delay();
    if (at > now && *largest_acked_ - number < reorder_packets_) {
      loss_at_ = std::min(loss_at_.value_or(Time::max()), at);
      continue;
    }
    packet->state = State::kLost;
    packet->lost_at = now;
    --in_flight_;
    if (packet->kind == Kind::kMtuProbe) {
      out->probe_lost = packet->packet.bytes;
      out->forgotten.push_back(packet->packet);
      packet->state = State::kForgotten;
    } else {
      out->lost.push_back(packet->packet);
    }
    settle(*packet, false, sink);
  }
}

void Recovery::on_deadline(Time now, ItemSink& sink, Outcome* out) {
  if (loss_at_.has_value() && *loss_at_ <= now) find_losses(now, sink, out);
  forget_old(now);
}

std::optional<Time> Recovery::probe_at() const {
  if (in_flight_ == 0) return std::nullopt;
  return last_eliciting_ + rtt_.probe_timeout() * (1 << std::min(probes_, kBackoffMost));
}

std::optional<Time> Recovery::silent_since() const {
  if (in_flight_ == 0) return std::nullopt;
  return heard_;
}

void Recovery::give_up(ItemSink& sink, std::vector<SentPacket>* forgotten) {
  for (std::size_t i = 0; i < records_.size(); ++i) {
    Record& packet = records_[i];
    if (packet.state != State::kInFlight) continue;
    packet.state = State::kForgotten;
    forgotten->push_back(packet.packet);
    settle(packet, false, sink);
  }
  in_flight_ = 0;
  loss_at_.reset();
}

// Lost packets are remembered for two timeouts: the acknowledgement of one that was only late
// teaches us to wait longer.
void Recovery::forget_old(Time now) {
  while (!records_.empty()) {
    const Record& oldest = records_.front();
    const bool above = !largest_acked_.has_value() || floor_ > *largest_acked_;
    if (oldest.state == State::kInFlight) return;
    // Late acknowledgements of what was given up show that the path lives; but a peer that never
    // acknowledges must not make us remember for ever.
    if (above && oldest.state == State::kForgotten && records_.size() < kRecordsMax) return;
    if (oldest.state == State::kLost && now - oldest.lost_at < 2 * rtt_.probe_timeout()) return;
    for (std::uint32_t n = 0; n < oldest.item_count; ++n) {
      items_.pop();
      ++items_floor_;
    }
    records_.pop();
    ++floor_;
  }
}

void Recovery::check() const {
  std::uint64_t in_flight = 0, items = 0;
  for (std::size_t i = 0; i < records_.size(); ++i) {
    if (records_[i].state == State::kInFlight) ++in_flight;
    items += records_[i].item_count;
  }
  ASSERT(in_flight == in_flight_);
  ASSERT(items == items_.size());
}

}  // namespace longhaul::datagram
