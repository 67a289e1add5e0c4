#include "netsim/config.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

namespace netsim {
namespace {

using longhaul::fail;
using longhaul::Kind;

constexpr Duration kDelayMax = std::chrono::hours(1);  // farther than Jupiter is no network

// Thrown nowhere: a list of "x must hold, else y", read until the first failure.
class Judge {
 public:
  explicit Judge(std::string where) : where_(std::move(where)) {}
  Judge& must(bool holds, const char* what, const char* why) {
    if (!holds && !error_)
      error_ =
          longhaul::Error(Kind::kUsage, fmt::format("check {}{}", where_, what), std::string(why));
    return *this;
  }
  Judge& share(double p, const char* what) {  // written so that NaN fails
    return must(p >= 0 && p <= 1, what, "a share is between 0% and 100%");
  }
  Judge& delay(Duration d, const char* what) {
    must(d.count() >= 0, what, "a time is not negative");
    return must(d <= kDelayMax, what, "a time is at most one hour");
  }
  Judge& rises(const std::vector<Duration>& times, const char* what) {
    must(!times.empty(), what, "the trace is empty");
    if (!times.empty()) must(times.front().count() >= 0, what, "the trace starts before 0");
    return must(std::is_sorted(times.begin(), times.end()), what, "the times of the trace go back");
  }
  Result<> verdict() const {
    if (error_) return fail(*error_);
    return {};
  }

