#include "lib/probe/prober.hpp"

#include <algorithm>
#include <array>
#include <cmath>
#include <utility>

namespace longhaul::probe {
namespace {

constexpr wire::ProbeId kTheProbe{1};  // one a session
constexpr Duration kOpenPatience = 5s, kFindPatience = 3s, kReportPatience = 5s;
constexpr Duration kEchoPause = 10ms;
constexpr Duration kIdleSpan = 3s;
constexpr int kIdleShare = 3;  // of the time: at most a third
constexpr std::uint32_t kIpMost = 1500;
// IP packets whose way is tried, twice each, between the small ones: what tunnels, PPPoE and VPNs
// leave of 1500.
constexpr std::array<std::uint32_t, 16> kMtuSizes = {
    1500, 1492, 1480, 1472, 1464, 1460, 1452, 1448, 1440, 1420, 1412, 1400, 1380, 1350, 1300, 1280};
constexpr std::uint64_t kFirstFillBytes = 100'000;
// Shares of the budget, each way.
constexpr double kFillShare = 0.38, kSustainShare = 0.05;
constexpr double kOverload = 16;    // times the rate that is known: the buffer fills at once
constexpr double kFillSpan = 0.35;  // seconds of the link in one train, before more is needed
constexpr double kSpanMost = 2.5;   // the same, at most
constexpr std::uint32_t kLossPackets = 6000;
constexpr std::uint64_t kLossPacketsPerSecond = 3000;
constexpr double kLossSpan = 2.0;     // seconds
constexpr double kSustainSpan = 1.2;  // seconds
constexpr double kEnough = 0.02;      // half of a rate's interval: no better is needed
constexpr std::size_t kFillTrainsMax = 6;

}  // namespace

std::string_view name_of(Prober::Stage stage) {
  constexpr std::array<std::string_view, 10> kNames = {"waiting",
                                                       "asking the site",
                                                       "looking for a way by UDP",
                                                       "round trips, MTU",
                                                       "filling the way up",
                                                       "filling the way down",
                                                       "loss and jitter",
                                                       "holding the way up full",
                                                       "holding the way down full",
                                                       "done"};
  return kNames[static_cast<std::size_t>(stage)];
}

void Prober::send(session::Lane lane, const wire::ProbeMessage& message) {
  session::Message out;
  out.lane = lane;
  out.body = Slice::copy_of(wire::encode(message));
  queued_.push_back(std::move(out));
}

void Prober::start(Time now, const datagram::Address& site) {
  ASSERT(stage_ == Stage::kWaiting);
  site_ = site;
  began_ = now;
  sealing_.emplace(options_.seed, true, *options_.buffers);
  const std::uint32_t around = ip_bytes(site_, 0);
  for (const std::uint32_t size : kMtuSizes) sizes_.push_back(size - around);
  for (const std::uint32_t size : kMtuSizes) sizes_.push_back(size - around);
  std::reverse(sizes_.begin(), sizes_.end());
  wire::ProbeOpen open;
  open.probe = kTheProbe;
  open.seed = options_.seed;
  open.budget_bytes = options_.budget_bytes;
  send(session::Lane::kControl, open);
  enter(now, Stage::kOpening);
}

void Prober::enter(Time now, Stage stage) {
  stage_ = stage;
  stage_at_ = now;
  begun_ = false;
}

void Prober::finish(Time now) {
  if (stage_ == Stage::kDone) return;
  send(session::Lane::kControl, wire::ProbeStop{kTheProbe});
  ended_at_ = now;
  up_.sending.reset();
  enter(now, Stage::kDone);
}

// ---- Stages ----

void Prober::step(Time now) {
  if (stage_ == Stage::kWaiting || stage_ == Stage::kDone) return;
  if (stage_ == Stage::kOpening) {
    if (now - stage_at_ < kOpenPatience) return;
    error_ = Error(Kind::kTimeout, "probe the site", "it does not answer");
    return finish(now);
  }
  if (stage_ == Stage::kFinding) {
    if (!answers_.empty()) return enter(now, Stage::kIdle);
    if (now - stage_at_ < kFindPatience) return;
    error_ = Error(Kind::kTimeout, "probe the site", "no answer to UDP");
    return finish(now);
  }
  if (stage_ == Stage::kIdle) {
    const Duration span = sizes_.empty() ? idle_span() : 2 * idle_span();
    if (now - stage_at_ < span) return;
    enter(now, Stage::kFillUp);
  }
  if (up_.waiting && up_.give_up_at && now >= *up_.give_up_at) {
    up_.waiting.reset();  // its report never came
    cut_short_ = true;
  }
  if (down_.record && down_.record->over(now)) {
    UsedTrain used{down_.use, std::move(down_.record->samples())};
    used.samples.packet_ip_bytes = ip_bytes(site_, used.samples.plan.packet_bytes);
    if (used.samples.came() > 0) down_.trains.push_back(std::move(used));
    down_.record.reset();
  }
  while (stage_ != Stage::kDone && !up_.busy() && !down_.busy()) {
    const Stage before = stage_;
    next_stage(now);
    if (stage_ == before) break;
  }
}

// Nothing is under way: the next train, or the next stage.
void Prober::next_stage(Time now) {
  if (now >= end_at() && stage_ < Stage::kSustainDown) {
    cut_short_ = true;
    return finish(now);
  }
  switch (stage_) {
    case Stage::kFillUp:
      step_fill(now, up_, false);
      if (!up_.busy()) enter(now, Stage::kFillDown);
      return;
    case Stage::kFillDown:
      step_fill(now, down_, true);
      if (!down_.busy()) enter(now, Stage::kLoss);
      return;
    case Stage::kLoss:
      if (!std::exchange(begun_, true)) begin_loss(now);
      if (!up_.busy() && !down_.busy()) enter(now, Stage::kSustainUp);
      return;
    case Stage::kSustainUp:
      if (!std::exchange(begun_, true)) sustain(now, up_, false);
      if (!up_.busy()) enter(now, Stage::kSustainDown);
      return;
    case Stage::kSustainDown:
      if (!std::exchange(begun_, true)) sustain(now, down_, true);
      if (!down_.busy()) finish(now);
      return;
    default:
      return;
  }
}

double Prober::idle_jitter_us(bool down) const {
  return jitter_us(answers_, down);
}

std::optional<double> Prober::capacity_of(const WayState& way, bool* full) const {
  std::optional<Figure> best;
  const double jitter_us = idle_jitter_us(&way == &down_);
  for (const UsedTrain& train : way.trains) {
    if (train.use != TrainUse::kFill) continue;
    const FillResult fill = look_at_fill(train.samples, jitter_us);
    if (!fill.rate) continue;
    const auto half = [](const Figure& f) { return (f.high - f.low) / 2 / f.value; };
    if (!best || half(*fill.rate) <= half(*best)) best = fill.rate;
    if (full != nullptr && fill.full_at && half(*fill.rate) <= kEnough) *full = true;
  }
  if (!best) return std::nullopt;
  return best->value;
}

bool Prober::fits_budget(std::uint64_t bytes) const {
  return bytes_up_ + bytes_down_ + bytes <= budget_;
}

Duration Prober::idle_span() const {
  return std::min(kIdleSpan, options_.time / kIdleShare);
}

// A first train shows about how fast the link is; the next fills its buffer, or grows until it
// does.
void Prober::step_fill(Time now, WayState& way, bool down) {
  const auto trains = static_cast<std::size_t>(
      std::count_if(way.trains.begin(), way.trains.end(),
                    [](const UsedTrain& train) { return train.use == TrainUse::kFill; }));
  bool full = false;
  const std::optional<double> capacity = capacity_of(way, &full);
  if (full || trains >= kFillTrainsMax || (trains == 0 && way.last_bytes > 0)) return;
  const auto share = static_cast<std::uint64_t>(kFillShare * static_cast<double>(budget_));
  const std::uint64_t left = share - std::min(share, way.filled_bytes);
  std::uint64_t bytes = std::min(kFirstFillBytes, share / 8);
  if (way.last_bytes > 0) {
    bytes = 4 * way.last_bytes;
    if (capacity) {
      bytes = std::max(bytes, static_cast<std::uint64_t>(*capacity * kFillSpan));
      bytes =
          std::min(bytes, static_cast<std::uint64_t>(*capacity * kSpanMost) + kFirstFillBytes / 4);
    }
  }
  bytes = std::min(bytes, left);
  // A slow link gets no more than it carries in half of the time that is left.
  const double seconds_left = static_cast<double>((end_at() - now) / 1ms) / 1000;
  if (capacity)
    bytes =
        std::min(bytes, static_cast<std::uint64_t>(*capacity * std::max(0.2, seconds_left / 2)));
  if (bytes < 2 * std::uint64_t{kIpMost} || bytes * 2 < way.last_bytes) return;
  way.last_bytes = bytes;
  way.filled_bytes += bytes;
  TrainPlan plan;
  const std::uint32_t ip = mtu_bytes_ == 0 ? kIpMost : mtu_bytes_;
  plan.packet_bytes = ip - ip_bytes(site_, 0);
  plan.packets = static_cast<std::uint32_t>(bytes / ip);
  if (capacity) plan.rate = BytesPerSecond(static_cast<std::uint64_t>(*capacity * kOverload));
  order(now, down, TrainUse::kFill, plan);
}

// Both ways at once: small packets, seldom, that see the loss and the jitter of an idle link.
void Prober::begin_loss(Time now) {
  const double seconds_left = static_cast<double>((end_at() - now) / 1ms) / 1000;
  const double span = std::min(kLossSpan, seconds_left - 1.5);
  if (span < 0.1) {
    cut_short_ = true;
    return;
  }
  const std::uint32_t each = ip_bytes(site_, kPacketBytesMin);
  for (WayState* way : {&up_, &down_}) {
    const auto capacity = capacity_of(*way, nullptr);
    double per_second = static_cast<double>(kLossPacketsPerSecond);
    if (capacity) per_second = std::min(per_second, 0.2 * *capacity / each);
    // No more than a tenth of the budget.
    per_second = std::min(per_second, 0.05 * static_cast<double>(budget_) / each / span);
    TrainPlan plan;
    plan.packet_bytes = kPacketBytesMin;
    plan.rate = BytesPerSecond(static_cast<std::uint64_t>(per_second * each) + 1);
    plan.packets = std::clamp(static_cast<std::uint32_t>(per_second * span), 1U, kLossPackets);
    order(now, way == &down_, TrainUse::kLoss, plan);
  }
}

void Prober::sustain(Time now, WayState& way, bool down) {
  const auto capacity = capacity_of(way, nullptr);
  if (!capacity) return;
  const double share = kSustainShare * static_cast<double>(budget_);
  const double bytes = std::min(share, *capacity * kSustainSpan);
  TrainPlan plan;
  const std::uint32_t ip = mtu_bytes_ == 0 ? kIpMost : mtu_bytes_;
  plan.packet_bytes = ip - ip_bytes(site_, 0);
  plan.packets = static_cast<std::uint32_t>(bytes / ip);
  plan.rate = BytesPerSecond(static_cast<std::uint64_t>(*capacity * 0.9) + 1);
  if (plan.packets >= 16) order(now, down, TrainUse::kSustain, plan);
}

void Prober::order(Time now, bool down, TrainUse use, TrainPlan plan) {
  const std::uint32_t each = ip_bytes(site_, plan.packet_bytes);
  plan.packets = std::min<std::uint32_t>(plan.packets, wire::kTrainPacketsMax);
  if (plan.packets == 0 || !fits_budget(std::uint64_t{plan.packets} * each) || !token_) {
    cut_short_ = true;
    return;
  }
  train_ = train_.next();
  plan.train = train_;
  wire::ProbeTrain message;
  message.probe = kTheProbe;
  message.train = train_;
  message.down = down;
  message.packets = plan.packets;
  message.packet_bytes = plan.packet_bytes;
  message.rate = plan.rate.value();
  message.token = *token_;
  send(session::Lane::kControl, message);
  WayState& way = down ? down_ : up_;
  way.use = use;
  if (down) {
    bytes_down_ += std::uint64_t{plan.packets} * each;
    way.record.emplace(now, plan, kReportPatience);
    return;
  }
  bytes_up_ += std::uint64_t{plan.packets} * each;
  way.sending.emplace(now, plan, each);
  way.give_up_at.reset();
  way.waiting.emplace();
  way.waiting->plan = plan;
  way.waiting->packet_ip_bytes = each;
  way.waiting->sent_us.assign(plan.packets, TrainSamples::kNever);
  way.waiting->came_us.assign(plan.packets, TrainSamples::kNever);
}

// ---- Packets ----

std::optional<datagram::ConnectionId> Prober::receive_id() const {
  if (!pinging()) return std::nullopt;
  return sealing_->receive_id();
}

void Prober::on_datagrams(Time now, const datagram::Address&, const Slice& in,
                          std::size_t each_bytes, Duration ago) {
  if (!pinging()) return;
  const std::size_t each = each_bytes == 0 ? in.size() : each_bytes;
  for (std::size_t at = 0; at < in.size(); at += each) {
    const Bytes one = in.bytes().subspan(at, std::min(each, in.size() - at));
    const auto packet = sealing_->open(now, one);
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
  return {site_, sealing_->seal(now, std::span(&packet, 1), bytes), bytes};
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
  Batch batch{site_, sealing_->seal(now, packets, plan.packet_bytes), plan.packet_bytes};
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
