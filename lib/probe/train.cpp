#include "lib/probe/train.hpp"

#include <algorithm>

#include "lib/probe/packet.hpp"

namespace longhaul::probe {
namespace {
constexpr Duration kTrainSpanMax = std::chrono::seconds(10);
}

bool is_sound(const wire::ProbeTrain& order) {
  if (order.packets == 0 || order.packets > wire::kTrainPacketsMax) return false;
  if (order.packet_bytes < kPacketBytesMin || order.packet_bytes > wire::kTrainPacketBytesMax)
    return false;
  const ByteCount whole(std::uint64_t{order.packets} * order.packet_bytes);
  return order.rate == 0 || BytesPerSecond(order.rate).time_for(whole) <= kTrainSpanMax;
}

std::uint32_t TrainSamples::came() const {
  return static_cast<std::uint32_t>(
      std::count_if(came_us.begin(), came_us.end(), [](std::int64_t at) { return at != kNever; }));
}

TrainSender::TrainSender(Time now, const TrainPlan& plan, std::uint32_t packet_ip_bytes)
    : plan_(plan), packet_ip_bytes_(packet_ip_bytes), due_at_(now) {}

std::uint32_t TrainSender::due(Time now) const {
  if (done()) return 0;
  const std::uint32_t left = std::min(plan_.packets - next_, kBatchMax);
  if (plan_.rate.value() == 0) return left;
  if (now < due_at_) return 0;
  const std::uint64_t bytes = plan_.rate.bytes_in(now - due_at_).value();
  return static_cast<std::uint32_t>(std::min<std::uint64_t>(left, 1 + bytes / packet_ip_bytes_));
}

void TrainSender::on_sent(Time now, std::uint32_t packets) {
  next_ += packets;
  if (plan_.rate.value() == 0) return;
  // What a late timer missed is caught up with, but not more.
  due_at_ = std::max(due_at_, now - kCreditMax) +
            plan_.rate.time_for(ByteCount(std::uint64_t{packets} * packet_ip_bytes_));
}

std::optional<Time> TrainSender::next_at() const {
  if (done()) return std::nullopt;
  return due_at_;
}

TrainRecord::TrainRecord(Time now, const TrainPlan& plan, Duration patience)
    : missing_(plan.packets), over_at_(now + patience) {
  samples_.plan = plan;
  samples_.sent_us.assign(plan.packets, TrainSamples::kNever);
  samples_.came_us.assign(plan.packets, TrainSamples::kNever);
}

void TrainRecord::on_packet(Time now, std::uint32_t number, std::int64_t sent_us,
                            std::int64_t came_us) {
  if (number >= samples_.plan.packets || samples_.came_us[number] != TrainSamples::kNever) return;
  samples_.came_us[number] = std::max<std::int64_t>(came_us, 0);
  samples_.sent_us[number] = sent_us;
  --missing_;
  Duration pause = kQuiet;
  if (samples_.plan.rate.value() > 0) {
    pause += 2 * samples_.plan.rate.time_for(ByteCount(samples_.plan.packet_bytes));
  }
  over_at_ = missing_ == 0 ? now : now + pause;
}

bool TrainRecord::over(Time now) const {
  return missing_ == 0 || now >= over_at_;
}
Time TrainRecord::over_at() const {
  return over_at_;
}

wire::ProbeArrivals report_of(wire::ProbeId probe, const TrainRecord& record) {
  const TrainSamples& samples = record.samples();
  wire::ProbeArrivals report;
  report.probe = probe;
  report.train = samples.plan.train;
  report.packets.reserve(samples.came_us.size());
  bool any = false;
  std::int64_t before = 0;
  for (const std::int64_t at : samples.came_us) {
    if (at == TrainSamples::kNever) {
      report.packets.push_back(0);
      continue;
    }
    if (!std::exchange(any, true)) {
      report.first_us = static_cast<std::uint64_t>(at);
      before = at;
    }
    report.packets.push_back(at >= before ? at - before + 1 : at - before);
    before = at;
  }
  return report;
}

Fits take_report(const wire::ProbeArrivals& report, TrainSamples& into) {
  constexpr std::uint64_t kUsMax = std::uint64_t{1} << 50;
  if (report.packets.size() != into.plan.packets || report.first_us > kUsMax) return Fits::kNo;
  auto at = static_cast<std::int64_t>(report.first_us);
  for (std::size_t i = 0; i < report.packets.size(); ++i) {
    const std::int64_t step = report.packets[i];
    into.came_us[i] = TrainSamples::kNever;
    if (step == 0) continue;
    if (step > static_cast<std::int64_t>(kUsMax) || step < -static_cast<std::int64_t>(kUsMax))
      return Fits::kNo;
    at += step > 0 ? step - 1 : step;
    if (at < 0 || at > static_cast<std::int64_t>(kUsMax)) return Fits::kNo;
    into.came_us[i] = at;
  }
  return Fits::kYes;
}

}  // namespace longhaul::probe