 private:
  std::string where_;
  std::optional<longhaul::Error> error_;
};

struct LossJudge {
  Judge& judge;
  void operator()(const NoLoss&) const {}
  void operator()(const BernoulliLoss& l) const { judge.share(l.p, "loss"); }
  void operator()(const GilbertElliottLoss& l) const {
    judge.share(l.good_to_bad, "loss").share(l.bad_to_good, "loss");
    judge.share(l.loss_good, "loss").share(l.loss_bad, "loss");
  }
  void operator()(const FourStateLoss& l) const {
    judge.share(l.p13, "loss").share(l.p31, "loss").share(l.p32, "loss");
    judge.share(l.p23, "loss").share(l.p14, "loss");
    judge.share(l.p13 + l.p14, "loss").share(l.p31 + l.p32, "loss");
  }
  void operator()(const TraceLoss& l) const {
    judge.must(!l.lost.empty(), "loss", "the trace is empty");
  }
  void operator()(const NthLoss& l) const {
    judge.must(l.n > 0, "loss", "every 0th packet is no packet; n is at least 1");
  }
};

struct RateJudge {
  Judge& judge;
  void operator()(const UnlimitedRate&) const {}
  void operator()(const ConstantRate& r) const {
    judge.must(r.rate.value() > 0, "rate", "a rate of 0 passes nothing; use an outage");
    judge.must(r.rate <= kRateMax, "rate", "a rate is at most 8 Tbit/s");
    judge.must(r.overhead_bytes <= kMtuMax, "rate", "the overhead is at most 65535 bytes");
  }
  void operator()(const TraceRate& r) const {
    judge.rises(r.opportunities, "rate");
    judge.must(r.period.count() > 0, "rate", "the trace has no length");
    judge.must(r.opportunities.empty() || r.period >= r.opportunities.back(), "rate",
               "the period ends before the last slot");
  }
};

struct JitterJudge {
  Judge& judge;
  void operator()(const NoJitter&) const {}
  void operator()(const UniformJitter& j) const { judge.delay(j.spread, "jitter"); }
  void operator()(const NormalJitter& j) const { judge.delay(j.sigma, "jitter"); }
  void operator()(const ParetoJitter& j) const {
    judge.delay(j.mean, "jitter").delay(j.top, "jitter");
    judge.must(j.mean == Duration{} || j.top > j.mean, "jitter", "the cut is not above the mean");
  }
  void operator()(const ParetoNormalJitter& j) const {
    judge.delay(j.sigma, "jitter").must(j.top >= j.sigma, "jitter", "the cut is below sigma");
  }
  void operator()(const EmpiricalJitter& j) const {
    judge.rises(j.quantiles, "jitter");
    if (!j.quantiles.empty()) judge.delay(j.quantiles.back(), "jitter");
  }
};

struct DisciplineJudge {
  Judge& judge;
  void operator()(const DropTail&) const {}
  void operator()(const DropHead&) const {}
  void operator()(const CoDel& c) const {
    judge.must(c.target.count() > 0 && c.interval.count() > 0, "queue", "codel's times are over 0");
  }
  void operator()(const Pie& p) const {
    judge.must(p.target.count() > 0 && p.update.count() > 0, "queue", "pie's times are over 0");
    judge.delay(p.burst, "queue");
  }
};

void judge_direction(const DirectionConfig& d, Judge& judge) {
  std::visit(LossJudge{judge}, d.loss);
  std::visit(RateJudge{judge}, d.rate);
  std::visit(DisciplineJudge{judge}, d.queue.discipline);
  std::visit(JitterJudge{judge}, d.delay.jitter);
  const auto bytes = d.queue.bytes_max.value_or(ByteCount(1));
  judge.must(bytes.value() > 0 && d.queue.packets_max.value_or(1) > 0, "queue",
             "a queue of 0 lets nothing pass");
  judge.must(bytes <= kQueueBytesMax, "queue", "a queue is at most 1GiB");
  if (d.policer)
    judge
        .must(d.policer->rate.value() > 0 && d.policer->burst.value() > 0, "policer",
              "rate and burst are over 0")
        .must(d.policer->rate <= kRateMax && d.policer->burst <= kQueueBytesMax, "policer",
              "a rate is at most 8 Tbit/s, a burst 1GiB");
  if (d.aggregation) {
    judge.must(d.aggregation->packets_max > 0 && d.aggregation->packets_max <= kAggregateMax,
               "aggregation", "a burst has 1 to 1024 packets");
    judge.delay(d.aggregation->pause, "aggregation");
  }
  judge.delay(d.delay.base, "delay").delay(d.reorder.extra, "reorder");
  judge.must(d.delay.correlation >= 0 && d.delay.correlation < 1, "correlation",
             "from 0% to under 100%");
  judge.share(d.reorder.p, "reorder").share(d.duplicate, "duplicate").share(d.corrupt.p, "corrupt");
  judge.must(d.mtu_bytes >= kMtuMin && d.mtu_bytes <= kMtuMax, "mtu", "from 68 to 65535 bytes");
}

struct EventJudge {
  Judge& judge;
  void length(Duration d) const {  // an outage may last a day
    judge.must(d.count() > 0, "", "its length is over 0");
  }
  void mtu(std::uint32_t bytes) const {
    judge.must(bytes >= kMtuMin && bytes <= kMtuMax, "", "an MTU is from 68 to 65535 bytes");
  }
  void operator()(const Outage& e) const { length(e.length); }
  void operator()(const Partition& e) const { length(e.length); }
  void operator()(const RouteStep& e) const {
    judge.delay(e.change < Duration{} ? -e.change : e.change, "");
  }
  void operator()(const RateStep& e) const { std::visit(RateJudge{judge}, e.rate); }
  void operator()(const LossStep& e) const { std::visit(LossJudge{judge}, e.loss); }
  void operator()(const PmtuDrop& e) const {
    length(e.length);
    mtu(e.mtu_bytes);
  }
  void operator()(const Rebind&) const {}
};

}  // namespace

GilbertElliottLoss GilbertElliottLoss::of(double mean_loss, double mean_burst) {
  GilbertElliottLoss out;
  out.bad_to_good = 1 / mean_burst;
  out.good_to_bad = mean_loss * out.bad_to_good / (1 - mean_loss);
  return out;
}

Result<> check(const DirectionConfig& config) {
  Judge judge("");
  judge_direction(config, judge);
  return judge.verdict();
}

Result<> check(const LinkConfig& config) {
  for (const Direction d : kBothWays) {
    Judge judge(d == Direction::kUp ? "up." : "down.");
    judge_direction(config[d], judge);
    TRY(judge.verdict());
  }
  Duration before{0};
  for (std::size_t i = 0; i < config.events.size(); ++i) {
    const Event& event = config.events[i];
    Judge judge(fmt::format("event {}", i + 1));
    judge.delay(event.at, "").must(event.at >= before, "", "events stand in order of time");
    judge.must(!event.every || event.every->count() > 0, "", "a period is over 0");
    std::visit(EventJudge{judge}, event.what);
    TRY(judge.verdict());
    before = event.at;
  }
  return {};
}

}  // namespace netsim
