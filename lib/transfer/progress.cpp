#include "lib/transfer/progress.hpp"

#include <algorithm>

namespace longhaul::transfer {

std::string_view name_of(Stage stage) {
  switch (stage) {
    case Stage::kDisk:
      return "disk";
    case Stage::kCpu:
      return "CPU";
    case Stage::kLink:
      return "link";
    case Stage::kPeer:
      return "peer";
    case Stage::kRateCap:
      return "rate cap";
  }
  return "peer";
}

void RateMeter::add(Time now, std::uint64_t bytes) {
  const std::int64_t number = now.time_since_epoch().count() / kSlotNs;
  Slot& slot = slots_[static_cast<std::size_t>(number) % kSlots];
  if (slot.number != number) slot = Slot{number, 0};
  slot.bytes += bytes;
  if (!first_slot_) first_slot_ = number;
}

BytesPerSecond RateMeter::rate(Time now) const {
  if (!first_slot_) return {};
  const std::int64_t here = now.time_since_epoch().count() / kSlotNs;
  const std::int64_t oldest = std::max(*first_slot_, here - static_cast<std::int64_t>(kSlots) + 1);
  std::uint64_t sum = 0;
  for (const Slot& slot : slots_)
    if (slot.number >= oldest && slot.number <= here) sum += slot.bytes;
  // The window ends now, inside the newest slot; a young meter divides by its age, at least one
  // slot.
  const std::int64_t span =
      std::max<std::int64_t>(now.time_since_epoch().count() - oldest * kSlotNs, kSlotNs);
  const long double rate = static_cast<long double>(sum) * 1e9L / static_cast<long double>(span);
  return BytesPerSecond(static_cast<std::uint64_t>(rate));
}

void StageMeter::settle(Time now) {
  constexpr Duration kHalfLife = 2s;
  if (!since_) {
    since_ = now;
    halved_ = now;
    return;
  }
  const Duration passed = std::max(now - *since_, Duration::zero());
  since_ = now;
  const auto index = static_cast<std::size_t>(current_);
  total_[index] += passed;
  recent_ns_[index] += static_cast<std::uint64_t>(passed.count());
  if (now - halved_ > 64 * kHalfLife) {  // asleep: all of it is old
    recent_ns_.fill(0);
    halved_ = now;
  }
  while (now - halved_ >= kHalfLife) {
    for (auto& ns : recent_ns_) ns /= 2;
    halved_ += kHalfLife;
  }
}

void StageMeter::enter(Time now, Stage stage) {
  settle(now);
  current_ = stage;
}

Stage StageMeter::limit(Time now) const {
  StageMeter copy = *this;
  copy.settle(now);
  const auto most = std::max_element(copy.recent_ns_.begin(), copy.recent_ns_.end());
  if (*most == 0) return current_;
  return static_cast<Stage>(most - copy.recent_ns_.begin());
}

void complete(Progress& progress, Time now, const RateMeter& logical, const RateMeter& wire,
              const StageMeter& stages) {
  progress.rate = logical.rate(now);
  progress.wire_rate = wire.rate(now);
  progress.limit = stages.limit(now);
  progress.remaining.reset();
  if (!progress.totals_final || progress.rate.value() == 0) return;
  const std::uint64_t left =
      progress.bytes_total - std::min(progress.bytes_total, progress.bytes_done);
  progress.remaining = progress.rate.time_for(ByteCount(left));
}

}  // namespace longhaul::transfer
