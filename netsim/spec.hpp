// The parts of a link in words. Each parse_x() reads what its x_text() prints, to the same value;
// forms that a person writes more easily are read too. Pure: a trace file is opened by the caller's
// `TraceFiles`.
//
//   loss         none | 1% | ge:MEAN/BURST | gilbert:G2B/B2G/LOSS_GOOD/LOSS_BAD
//                4state:P13/P31/P32/P23/P14 | nth:1000 | pattern:00010 | trace:FILE
//   rate         unlimited | 100mbit[,overhead:38B] | slots:PERIOD:T1/T2/.. | trace:FILE (mahimahi)
//   queue        comma-separated: unlimited, or limits 1bdp | 100ms | 512KiB | 1000p; then
//                droptail | drophead | codel[:TARGET/INTERVAL] | pie[:TARGET/UPDATE/BURST];
//                ecn (an AQM marks), mark:64KiB (droptail marks above)
//   jitter       none | uniform:2ms | normal:1ms | pareto:MEAN/TOP | pareto-normal:SIGMA/TOP |
//   table:0/1ms/5ms policer      none | 100mbit,256KiB aggregation  none | 32p/2ms reorder none |
//   1%/5ms corrupt      none | 0.01%[,after-checksum]
#pragma once

#include <functional>
#include <optional>
#include <string>
#include <string_view>

#include "netsim/config.hpp"

namespace netsim {

// Reads what `trace:FILE` names. An empty function means files cannot be named here (a live
// change).
struct TraceFiles {
  std::function<Result<TraceRate>(std::string_view path)> rate;
  std::function<Result<TraceLoss>(std::string_view path)> loss;
};

// What `1bdp` and `100ms` of queue are measured against.
struct QueueContext {
  RateConfig rate;
  Duration rtt{};
};

Result<LossConfig> parse_loss(std::string_view text, const TraceFiles& files = {});
Result<RateConfig> parse_rate(std::string_view text, const TraceFiles& files = {});
Result<QueueConfig> parse_queue(std::string_view text, const QueueContext& context);
Result<JitterConfig> parse_jitter(std::string_view text);
Result<std::optional<PolicerConfig>> parse_policer(std::string_view text);
Result<std::optional<AggregationConfig>> parse_aggregation(std::string_view text);
Result<ReorderConfig> parse_reorder(std::string_view text);
Result<CorruptConfig> parse_corrupt(std::string_view text);

std::string loss_text(const LossConfig& loss);
std::string rate_text(const RateConfig& rate);
std::string queue_text(const QueueConfig& queue);
std::string jitter_text(const JitterConfig& jitter);
std::string policer_text(const std::optional<PolicerConfig>& policer);
std::string aggregation_text(const std::optional<AggregationConfig>& aggregation);
std::string reorder_text(const ReorderConfig& reorder);
std::string corrupt_text(const CorruptConfig& corrupt);

// Long-run rate; nullopt if unlimited.
std::optional<BytesPerSecond> mean_rate(const RateConfig& rate);

}  // namespace netsim
