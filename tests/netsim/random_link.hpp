// A random valid LinkConfig, every part of it drawn sometimes: for round-trip properties.
#pragma once

#include <algorithm>
#include <array>
#include <vector>

#include "lib/base/rng.hpp"
#include "netsim/config.hpp"

namespace netsim {

inline Duration random_time(longhaul::Rng& rng) {
  constexpr std::array kScale{1, 1'000, 1'000'000, 500'000, 1'000'000'000};
  const auto scale = static_cast<std::uint64_t>(kScale[rng.below(kScale.size())]);
  return Duration(static_cast<std::int64_t>(rng.between(1, 999) * scale));
}
inline double random_share(longhaul::Rng& rng) {  // short decimals and full doubles
  return rng.chance(0.5) ? static_cast<double>(rng.between(1, 999)) / 1000 : rng.unit() / 2;
}
inline std::vector<Duration> random_times(longhaul::Rng& rng) {
  std::vector<Duration> out(rng.between(1, 20));
  for (Duration& time : out) time = random_time(rng);
  std::sort(out.begin(), out.end());
  return out;
}

inline LossConfig random_loss(longhaul::Rng& rng) {
  const auto p = [&rng] { return random_share(rng) / 2; };
  switch (rng.below(7)) {
    case 0:
      return NoLoss{};
    case 1:
      return BernoulliLoss{p() + 0.001};
    case 2:
      return GilbertElliottLoss::of(p(), static_cast<double>(rng.between(1, 50)));
    case 3:
      return GilbertElliottLoss{p(), p(), p(), p()};
    case 4:
      return FourStateLoss{p(), p(), p(), p(), p()};
    case 5: {
      TraceLoss trace;
      trace.lost.resize(rng.between(1, 50));
      for (auto& lost : trace.lost) lost = rng.chance(0.3) ? 1 : 0;
      return trace;
    }
    default:
      return NthLoss{rng.between(1, 1'000'000)};
  }
}

inline RateConfig random_rate(longhaul::Rng& rng) {
  if (rng.chance(0.2)) return UnlimitedRate{};
  if (rng.chance(0.3)) {
    TraceRate trace{random_times(rng), {}};
    trace.period = trace.opportunities.back() + random_time(rng);
    return trace;
  }
  return ConstantRate{BytesPerSecond(rng.between(1, 1'250'000'000)),
                      static_cast<std::uint32_t>(rng.below(2) * 38)};
}

inline JitterConfig random_jitter(longhaul::Rng& rng) {
  const Duration a = random_time(rng), b = a + random_time(rng);
  switch (rng.below(6)) {
    case 0:
      return NoJitter{};
    case 1:
      return UniformJitter{a};
    case 2:
      return NormalJitter{a};
    case 3:
      return ParetoJitter{a, b};
    case 4:
      return ParetoNormalJitter{a, b};
    default:
      return EmpiricalJitter{random_times(rng)};
  }
}

inline QueueConfig random_queue(longhaul::Rng& rng) {
  QueueConfig queue;
  if (rng.chance(0.6)) queue.bytes_max = ByteCount(rng.between(1, 1U << 30));
  if (rng.chance(0.3)) queue.packets_max = static_cast<std::uint32_t>(rng.between(1, 100'000));
  switch (rng.below(4)) {
    case 0:
      break;
    case 1:
      queue.discipline = DropHead{};
      break;
    case 2:
      queue.discipline = CoDel{random_time(rng), random_time(rng)};
      break;
    default:
      queue.discipline = Pie{random_time(rng), random_time(rng), random_time(rng)};
  }
  queue.ecn = queue.discipline.index() >= 2 && rng.chance(0.5);
  if (rng.chance(0.2)) queue.mark_above = ByteCount(rng.between(1, 1U << 20));
  return queue;
}

inline DirectionConfig random_direction(longhaul::Rng& rng) {
  DirectionConfig d;
  d.loss = random_loss(rng);
  d.rate = random_rate(rng);
  d.queue = random_queue(rng);
  if (rng.chance(0.3))
    d.policer = PolicerConfig{BytesPerSecond(rng.between(1, 1U << 30)),
                              ByteCount(rng.between(1, 1U << 20))};
  if (rng.chance(0.3))
    d.aggregation =
        AggregationConfig{static_cast<std::uint32_t>(rng.between(1, 64)), random_time(rng)};
  d.delay =
      DelayConfig{random_time(rng), random_jitter(rng), random_share(rng) / 2, rng.chance(0.5)};
  if (rng.chance(0.3)) d.reorder = ReorderConfig{random_share(rng), random_time(rng)};
  if (rng.chance(0.3)) d.duplicate = random_share(rng);
  if (rng.chance(0.3)) d.corrupt = CorruptConfig{random_share(rng), rng.chance(0.5)};
  d.mtu_bytes = static_cast<std::uint32_t>(rng.between(68, 65'535));
  d.pmtu_reply = rng.chance(0.5);
  return d;
}

inline Event random_event(longhaul::Rng& rng, Duration at) {
  Event event;
  event.at = at;
  if (rng.chance(0.3)) event.every = random_time(rng);
  const Direction way = rng.chance(0.5) ? Direction::kUp : Direction::kDown;
  switch (rng.below(7)) {
    case 0:
      event.what = Outage{random_time(rng)};
      break;
    case 1:
      event.what = Partition{way, random_time(rng)};
      break;
    case 2:
      event.what = RouteStep{rng.chance(0.5) ? random_time(rng) : -random_time(rng)};
      break;
    case 3:
      event.what = RateStep{way, random_rate(rng)};
      break;
    case 4:
      event.what = LossStep{way, random_loss(rng)};
      break;
    case 5:
      event.what = PmtuDrop{static_cast<std::uint32_t>(rng.between(68, 9000)), random_time(rng)};
      break;
    default:
      event.what = Rebind{rng.chance(0.5)};
  }
  return event;
}

inline LinkConfig random_link(longhaul::Rng& rng) {
  LinkConfig link;
  link.up = random_direction(rng);
  link.down = rng.chance(0.2) ? link.up : random_direction(rng);
  Duration at{0};
  for (std::uint64_t n = rng.below(6); n > 0; --n)
    link.events.push_back(random_event(rng, at += random_time(rng)));
  return link;
}

}  // namespace netsim
