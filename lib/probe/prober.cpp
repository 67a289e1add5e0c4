#include "lib/probe/prober.hpp"

#include <algorithm>
#include <array>
#include <cmath>
#include <utility>

namespace longhaul::probe {
namespace {

constexpr Duration kIdleSpan = 3s;
constexpr int kIdleShare = 3;  // of the time: at most a third
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
constexpr double kReserve = 2.0;      // seconds for what comes after filling
constexpr double kEnough = 0.02;      // half of a rate's interval: no better is needed
constexpr std::size_t kFillTrainsMax = 6;

}  // namespace

std::string_view name_of(Prober::Stage stage) {
  constexpr std::array<std::string_view, 11> kNames = {"waiting",
                                                       "asking the site",
                                                       "looking for a way by UDP",
                                                       "round trips, MTU",
                                                       "filling the way up",
                                                       "filling the way down",
                                                       "loss and jitter",
                                                       "holding the way up full",
                                                       "holding the way down full",
                                                       "silence, for the NAT",
                                                       "done"};
  return kNames[static_cast<std::size_t>(stage)];
}

Prober::Prober(const ProberOptions& options)
    : options_(options), sealing_(options.seed, true, *options.buffers) {
  std::uint32_t index = 0;
  for (const Duration silence : options_.silences)
    quiet_.push_back(std::make_unique<QuietPort>(sealing_, silence, index++));
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
  if (!std::exchange(stopped_, true)) send(session::Lane::kControl, wire::ProbeStop{kTheProbe});
  if (stage_ != Stage::kQuiet) ended_at_ = now;
  up_.sending.reset();
  enter(now, Stage::kDone);
}

// ---- Stages ----

void Prober::step(Time now) {
  if (stage_ == Stage::kWaiting || stage_ == Stage::kDone) return;
  if (stage_ == Stage::kQuiet) return tend_quiet(now);
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
  while (pinging() && !up_.busy() && !down_.busy()) {
    const Stage before = stage_;
    next_stage(now);
    if (stage_ == before) break;
  }
}

// Nothing is under way: the next train, or the next stage.
void Prober::next_stage(Time now) {
  if (now >= end_at() && stage_ < Stage::kSustainDown) {
    cut_short_ = true;
    return be_quiet(now);
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
      if (!down_.busy()) be_quiet(now);
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
    bytes = std::min(bytes, static_cast<std::uint64_t>(
                                *capacity * std::max(0.2, (seconds_left - kReserve) / 2)));
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
  const double span = std::min(kLossSpan, std::max(0.5, seconds_left - 1.5));
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

}  // namespace longhaul::probe
