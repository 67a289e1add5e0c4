// Packets and messages of a Prober; what it wants to know next stands in prober.cpp.
#include <algorithm>
#include <utility>

#include "lib/probe/prober.hpp"

namespace longhaul::probe {

// ---- Packets ----

std::optional<datagram::ConnectionId> Prober::receive_id() const {
  if (!pinging()) return std::nullopt;
  return sealing_.receive_id();
}

void Prober::on_datagrams(Time now, const datagram::Address&, const Slice& in,
                          std::size_t each_bytes, Duration ago) {
  if (!pinging()) return;
  const std::size_t each = each_bytes == 0 ? in.size() : each_bytes;
  for (std::size_t at = 0; at < in.size(); at += each) {
    const Bytes one = in.bytes().subspan(at, std::min(each, in.size() - at));
    const auto packet = sealing_.open(now, one);
    if (!packet) continue;
    if (packet->type == PacketType::kAnswer) on_answer(*packet, one.size(), now - ago);
    if (packet->type != PacketType::kTrain || !down_.record) continue;
    if (down_.record->plan().train.value() != packet->train) continue;
    down_.record->on_packet(now, packet->number, static_cast<std::int64_t>(packet->sent_us),
                            us(now - ago));
  }
  step(now);
}

void Prober::on_answer(const Packet& packet, std::size_t bytes, Time came) {
  if (packet.number >= echoes_.size() || echoes_[packet.number].answered) return;
  Sent& sent = echoes_[packet.number];
  sent.answered = true;
  token_ = packet.token;
  const std::uint32_t ip = ip_bytes(site_, bytes);
  if (bytes > kPacketBytesMin) {
    mtu_bytes_ = std::max(mtu_bytes_, ip);
    return;
  }
  EchoSample sample;
  sample.sent_us = sent.sent_us;
  sample.there_us = static_cast<std::int64_t>(packet.received_us);
  sample.left_us = static_cast<std::int64_t>(packet.sent_us);
  sample.came_us = us(came);
  sample.idle = sent.idle;
  sample.loaded = sent.loaded;
  const Duration rtt = std::chrono::microseconds(sample.rtt_us());
  if (rtt_ == Duration{} || rtt < rtt_) rtt_ = rtt;
  answers_.push_back(sample);
}

Batch Prober::echo(Time now) {
  std::uint32_t bytes = kPacketBytesMin;
  if (stage_ == Stage::kIdle && !sizes_.empty() && std::exchange(padded_next_, !padded_next_)) {
    bytes = sizes_.back();
    sizes_.pop_back();
  }
  Packet packet;
  packet.type = PacketType::kEcho;
  packet.number = static_cast<std::uint32_t>(echoes_.size());
  packet.sent_us = static_cast<std::uint64_t>(us(now));
  Sent sent;
  sent.sent_us = us(now);
  sent.ip_bytes = ip_bytes(site_, bytes);
  const bool sustained = (stage_ == Stage::kSustainUp && up_.busy()) ||
                         (stage_ == Stage::kSustainDown && down_.busy());
  sent.idle = stage_ == Stage::kFinding || stage_ == Stage::kIdle;
  sent.loaded = sustained || stage_ == Stage::kFillUp || stage_ == Stage::kFillDown;
  echoes_.push_back(sent);
  bytes_up_ += sent.ip_bytes;
  bytes_down_ += sent.ip_bytes;
  next_echo_ = std::max(next_echo_ + kEchoPause, now);
  return {site_, sealing_.seal(now, std::span(&packet, 1), bytes), bytes};
}

std::optional<Batch> Prober::poll_batch(Time now) {
  if (!pinging()) return std::nullopt;
  if (now >= next_echo_ && fits_budget(2 * kIpMost)) return echo(now);
  if (!up_.sending) return std::nullopt;
  const std::uint32_t due = up_.sending->due(now);
  if (due == 0) return std::nullopt;
  const TrainPlan& plan = up_.sending->plan();
  std::vector<Packet> packets(due);
  for (std::uint32_t i = 0; i < due; ++i) {
    packets[i].type = PacketType::kTrain;
    packets[i].train = plan.train.value();
    packets[i].number = up_.sending->next() + i;
    packets[i].sent_us = static_cast<std::uint64_t>(us(now));
    if (up_.waiting) up_.waiting->sent_us[packets[i].number] = us(now);
  }
  Batch batch{site_, sealing_.seal(now, packets, plan.packet_bytes), plan.packet_bytes};
  up_.sending->on_sent(now, due);
  if (up_.sending->done()) {
    up_.sending.reset();
    up_.give_up_at = now + kReportPatience;
  }
  return batch;
}

std::optional<Time> Prober::next_send(Time now) const {
  if (!pinging()) return std::nullopt;
  std::optional<Time> next;
  if (fits_budget(2 * kIpMost)) next = next_echo_;
  if (up_.sending) {
    const Time train = up_.sending->next_at().value_or(now);
    next = next ? std::min(*next, train) : train;
  }
  return next;
}

// ---- Silence ----

void Prober::be_quiet(Time now) {
  if (quiet_.empty()) return finish(now);
  up_.sending.reset();
  ended_at_ = now;
  enter(now, Stage::kQuiet);
  for (const auto& port : quiet_) port->begin(now, site_);
}

// The site need not stay taken while nothing is said.
void Prober::tend_quiet(Time now) {
  bool asked = true, over = true;
  for (const auto& port : quiet_) {
    asked = asked && port->asked();
    over = port->over(now) && over;
  }
  if (over) {
    const std::uint64_t each = ip_bytes(site_, kPacketBytesMin);
    for (const auto& port : quiet_) {
      bytes_up_ += port->questions() * each;
      bytes_down_ += port->questions() * each;
    }
    return finish(now);
  }
  if (asked && now >= site_free_at() && !std::exchange(stopped_, true))
    send(session::Lane::kControl, wire::ProbeStop{kTheProbe});
}

std::optional<NatFigures> Prober::nat() const {
  if (quiet_.empty()) return std::nullopt;
  using Outcome = QuietPort::Outcome;
  NatFigures out;
  for (const auto& port : quiet_) {
    const Outcome outcome = port->outcome();
    if (outcome != Outcome::kRemembered && outcome != Outcome::kForgotten) continue;
    out.answered = true;
    out.tried = std::max(out.tried, port->silence());
    if (outcome == Outcome::kRemembered)
      out.alive = std::max(out.alive.value_or(Duration{}), port->silence());
  }
  for (const auto& port : quiet_) {
    const Duration silence = port->silence() + port->rtt();
    if (port->outcome() != Outcome::kForgotten || (out.alive && port->silence() < *out.alive))
      continue;
    if (!out.expired || silence < *out.expired) out.expired = silence;
  }
  return out;
}

// ---- Messages ----

void Prober::on_message(Time now, session::Lane, Slice message) {
  auto decoded = wire::decode<wire::ProbeMessage>(message);
  if (!decoded) {
    error_ = decoded.error();
    return finish(now);
  }
  if (const auto* opened = std::get_if<wire::ProbeOpened>(&*decoded)) {
    if (stage_ != Stage::kOpening || opened->probe != kTheProbe) return;
    if (opened->failed) {
      error_ = Error(*opened->failed, "probe the site", opened->text);
      return finish(now);
    }
    budget_ = std::min(opened->budget_bytes, options_.budget_bytes);
    budget_ -= std::min(
        budget_, quiet_.size() * 2 * QuietPort::kPacketsMax * ip_bytes(site_, kPacketBytesMin));
    const std::int64_t ours = began_.time_since_epoch().count() + options_.wall_less_now_ns;
    wall_difference_us_ = (opened->site_wall.ns - ours) / 1000;
    next_echo_ = now;
    enter(now, Stage::kFinding);
  } else if (const auto* report = std::get_if<wire::ProbeArrivals>(&*decoded)) {
    on_report(now, *report);
  }
}

void Prober::on_report(Time now, const wire::ProbeArrivals& report) {
  if (!up_.waiting || report.train != up_.waiting->plan.train) return;
  // Early word of a train that is still being sent says that it was lost.
  if (up_.sending) up_.sending.reset();
  if (take_report(report, *up_.waiting) == Fits::kNo) {
    error_ = Error(Kind::kMalformed, "read a message of a probe", "it reports another train");
    return finish(now);
  }
  if (up_.waiting->came() > 0) up_.trains.push_back({up_.use, *std::move(up_.waiting)});
  up_.waiting.reset();
  step(now);
}

void Prober::on_end(Time now, const Error& why) {
  if (finished()) return;
  error_ = why;
  finish(now);
  queued_.clear();
}

void Prober::on_deadline(Time now) {
  step(now);
}

std::optional<Time> Prober::next_deadline() const {
  switch (stage_) {
    case Stage::kWaiting:
    case Stage::kDone:
      return std::nullopt;
    case Stage::kOpening:
      return stage_at_ + kOpenPatience;
    case Stage::kFinding:
      return stage_at_ + kFindPatience;
    case Stage::kIdle:
      return stage_at_ + (sizes_.empty() ? idle_span() : 2 * idle_span());
    case Stage::kQuiet: {
      std::optional<Time> next;
      for (const auto& port : quiet_) {
        if (port->outcome() != QuietPort::Outcome::kPending) continue;
        next = next ? std::min(*next, port->over_at()) : port->over_at();
      }
      if (!next) return stage_at_;  // now: all are over
      return stopped_ ? *next : std::min(*next, site_free_at());
    }
    default:
      break;
  }
  std::optional<Time> next;
  if (up_.waiting && up_.give_up_at) next = *up_.give_up_at;
  if (down_.record)
    next = next ? std::min(*next, down_.record->over_at()) : down_.record->over_at();
  return next;
}

std::optional<session::ServiceOutput> Prober::poll_output(Time, const session::Room& room) {
  for (auto at = queued_.begin(); at != queued_.end(); ++at) {
    if (!room.in(at->lane)) continue;
    session::Message message = std::move(*at);
    queued_.erase(at);
    return message;
  }
  return std::nullopt;
}

Samples Prober::samples() const {
  Samples out;
  out.echoes = answers_;
  out.echo_ip_bytes = ip_bytes(site_, kPacketBytesMin);
  out.up = up_.trains;
  out.down = down_.trains;
  out.wall_difference_us = wall_difference_us_;
  return out;
}

void Prober::check() const {
  ASSERT(stage_ == Stage::kDone || budget_ == 0 || bytes_up_ + bytes_down_ <= budget_);
}

}  // namespace longhaul::probe
