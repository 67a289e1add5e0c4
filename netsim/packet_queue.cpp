#include "netsim/packet_queue.hpp"

namespace netsim {
namespace {

using Controller = std::variant<std::monostate, CoDelState, PieState>;

Controller controller_for(const QueueConfig& config, Time start) {
  if (const auto* codel = std::get_if<CoDel>(&config.discipline)) return CoDelState(*codel);
  if (const auto* pie = std::get_if<Pie>(&config.discipline)) return PieState(*pie, start);
  return std::monostate{};
}

}  // namespace

PacketQueue::PacketQueue(const QueueConfig& config, const longhaul::Rng& rng, Time start)
    : config_(config), rng_(rng), controller_(controller_for(config, start)) {}

bool PacketQueue::fits(std::uint32_t bytes) const {
  if (config_.bytes_max && bytes_ + bytes > config_.bytes_max->value()) return false;
  return !config_.packets_max || waiting_.size() < *config_.packets_max;
}

PacketQueue::Entry PacketQueue::take() {
  const Entry entry = waiting_.pop();
  bytes_ -= entry.bytes;
  return entry;
}

void PacketQueue::push(Time now, const Packet& packet, Ring<Drop>& drops) {
  const bool ect = packet.ecn == Ecn::kEct0 || packet.ecn == Ecn::kEct1;
  Entry entry{packet.cookie, now, packet.bytes, config_.ecn && ect, false};
  if (auto* pie = std::get_if<PieState>(&controller_)) {
    const auto verdict = pie->on_arrival(now, bytes_, entry.can_mark, rng_);
    if (verdict == PieState::Verdict::kDrop) return drops.push({packet.cookie, DropReason::kAqm});
    entry.marked = verdict == PieState::Verdict::kMark;
  }
  if (!fits(packet.bytes) && std::holds_alternative<DropHead>(config_.discipline))
    while (!waiting_.empty() && !fits(packet.bytes))
      drops.push({take().cookie, DropReason::kQueueFull});
  if (!fits(packet.bytes)) return drops.push({packet.cookie, DropReason::kQueueFull});
  if (config_.mark_above && ect && bytes_ + packet.bytes > config_.mark_above->value())
    entry.marked = true;
  waiting_.push(entry);
  bytes_ += packet.bytes;
}

std::optional<PacketQueue::Entry> PacketQueue::pop(Time now, Ring<Drop>& drops) {
  while (!waiting_.empty()) {
    Entry entry = take();
    if (auto* codel = std::get_if<CoDelState>(&controller_)) {
      if (codel->should_drop(now, now - entry.since, bytes_)) {
        if (!entry.can_mark) {
          drops.push({entry.cookie, DropReason::kAqm});
          continue;
        }
        entry.marked = true;
      }
    } else if (auto* pie = std::get_if<PieState>(&controller_)) {
      pie->on_departure(now, now - entry.since);
      if (waiting_.empty()) pie->on_empty(now);
    }
    return entry;
  }
  if (auto* codel = std::get_if<CoDelState>(&controller_)) codel->on_empty();
  return std::nullopt;
}

void PacketQueue::reconfigure(Time now, const QueueConfig& config) {
  const bool same_kind = config.discipline.index() == config_.discipline.index();
  config_ = config;
  if (!same_kind) {
    controller_ = controller_for(config, now);
    return;
  }
  if (auto* codel = std::get_if<CoDelState>(&controller_))
    codel->reconfigure(std::get<CoDel>(config.discipline));
  if (auto* pie = std::get_if<PieState>(&controller_))
    pie->reconfigure(std::get<Pie>(config.discipline));
}

void PacketQueue::flush(Ring<Drop>& drops) {
  while (!waiting_.empty()) drops.push({take().cookie, DropReason::kOutage});
}

void PacketQueue::check() const {
  std::uint64_t sum = 0;
  for (std::size_t i = 0; i < waiting_.size(); ++i) sum += waiting_[i].bytes;
  ASSERT(sum == bytes_);
}

}  // namespace netsim
