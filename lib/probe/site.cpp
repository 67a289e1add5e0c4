#include "lib/probe/site.hpp"

#include <algorithm>
#include <utility>

#include "lib/crypto/kdf.hpp"
#include "lib/probe/filler.hpp"

namespace longhaul::probe {
namespace {

constexpr Duration kTrainPatience = std::chrono::seconds(3);
// Packets that overtook the word of their train: that may go over a slower path.
constexpr std::size_t kEarlyMax = wire::kTrainPacketsMax;
constexpr std::size_t kAnswersMax = 256;  // not yet taken by the socket; more are not given
constexpr std::size_t kQueuedMax = 64;    // messages; a peer that asks without reading is broken

std::int64_t us_since(Time began, Time at) {
  return (at - began) / std::chrono::microseconds(1);
}

}  // namespace

Result<std::uint64_t> Gate::begin(Time now, bool observer, std::uint64_t wanted) {
  if (taken_) return fail(Kind::kBusy, "probe this site", "somebody else is probing it now");
  if (observer) {
    if (observer_at_ && now - *observer_at_ < kObserverPause)
      return fail(Kind::kBusy, "probe this site", "observers may every 30 s");
    observer_at_ = now;
  }
  taken_ = true;
  return std::min(wanted, observer ? kObserverBytesMax : kOwnerBytesMax);
}

ProbeSite::~ProbeSite() {
  close();
}

void ProbeSite::close() {
  if (open_ && !open_->stopped) options_.gate->end();
  open_.reset();
}

void ProbeSite::quieten() {
  if (open_->later.empty()) return close();
  if (!std::exchange(open_->stopped, true)) options_.gate->end();
  open_->sending.reset();
  open_->record.reset();
  open_->early.clear();
}

void ProbeSite::send(session::Lane lane, const wire::ProbeMessage& message) {
  session::Message out;
  out.lane = lane;
  out.body = Slice::copy_of(wire::encode(message));
  queued_.push_back(std::move(out));
}

void ProbeSite::refuse(wire::ProbeId probe, Kind kind, const char* why) {
  wire::ProbeOpened opened;
  opened.probe = probe;
  opened.failed = kind;
  opened.text = why;
  send(session::Lane::kControl, opened);
}

void ProbeSite::on_message(Time now, session::Lane, Slice message) {
  const auto decoded = wire::decode<wire::ProbeMessage>(message);
  if (!decoded) {
    broken_ = decoded.error();
    return;
  }
  if (queued_.size() >= kQueuedMax) {
    broken_ = Error(Kind::kLimit, "answer a probe", "it asks and does not read");
    return;
  }
  if (const auto* open = std::get_if<wire::ProbeOpen>(&*decoded)) return on(now, *open);
  if (const auto* order = std::get_if<wire::ProbeTrain>(&*decoded)) return on(now, *order);
  if (const auto* fill = std::get_if<wire::ProbeFill>(&*decoded)) return on(*fill);
  if (const auto* fetch = std::get_if<wire::ProbeFetch>(&*decoded)) return on(*fetch);
  if (const auto* stop = std::get_if<wire::ProbeStop>(&*decoded)) {
    if (open_ && open_->probe == stop->probe) quieten();
    return;
  }
  broken_ = Error(Kind::kMalformed, "read a message of a probe", "it is for who probes");
}

void ProbeSite::on(Time now, const wire::ProbeOpen& open) {
  close();
  if (!options_.may_probe)
    return refuse(open.probe, Kind::kAuth, "this node's role does not allow it");
  if (!options_.datagrams)
    return refuse(open.probe, Kind::kUnsupported, "the site has no UDP port");
  const auto allowed = options_.gate->begin(now, options_.observer, open.budget_bytes);
  if (!allowed) return refuse(open.probe, allowed.error().kind(), allowed.error().why().c_str());
  open_.emplace(open.seed, *options_.buffers);
  open_->probe = open.probe;
  open_->began = now;
  open_->budget = *allowed;
  wire::ProbeOpened opened;
  opened.probe = open.probe;
  opened.budget_bytes = *allowed;
  opened.site_wall = WallTime{now.time_since_epoch().count() + options_.wall_less_now_ns};
  send(session::Lane::kControl, opened);
}

void ProbeSite::on(Time now, const wire::ProbeTrain& order) {
  if (!open_ || open_->stopped || order.probe != open_->probe) return;  // it is over
  if (!is_sound(order) || order.train.value() <= open_->newest.value()) {
    broken_ = Error(Kind::kMalformed, "read a message of a probe", "no such train can be");
    return;
  }
  open_->newest = order.train;
  TrainPlan plan;
  plan.train = order.train;
  plan.packets = order.packets;
  plan.packet_bytes = order.packet_bytes;
  plan.rate = BytesPerSecond(order.rate);
  if (order.down) {
    // Whoever may send as somebody else could aim a train at them, but would not hear our token.
    if (!open_->peer) return;
    const wire::ProbeToken token = token_for(*open_->peer);
    if (!crypto::constant_time_equal(order.token, token)) return;
    const std::uint32_t each = ip_bytes(*open_->peer, plan.packet_bytes);
    const std::uint64_t left = open_->budget - std::min(open_->budget, open_->spent);
    plan.packets = static_cast<std::uint32_t>(std::min<std::uint64_t>(plan.packets, left / each));
    if (plan.packets > 0) open_->sending.emplace(now, plan, each);
    return;
  }
  open_->record.emplace(now, plan, kTrainPatience);
  for (const Early& early : open_->early) {
    if (early.packet.train == plan.train.value())
      open_->record->on_packet(now, early.packet.number,
                               static_cast<std::int64_t>(early.packet.sent_us), early.came_us);
  }
  open_->early.clear();
  report(now);
}

void ProbeSite::on(const wire::ProbeFill& fill) {
  if (!open_ || open_->stopped || fill.probe != open_->probe) return;
  if (!pay(fill.bytes.size())) {
    broken_ = Error(Kind::kLimit, "answer a probe", "it sends more than it was allowed");
    return;
  }
  open_->filled += fill.bytes.size();
  if (open_->filled < fill.total) return;
  send(session::Lane::kControl, wire::ProbeFilled{fill.probe, std::exchange(open_->filled, 0)});
}

void ProbeSite::on(const wire::ProbeFetch& fetch) {
  if (!open_ || open_->stopped || fetch.probe != open_->probe || open_->to_fill > 0) return;
  if (!pay(fetch.bytes)) {
    broken_ = Error(Kind::kLimit, "answer a probe", "it wants more than it was allowed");
    return;
  }
  open_->to_fill = open_->fill_total = fetch.bytes;
}

bool ProbeSite::pay(std::uint64_t bytes) {
  if (bytes > open_->budget - open_->spent) return false;
  open_->spent += bytes;
  return true;
}

wire::ProbeToken ProbeSite::token_for(const datagram::Address& peer) const {
  std::array<std::byte, 2> port{};
  store_le<std::uint16_t>(port, peer.port);
  const crypto::Digest mac = crypto::hmac_sha256(options_.secret.bytes(), {peer.ip, port});
  wire::ProbeToken token{};
  std::copy_n(mac.bytes().begin(), token.size(), token.begin());
  return token;
}

std::optional<datagram::ConnectionId> ProbeSite::receive_id() const {
  if (!open_) return std::nullopt;
  return open_->sealing.receive_id();
}

void ProbeSite::on_datagrams(Time now, const datagram::Address& from, const Slice& in,
                             std::size_t each_bytes, Duration ago) {
  const std::size_t each = each_bytes == 0 ? in.size() : each_bytes;
  for (std::size_t at = 0; open_ && at < in.size(); at += each) {
    const Bytes one = in.bytes().subspan(at, std::min(each, in.size() - at));
    const auto packet = open_->sealing.open(now, one);
    if (packet) on_packet(now, from, *packet, one.size(), now - ago);
  }
  if (open_) report(now);
}

void ProbeSite::on_packet(Time now, const datagram::Address& from, const Packet& packet,
                          std::size_t datagram_bytes, Time came) {
  Open& open = *open_;
  if (open.stopped || !pay(ip_bytes(from, datagram_bytes))) return;
  const std::int64_t came_us = std::max<std::int64_t>(0, us_since(open.began, came));
  const Duration after = std::chrono::milliseconds(packet.after_ms);
  if (packet.type == PacketType::kLater && after > Duration{}) {
    if (after > kSilenceMax || open.later.size() >= kLaterMax) return;
    if (!pay(ip_bytes(from, datagram_bytes))) return;
    Packet answer;
    answer.type = PacketType::kAnswer;
    answer.number = packet.number;
    answer.received_us = static_cast<std::uint64_t>(came_us);
    open.later.push_back({from, answer, static_cast<std::uint32_t>(datagram_bytes), now + after});
  } else if (packet.type == PacketType::kEcho || packet.type == PacketType::kLater) {
    if (packet.type == PacketType::kEcho) open.peer = from;
    if (open.answers.size() >= kAnswersMax || !pay(ip_bytes(from, datagram_bytes))) return;
    Packet answer;
    answer.type = PacketType::kAnswer;
    answer.number = packet.number;
    answer.sent_us = static_cast<std::uint64_t>(us_since(open.began, now));
    answer.received_us = static_cast<std::uint64_t>(came_us);
    answer.token = token_for(from);
    const auto bytes = static_cast<std::uint32_t>(datagram_bytes);
    Slice sealed = open.sealing.seal(now, std::span(&answer, 1), bytes);
    if (sealed.size() == datagram_bytes) open.answers.push_back({from, std::move(sealed), bytes});
  } else if (packet.type == PacketType::kTrain) {
    if (open.record && open.record->plan().train.value() == packet.train) {
      open.record->on_packet(now, packet.number, static_cast<std::int64_t>(packet.sent_us),
                             came_us);
    } else if (packet.train > open.newest.value() && open.early.size() < kEarlyMax) {
      open.early.push_back({packet, came_us});
    }
  }
}

void ProbeSite::report(Time now) {
  if (!open_->record || !open_->record->over(now)) return;
  send(session::Lane::kDemand, report_of(open_->probe, *open_->record));
  open_->record.reset();
}

std::optional<Batch> ProbeSite::answer_later(Time now) {
  std::vector<Later>& later = open_->later;
  const auto due =
      std::find_if(later.begin(), later.end(), [now](const Later& one) { return one.due <= now; });
  if (due == later.end()) return std::nullopt;
  due->answer.sent_us = static_cast<std::uint64_t>(us_since(open_->began, now));
  Batch batch{due->to, open_->sealing.seal(now, std::span(&due->answer, 1), due->bytes),
              due->bytes};
  later.erase(due);
  if (later.empty() && open_->stopped) close();
  return batch;
}

std::optional<Batch> ProbeSite::poll_batch(Time now) {
  if (!open_) return std::nullopt;
  Open& open = *open_;
  if (!open.answers.empty()) {
    Batch answer = std::move(open.answers.front());
    open.answers.pop_front();
    return answer;
  }
  if (auto answer = answer_later(now)) return answer;
  if (!open_ || !open.sending || !open.peer) return std::nullopt;
  const std::uint32_t due = open.sending->due(now);
  if (due == 0) return std::nullopt;
  const TrainPlan& plan = open.sending->plan();
  std::vector<Packet> packets(due);
  for (std::uint32_t i = 0; i < due; ++i) {
    packets[i].type = PacketType::kTrain;
    packets[i].train = plan.train.value();
    packets[i].number = open.sending->next() + i;
    packets[i].sent_us = static_cast<std::uint64_t>(us_since(open.began, now));
  }
  const std::uint32_t each = plan.packet_bytes;
  if (!pay(std::uint64_t{due} * ip_bytes(*open.peer, each))) {
    open.sending.reset();
    return std::nullopt;
  }
  Batch batch{*open.peer, open.sealing.seal(now, packets, each), each};
  open.sending->on_sent(now, due);
  if (open.sending->done()) open.sending.reset();
  if (batch.bytes.empty()) return std::nullopt;
  return batch;
}

std::optional<Time> ProbeSite::next_send(Time now) const {
  if (!open_) return std::nullopt;
  if (!open_->answers.empty()) return now;
  std::optional<Time> next;
  if (open_->sending) next = open_->sending->next_at();
  for (const Later& one : open_->later) next = next ? std::min(*next, one.due) : one.due;
  return next;
}

void ProbeSite::on_deadline(Time now) {
  if (!open_) return;
  report(now);
  if (now >= open_->began + kLifeMax) quieten();
  if (open_ && now >= open_->began + kLifeMax + kSilenceMax) close();
}

std::optional<Time> ProbeSite::next_deadline() const {
  if (!open_) return std::nullopt;
  const Time end = open_->began + kLifeMax + (open_->stopped ? kSilenceMax : Duration{});
  return open_->record ? std::min(end, open_->record->over_at()) : end;
}

std::optional<session::ServiceOutput> ProbeSite::poll_output(Time, const session::Room& room) {
  for (auto at = queued_.begin(); at != queued_.end(); ++at) {
    if (!room.in(at->lane)) continue;
    session::Message message = std::move(*at);
    queued_.erase(at);
    return message;
  }
  if (open_ && !open_->stopped && open_->to_fill > 0 && room.in(session::Lane::kBulk))
    return fill_message(open_->probe, open_->fill_total, &open_->to_fill);
  return std::nullopt;
}

void ProbeSite::check() const {
  if (!open_) return;
  ASSERT(open_->stopped ? !open_->later.empty() : options_.gate->taken());
  ASSERT(open_->later.size() <= kLaterMax);
  ASSERT(open_->spent <= open_->budget);
  ASSERT(open_->early.size() <= kEarlyMax && open_->answers.size() <= kAnswersMax);
}

}  // namespace longhaul::probe
