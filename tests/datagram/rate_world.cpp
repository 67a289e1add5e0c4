#include "tests/datagram/rate_world.hpp"

#include <algorithm>

namespace longhaul::datagram {
namespace {

constexpr std::uint64_t kIndexShift = 56;
constexpr std::uint32_t kAckBytes = 60;
constexpr Duration kProbeMin = 250ms;
constexpr Duration kBbrCredit = 1ms;        // of a late pacer, as the kernel's
constexpr std::size_t kBbrMarks = 100'000;  // more than ever fly

}  // namespace

void OurPace::on_acked(Time now, const std::vector<AckedPacket>& packets, Duration ack_delay) {
  rate.on_acked(now, packets, ack_delay);
  rate.check();
}

void OurPace::on_lost(Time now, const std::vector<SentPacket>& packets) {
  rate.on_lost(now, packets);
  rate.check();
}

SentPacket CubicPace::on_sent(Time now, std::uint64_t number, std::uint32_t bytes) {
  in_flight_ += bytes;
  next_number_ = number + 1;
  return {number, now, bytes, 0, false};
}

void CubicPace::on_acked(Time now, const std::vector<AckedPacket>& packets, Duration ack_delay) {
  const bool limited = room() < 3 * kPacketBytes;
  for (const AckedPacket& acked : packets) {
    if (!acked.was_lost) in_flight_ -= acked.packet.bytes;
    rtt_ = now - acked.packet.sent - ack_delay;
    window_.on_ack(now, acked.packet.bytes, rtt_, limited);
  }
}

void CubicPace::on_lost(Time, const std::vector<SentPacket>& packets) {
  for (const SentPacket& packet : packets) {
    in_flight_ -= packet.bytes;
    if (packet.number < recovery_until_) continue;
    window_.on_loss();
    recovery_until_ = next_number_;
  }
}

std::optional<Time> CubicPace::next_send() const {
  if (room() < kPacketBytes) return std::nullopt;
  return Time{};
}

SentPacket BbrPace::on_sent(Time now, std::uint64_t number, std::uint32_t bytes) {
  marks_.push_back(model_.on_sent(now, in_flight_));
  in_flight_ += bytes;
  next_ = std::max(now - kBbrCredit, next_) + model_.pacing().time_for(ByteCount(bytes));
  return {number, now, bytes, 0, false};
}

void BbrPace::on_acked(Time now, const std::vector<AckedPacket>& packets, Duration ack_delay) {
  for (const AckedPacket& acked : packets) {
    if (!acked.was_lost) in_flight_ -= acked.packet.bytes;
    rtt_ = now - acked.packet.sent - ack_delay;
    if (acked.packet.number < first_) continue;
    model_.on_ack(now, marks_[acked.packet.number - first_], acked.packet.bytes, rtt_, in_flight_);
  }
  while (marks_.size() > kBbrMarks) {
    marks_.pop_front();
    ++first_;
  }
}

void BbrPace::on_lost(Time, const std::vector<SentPacket>& packets) {
  for (const SentPacket& packet : packets) in_flight_ -= packet.bytes;
}

std::optional<Time> BbrPace::next_send() const {
  if (in_flight_ + kPacketBytes > model_.window_bytes()) return std::nullopt;
  return next_;
}

std::uint64_t BbrPace::burst(Time now) const {
  return next_ <= now && in_flight_ + kPacketBytes <= model_.window_bytes() ? kPacketBytes : 0;
}

RateWorld::RateWorld(const netsim::LinkConfig& link, std::uint64_t seed)
    : link_(link, Rng(seed), Time{}) {}

void RateWorld::add(std::unique_ptr<Pace> pace, const SenderOptions& options) {
  auto added = std::make_unique<Sender>();
  added->pace = std::move(pace);
  added->options = options;
  senders_.push_back(std::move(added));
}

RateControl& RateWorld::add_ours(const RateOptions& options, const SenderOptions& sender) {
  auto pace = std::make_unique<OurPace>(Time{} + sender.start, options);
  RateControl& rate = pace->rate;
  add(std::move(pace), sender);
  return rate;
}

void RateWorld::add_cubic(const SenderOptions& sender) {
  SenderOptions options = sender;
  options.ack_every = 2;
  add(std::make_unique<CubicPace>(), options);
}

void RateWorld::add_bbr(const SenderOptions& sender) {
  SenderOptions options = sender;
  options.ack_every = 2;
  add(std::make_unique<BbrPace>(), options);
}

void RateWorld::every(Duration step, std::function<void(Duration now)> look) {
  look_ = std::move(look);
  look_step_ = step;
  next_look_ = now_ + step;
}

Duration RateWorld::queue() const {
  const auto& pipe = link_.pipe(netsim::Direction::kUp);
  const auto* rate = std::get_if<netsim::ConstantRate>(&pipe.config().rate);
  return rate ? rate->rate.time_for(ByteCount(pipe.queue_bytes())) : Duration{};
}

Duration RateWorld::probe_after(const Sender& sender) const {
  const Duration rtt = sender.pace->rtt() > Duration{} ? sender.pace->rtt() : Duration(1s);
  return sender.silent ? kProbeMin : std::max(kProbeMin, 2 * rtt);
}

Time RateWorld::next_event(std::size_t index) const {
  const Sender& s = *senders_[index];
  const Time begin = Time{} + s.options.start, end = Time{} + s.options.stop;
  if (!s.started) return begin;
  Time next = Time::max();
  if (!s.unacked.empty()) next = std::min(next, s.unacked_since + s.options.ack_delay_max);
  if (now_ >= end) return next;
  if (const auto due = s.pace->next_deadline()) next = std::min(next, std::max(*due, now_));
  if (const auto send = s.pace->next_send()) next = std::min(next, std::max(*send, now_));
  return std::min(next, s.heard + probe_after(s));
}

void RateWorld::run_until(Duration end_after) {
  const Time end = Time{} + end_after;
  while (true) {
    Time next = std::min(end, next_look_);
    if (const auto due = link_.next_delivery()) next = std::min(next, *due);
    for (std::size_t i = 0; i < senders_.size(); ++i) next = std::min(next, next_event(i));
    now_ = std::max(now_, next);
    while (const auto out = link_.pop(now_, netsim::Direction::kUp))
      if (!out->corrupt)
        arrive(out->cookie >> kIndexShift, out->cookie & ((std::uint64_t{1} << kIndexShift) - 1),
               out->at);
    while (link_.pop_drop(netsim::Direction::kUp)) {
    }
    while (const auto out = link_.pop(now_, netsim::Direction::kDown))
      if (!out->duplicate) {
        const std::uint64_t place = out->cookie & ((std::uint64_t{1} << kIndexShift) - 1);
        take_ack(out->cookie >> kIndexShift, acks_[place - first_ack_]);
        acks_[place - first_ack_].sent = Time::max();
      }
    while (const auto drop = link_.pop_drop(netsim::Direction::kDown))
      acks_[(drop->cookie & ((std::uint64_t{1} << kIndexShift) - 1)) - first_ack_].sent =
          Time::max();
    while (!acks_.empty() && acks_.front().sent == Time::max()) {
      acks_.pop_front();
      ++first_ack_;
    }
    for (std::size_t i = 0; i < senders_.size(); ++i) timers(i);
    if (now_ >= next_look_) {
      look_(now());
      next_look_ += look_step_;
    }
    if (now_ >= end) return;
  }
}

void RateWorld::timers(std::size_t index) {
  Sender& s = *senders_[index];
  if (!s.started && now_ >= Time{} + s.options.start) {
    s.started = true;
    s.heard = now_;
  }
  if (!s.started) return;
  if (!s.unacked.empty() && now_ >= s.unacked_since + s.options.ack_delay_max) flush_ack(index);
  if (now_ >= Time{} + s.options.stop) return;
  if (const auto due = s.pace->next_deadline(); due && *due <= now_) s.pace->on_deadline(now_);
  if (now_ >= s.heard + probe_after(s)) {
    if (!s.silent) s.pace->on_probe_timeout(now_);
    s.silent = true;
    s.heard = now_;
    send_packet(index);
  }
  transmit(index);
}

void RateWorld::transmit(std::size_t index) {
  Sender& s = *senders_[index];
  const auto due = s.pace->next_send();
  if (!due || *due > now_) return;
  for (std::uint64_t room = s.pace->burst(now_); room >= kPacketBytes; room -= kPacketBytes)
    send_packet(index);
}

void RateWorld::send_packet(std::size_t index) {
  Sender& s = *senders_[index];
  const std::uint64_t number = s.next++;
  s.kept.push_back({s.pace->on_sent(now_, number, kPacketBytes), Fate::kFlying});
  s.sent += kPacketBytes;
  link_.push(now_, netsim::Direction::kUp,
             {(static_cast<std::uint64_t>(index) << kIndexShift) | number, kPacketBytes});
}

void RateWorld::arrive(std::size_t index, std::uint64_t number, Time at) {
  Sender& s = *senders_[index];
  if (s.seen.size() <= number) s.seen.resize(number + 4096);
  if (s.seen[number]) return;
  s.seen[number] = true;
  s.delivered += kPacketBytes;
  const Duration since = at.time_since_epoch();
  const Duration clock = since + since / 1'000'000 * s.options.clock_ppm + s.options.clock_offset;
  if (s.unacked.empty()) s.unacked_since = at;
  s.newest = at;
  s.unacked.emplace_back(number, std::chrono::duration_cast<std::chrono::microseconds>(clock));
  if (s.unacked.size() >= s.options.ack_every) flush_ack(index);
}

void RateWorld::flush_ack(std::size_t index) {
  Sender& s = *senders_[index];
  acks_.push_back({now_, std::move(s.unacked), now_ - s.newest});
  s.unacked.clear();
  link_.push(now_, netsim::Direction::kDown,
             {(static_cast<std::uint64_t>(index) << kIndexShift) | (first_ack_ + acks_.size() - 1),
              kAckBytes});
}

void RateWorld::take_ack(std::size_t index, const Ack& ack) {
  Sender& s = *senders_[index];
  if (now_ >= Time{} + s.options.stop) return;
  s.acked.clear();
  for (const auto& [number, received] : ack.received) {
    if (number < s.first) continue;
    Kept& kept = s.kept[number - s.first];
    const bool was_lost = kept.fate == Fate::kLost;
    if (kept.fate == Fate::kAcked) continue;
    if (was_lost) {
      s.reorder = std::max(s.reorder, std::min<std::uint64_t>(s.largest - number + 1, 4000));
      s.late_eighths = std::min(s.late_eighths + 1, 8);
    }
    kept.fate = Fate::kAcked;
    s.largest = std::max(s.largest, number);
    s.acked.push_back({kept.packet, received, was_lost});
  }
  s.heard = now_;
  s.silent = false;
  if (s.acked.empty()) return;
  s.pace->on_acked(now_, s.acked, ack.delay);
  find_losses(s);
}

void RateWorld::find_losses(Sender& s) {
  s.gone.clear();
  s.judged = std::max(s.judged, s.first);
  // By how many came since, or by how long ago it was sent, whichever comes first.
  const Duration patience = s.pace->rtt() + s.pace->rtt() / 8 * s.late_eighths;
  for (; s.judged < s.largest; ++s.judged) {
    Kept& kept = s.kept[s.judged - s.first];
    if (kept.fate != Fate::kFlying) continue;
    if (s.judged + s.reorder > s.largest && now_ - kept.packet.sent < patience) break;
    kept.fate = Fate::kLost;
    ++s.lost;
    s.gone.push_back(kept.packet);
  }
  // A lost packet is remembered for 5,000 more: it may only have been overtaken.
  while (!s.kept.empty() && (s.kept.front().fate == Fate::kAcked || s.first + 5000 < s.largest)) {
    if (s.kept.front().fate == Fate::kFlying) break;
    s.kept.pop_front();
    ++s.first;
  }
  if (!s.gone.empty()) s.pace->on_lost(now_, s.gone);
}

}  // namespace longhaul::datagram
