// What a simulated link is, the same for all three faces. A link has two directions, each a chain
//
//   ingress -> policer -> loss -> bottleneck (rate + finite queue) -> delay line -> corrupt,
//   duplicate
//
// Queue and propagation are separate: packets in flight on the delay line never count as queued.
// Values are plain data, comparable and checked by check(); profiles (profile.hpp) read and write
// them.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <string>
#include <variant>
#include <vector>

#include "lib/base/result.hpp"
#include "lib/base/units.hpp"

namespace netsim {

using longhaul::ByteCount;
using longhaul::BytesPerSecond;
using longhaul::Duration;
using longhaul::Result;
using longhaul::Time;

// What check() allows at most.
constexpr ByteCount kQueueBytesMax = ByteCount(std::uint64_t{1} << 30);  // also a policer's burst
constexpr BytesPerSecond kRateMax = BytesPerSecond(1'000'000'000'000U);  // 8 Tbit/s
constexpr std::uint32_t kMtuMin = 68, kMtuMax = 65535;                   // bytes, RFC 791
constexpr std::uint32_t kAggregateMax = 1024;                            // packets

// ---- Loss: decided per packet (per MTU-size segment, never per offload train) ----
struct NoLoss {
  auto operator<=>(const NoLoss&) const = default;
};
struct BernoulliLoss {
  double p = 0;  // independent, in [0, 1]
  auto operator<=>(const BernoulliLoss&) const = default;
};
struct GilbertElliottLoss {  // two states; mean burst = 1 / bad_to_good packets when loss_bad is 1
  double good_to_bad = 0, bad_to_good = 1;
  double loss_good = 0, loss_bad = 1;
  // The chain with this mean loss rate, below 1, and mean burst length in packets, from 1 up (loss
  // 1 in bad, 0 in good).
  static GilbertElliottLoss of(double mean_loss, double mean_burst);
  auto operator<=>(const GilbertElliottLoss&) const = default;
};
struct FourStateLoss {  // netem's GI model: 1 received, 2 received in burst, 3 lost in burst, 4
                        // lost alone
  double p13 = 0, p31 = 1, p32 = 0, p23 = 1, p14 = 0;
  auto operator<=>(const FourStateLoss&) const = default;
};
struct TraceLoss {  // packet i is lost if lost[i % size]
  std::vector<std::uint8_t> lost;
  auto operator<=>(const TraceLoss&) const = default;
};
struct NthLoss {  // packets n, 2n, 3n, .. (counted from 1) are lost
  std::uint64_t n = 0;
  auto operator<=>(const NthLoss&) const = default;
};
using LossConfig =
    std::variant<NoLoss, BernoulliLoss, GilbertElliottLoss, FourStateLoss, TraceLoss, NthLoss>;

// ---- Rate of the bottleneck ----
struct UnlimitedRate {
  auto operator<=>(const UnlimitedRate&) const = default;
};
struct ConstantRate {
  BytesPerSecond rate;
  std::uint32_t overhead_bytes =
      0;  // added to each packet's size on the wire, e.g. 38 for Ethernet
  auto operator<=>(const ConstantRate&) const = default;
};
struct TraceRate {  // mahimahi: at each time one delivery opportunity of 1504 bytes; then it
                    // repeats
  std::vector<Duration> opportunities;  // nondecreasing, from the start of a period
  Duration period{};                    // >= the last opportunity, > 0
  auto operator<=>(const TraceRate&) const = default;
};
using RateConfig = std::variant<UnlimitedRate, ConstantRate, TraceRate>;

// ---- Queue in front of the bottleneck ----
struct DropTail {
  auto operator<=>(const DropTail&) const = default;
};
struct DropHead {
  auto operator<=>(const DropHead&) const = default;
};
struct CoDel {  // RFC 8289
  Duration target = std::chrono::milliseconds(5), interval = std::chrono::milliseconds(100);
  auto operator<=>(const CoDel&) const = default;
};
struct Pie {  // RFC 8033
  Duration target = std::chrono::milliseconds(15), update = std::chrono::milliseconds(15);
  Duration burst = std::chrono::milliseconds(150);
  auto operator<=>(const Pie&) const = default;
};
struct QueueConfig {
  std::optional<ByteCount> bytes_max{};  // neither given: unbounded
  std::optional<std::uint32_t> packets_max{};
  std::variant<DropTail, DropHead, CoDel, Pie> discipline{};
  bool ecn = false;                       // an AQM marks ECN-capable packets instead of dropping
  std::optional<ByteCount> mark_above{};  // droptail that marks over this backlog (DCTCP style)
  auto operator<=>(const QueueConfig&) const = default;
};
struct PolicerConfig {  // token bucket without a queue: what finds no token is dropped
  BytesPerSecond rate;
  ByteCount burst;
  auto operator<=>(const PolicerConfig&) const = default;
};
struct AggregationConfig {  // Wi-Fi style: packets leave in bursts, each after a pause for the
                            // medium
  std::uint32_t packets_max = 32;
  Duration pause = std::chrono::milliseconds(2);
  auto operator<=>(const AggregationConfig&) const = default;
};

// ---- Delay line: one-way propagation ----
struct NoJitter {
  auto operator<=>(const NoJitter&) const = default;
};
struct UniformJitter {  // base +- spread
  Duration spread{};
  auto operator<=>(const UniformJitter&) const = default;
};
struct NormalJitter {  // base + sigma * N(0,1), cut at 0 and at +-4 sigma
  Duration sigma{};
  auto operator<=>(const NormalJitter&) const = default;
};
struct ParetoJitter {  // base + a Pareto tail (shape 3) with this mean excess, cut at `top`
  Duration mean{}, top{};
  auto operator<=>(const ParetoJitter&) const = default;
};
struct ParetoNormalJitter {  // 1/4 normal + 3/4 Pareto, as netem's paretonormal
  Duration sigma{}, top{};
  auto operator<=>(const ParetoNormalJitter&) const = default;
};
struct EmpiricalJitter {  // inverse CDF: excess delay at equally spaced probabilities,
                          // nondecreasing
  std::vector<Duration> quantiles;
  auto operator<=>(const EmpiricalJitter&) const = default;
};
using JitterConfig = std::variant<NoJitter, UniformJitter, NormalJitter, ParetoJitter,
                                  ParetoNormalJitter, EmpiricalJitter>;
struct DelayConfig {
  Duration base{};
  JitterConfig jitter;
  double correlation = 0;  // of successive jitter draws, in [0, 1)
  bool may_reorder =
      false;  // false: a later packet never overtakes (delays are raised, never lowered)
  auto operator<=>(const DelayConfig&) const = default;
};
struct ReorderConfig {
  double p = 0;      // this share of packets is held back ..
  Duration extra{};  // .. by this much
  auto operator<=>(const ReorderConfig&) const = default;
};
struct CorruptConfig {
  double p = 0;
  bool after_checksum =
      false;  // true: checksums are mended, so that only the application can notice
  auto operator<=>(const CorruptConfig&) const = default;
};

struct DirectionConfig {
  LossConfig loss;
  RateConfig rate;
  QueueConfig queue;
  std::optional<PolicerConfig> policer;
  std::optional<AggregationConfig> aggregation;
  DelayConfig delay;
  ReorderConfig reorder;
  double duplicate = 0;
  CorruptConfig corrupt;
  std::uint32_t mtu_bytes =
      1500;                // IP packet; larger ones are dropped, or answered where `pmtu_reply`
  bool pmtu_reply = true;  // false: a PMTU black hole
  auto operator<=>(const DirectionConfig&) const = default;
};

enum class Direction : std::uint8_t { kUp, kDown };  // a to b, b to a; the laptop is a
inline constexpr std::array kBothWays{Direction::kUp, Direction::kDown};

// ---- Scripted events ----
struct Outage {  // nothing passes, either way; what is queued or in flight at the break is lost
  Duration length{};
  auto operator<=>(const Outage&) const = default;
};
struct Partition {  // one way only
  Direction direction = Direction::kUp;
  Duration length{};
  auto operator<=>(const Partition&) const = default;
};
struct RouteStep {  // base delay of both directions changes by this (round trip: twice); stays
  Duration change{};
  auto operator<=>(const RouteStep&) const = default;
};
struct RateStep {
  Direction direction = Direction::kUp;
  RateConfig rate;
  auto operator<=>(const RateStep&) const = default;
};
struct LossStep {
  Direction direction = Direction::kUp;
  LossConfig loss;
  auto operator<=>(const LossStep&) const = default;
};
struct PmtuDrop {  // packets over mtu_bytes vanish without a word for `length`
  std::uint32_t mtu_bytes = 1400;
  Duration length{};
  auto operator<=>(const PmtuDrop&) const = default;
};
struct Rebind {  // the NAT in front of a forgets: a's source port (and address, if asked) changes
  bool address_too = false;
  auto operator<=>(const Rebind&) const = default;
};
struct Event {
  Duration at{};                    // since the link came up
  std::optional<Duration> every{};  // repeats with this period
  std::variant<Outage, Partition, RouteStep, RateStep, LossStep, PmtuDrop, Rebind> what;
  auto operator<=>(const Event&) const = default;
};

struct LinkConfig {
  DirectionConfig up, down;
  std::vector<Event> events;  // in order of `at`
  auto operator<=>(const LinkConfig&) const = default;

  DirectionConfig& operator[](Direction d) { return d == Direction::kUp ? up : down; }
  const DirectionConfig& operator[](Direction d) const { return d == Direction::kUp ? up : down; }
};

// First nonsense found, in one line a person can act on: a probability outside [0, 1], a rate of 0,
// an empty trace, a trace whose times go back, a queue over 1 GiB, a negative delay. kUsage.
Result<> check(const LinkConfig& config);
Result<> check(const DirectionConfig& config);

}  // namespace netsim
