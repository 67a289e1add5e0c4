// The constants of rate control, each with its reason in docs/rate.md.
#pragma once

#include <algorithm>
#include <cstdint>

#include "lib/base/units.hpp"

namespace longhaul::datagram {

constexpr std::uint64_t kFirstFlightPackets = 128;
constexpr Duration kRttGuess = 200ms;
constexpr BytesPerSecond kRateMin(12'500);  // 100 kbit/s: enough to hear of a link this slow
constexpr ByteCount kWindowMax = ByteCount(128'000'000);
constexpr std::uint64_t kWindowPacketsMin = 32;
constexpr Duration kSilenceMin = 1s;

constexpr std::uint64_t kPulseGrowth = 4;  // times what is known to pass, at the start
constexpr Duration kPulseLength = 5ms;
constexpr std::uint32_t kPulseLossPpm = 30'000;  // more: its figures are not worth trusting at once

constexpr Duration kTrialMin = 5ms, kTrialMax = 50ms;
constexpr std::uint64_t kTrialPacketsMin = 6;

constexpr Duration kTargetHigh = 5ms, kTargetLow = 2ms;
constexpr Duration kTargetStep = 300us;         // less for each doubling of the rate
constexpr std::uint64_t kTargetRate = 250'000;  // B/s: up to here, the high target
constexpr Duration kQueueMuch = 8ms;
constexpr Duration kQueueStays = 4ms;  // above the target for long: not our doing
constexpr Duration kNoiseMax = 100ms;  // jitter beyond it is taken for a queue
constexpr Duration kRough = 3ms;       // from so much on jitter hides what single trials would tell
constexpr Duration kUnquiet = 1ms;  // from so much on a busy host's hiccups show in single trials
constexpr Duration kHeldFor = 3s;   // how long jitter is remembered that is not seen any more
constexpr std::uint64_t kStepMost = 2000;  // permille of what was sent: what comes out is believed
constexpr Duration kCollapseSpan = 8ms;    // of arrivals, before their rate is believed
constexpr Duration kProbeQueue = 8ms;      // what a probe may add
constexpr std::uint64_t kProbePacketsMin = 16;
constexpr std::uint32_t kProbeGainMin = 125, kProbeGainMax = 1000;  // permille
constexpr std::uint64_t kDipPermille = 750, kTestPermille = 600;
constexpr std::uint64_t kSharePermille = 420;  // of the link: below it, `fair` stops yielding
constexpr std::uint64_t kHalfPermille = 490;   // of the link: what `fair` keeps beside others
constexpr std::uint64_t kExcessMost = 100, kExcessLeast = 10;  // permille above what comes out
constexpr std::uint64_t kShareSeen = 150;        // permille: a smaller one is not told from none
constexpr std::uint32_t kRouteLossPpm = 20'000;  // more, and a queue that stands still is a queue
constexpr std::uint64_t kClimbPermille = 1060;   // at most, while the queue is below its target

constexpr std::uint32_t kRandomMaxPpm = 130'000;  // loss repaired without lowering the rate
constexpr std::uint32_t kLossFreePpm = 5'000;     // not worth a test
constexpr std::uint32_t kHeavyLossPpm = 250'000;
constexpr std::uint32_t kLossEventsMin = 5;           // fewer tell nothing of how often
constexpr std::uint32_t kReceiverDropsPpm = 150'000;  // more is no stumble, it cannot keep up

constexpr BytesPerSecond permille(BytesPerSecond rate, std::uint64_t share) {
  return BytesPerSecond(rate.value() * share / 1000);
}
constexpr BytesPerSecond rate_of(std::uint64_t bytes, Duration span) {
  const auto micros = static_cast<std::uint64_t>(std::max<std::int64_t>(span.count() / 1000, 1));
  return BytesPerSecond(bytes * 1'000'000 / micros);
}
constexpr Duration share_of(Duration span, std::uint64_t part, std::uint64_t whole) {
  const auto micros = static_cast<std::uint64_t>(std::max<std::int64_t>(span.count() / 1000, 0));
  return Duration(static_cast<std::int64_t>(micros * part / std::max<std::uint64_t>(whole, 1)) *
                  1000);
}

}  // namespace longhaul::datagram
