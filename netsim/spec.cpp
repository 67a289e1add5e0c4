#include "netsim/spec.hpp"

#include <fmt/format.h>

#include <vector>

#include "lib/base/escape.hpp"
#include "netsim/quantity.hpp"
#include "netsim/spec_words.hpp"

namespace netsim {

using longhaul::fail;
using longhaul::Kind;
using words::refuse;
using words::split;
using words::tail_of;

namespace {

constexpr std::size_t kTraceMax = 1U << 22;  // entries of an inline table, pattern or slot list

std::string list_text(const std::vector<Duration>& times) {
  std::string out;
  for (const Duration time : times) {
    if (!out.empty()) out += '/';
    out += to_text(time);
  }
  return out;
}

Result<std::vector<Duration>> parse_times(std::string_view what, std::string_view list) {
  std::vector<Duration> out;
  for (const std::string_view part : split(list, '/')) {
    if (out.size() == kTraceMax) return refuse(what, list, "too many entries");
    out.push_back(TRY(parse_duration(part)));
    if (out.size() > 1 && out.back() < out[out.size() - 2])
      return refuse(what, list, "its times go back");
  }
  return out;
}

Result<std::vector<double>> parse_shares(std::string_view what, std::string_view list,
                                         std::size_t count) {
  std::vector<double> out;
  for (const std::string_view part : split(list, '/')) out.push_back(TRY(parse_share(part)));
  if (out.size() != count)
    return refuse(what, list, fmt::format("{} shares are expected, with / between", count));
  return out;
}

Result<LossConfig> parse_pattern(std::string_view bits) {
  TraceLoss out;
  if (bits.empty()) return refuse("loss pattern", bits, "it is empty");
  if (bits.size() > kTraceMax) return refuse("loss pattern", bits, "it is too long");
  for (const char c : bits) {
    if (c != '0' && c != '1') return refuse("loss pattern", bits, "only 0 and 1 are expected");
    out.lost.push_back(c == '1' ? 1 : 0);
  }
  return out;
}

Result<LossConfig> parse_ge(std::string_view text, std::string_view rest) {
  const auto parts = split(rest, '/');
  if (parts.size() != 2) return refuse("loss", text, "as ge:0.8%/12: mean loss and mean burst");
  const double mean = TRY(parse_share(parts[0]));
  const double burst = TRY(parse_number(parts[1]));
  if (!(mean < 1) || !(burst >= 1) || !(burst <= 1e9))
    return refuse("loss", text, "the mean is under 100%, the burst 1 packet or more");
  const GilbertElliottLoss out = GilbertElliottLoss::of(mean, burst);
  if (!(out.good_to_bad <= 1))
    return refuse("loss", text, "so much loss needs longer bursts: burst >= mean / (1 - mean)");
  return out;
}

}  // namespace

Result<LossConfig> parse_loss(std::string_view text, const TraceFiles& files) {
  if (text == "none") return NoLoss{};
  if (const auto rest = tail_of(text, "ge:")) return parse_ge(text, *rest);
  if (const auto rest = tail_of(text, "gilbert:")) {
    const auto p = TRY(parse_shares("loss", *rest, 4));
    return GilbertElliottLoss{p[0], p[1], p[2], p[3]};
  }
  if (const auto rest = tail_of(text, "4state:")) {
    const auto p = TRY(parse_shares("loss", *rest, 5));
    return FourStateLoss{p[0], p[1], p[2], p[3], p[4]};
  }
  if (const auto rest = tail_of(text, "nth:")) return NthLoss{TRY(parse_count(*rest, 1, ~0ULL))};
  if (const auto rest = tail_of(text, "pattern:")) return parse_pattern(*rest);
  if (const auto rest = tail_of(text, "trace:")) {
    if (!files.loss) return refuse("loss", text, "a trace file can only be named at the start");
    return TRY(files.loss(*rest));
  }
  if (text.empty() || std::string_view("-+.0123456789").find(text[0]) == std::string_view::npos)
    return refuse("loss", text, "as none, 1%, ge:0.8%/12, nth:1000 (see docs/profiles.md)");
  const auto p = parse_share(text);
  if (!p) return refuse("loss", text, p.error().why());
  return *p > 0 ? LossConfig(BernoulliLoss{*p}) : LossConfig(NoLoss{});
}

std::string loss_text(const LossConfig& loss) {
  struct Printer {
    std::string operator()(const NoLoss&) const { return "none"; }
    std::string operator()(const BernoulliLoss& l) const { return share_text(l.p); }
    std::string operator()(const GilbertElliottLoss& l) const {
      if (l.bad_to_good > 0 && l.good_to_bad > 0) {
        const std::string brief =
            fmt::format("ge:{:.9g}%/{:.9g}", 100 * l.good_to_bad / (l.good_to_bad + l.bad_to_good),
                        1 / l.bad_to_good);
        const auto back = parse_loss(brief);
        if (back && *back == LossConfig(l)) return brief;
      }
      return fmt::format("gilbert:{}/{}/{}/{}", share_text(l.good_to_bad),
                         share_text(l.bad_to_good), share_text(l.loss_good),
                         share_text(l.loss_bad));
    }
    std::string operator()(const FourStateLoss& l) const {
      return fmt::format("4state:{}/{}/{}/{}/{}", share_text(l.p13), share_text(l.p31),
                         share_text(l.p32), share_text(l.p23), share_text(l.p14));
    }
    std::string operator()(const TraceLoss& l) const {
      std::string out = "pattern:";
      for (const auto lost : l.lost) out += lost != 0 ? '1' : '0';
      return out;
    }
    std::string operator()(const NthLoss& l) const { return fmt::format("nth:{}", l.n); }
  };
  return std::visit(Printer{}, loss);
}

Result<RateConfig> parse_rate(std::string_view text, const TraceFiles& files) {
  if (text == "unlimited") return UnlimitedRate{};
  if (const auto rest = tail_of(text, "slots:")) {
    const auto parts = split(*rest, ':');
    if (parts.size() != 2) return refuse("rate", text, "as slots:PERIOD:T1/T2/..");
    TraceRate out;
    out.period = TRY(parse_duration(parts[0]));
    out.opportunities = TRY(parse_times("rate slots", parts[1]));
    if (out.period <= Duration{0} || out.period < out.opportunities.back())
      return refuse("rate", text, "the period ends before the last slot");
    return out;
  }
  if (const auto rest = tail_of(text, "trace:")) {
    if (!files.rate) return refuse("rate", text, "a trace file can only be named at the start");
    return TRY(files.rate(*rest));
  }
  const auto parts = split(text, ',');
  ConstantRate out{TRY(parse_rate_value(parts[0]))};
  if (parts.size() == 1) return out;
  const auto overhead = tail_of(parts[1], "overhead:");
  if (!overhead || parts.size() > 2) return refuse("rate", text, "as 100mbit,overhead:38B");
  const ByteCount bytes = TRY(parse_size(*overhead));
  if (bytes.value() > 1000) return refuse("rate", text, "the overhead is at most 1000B a packet");
  out.overhead_bytes = static_cast<std::uint32_t>(bytes.value());
  return out;
}

std::string rate_text(const RateConfig& rate) {
  struct Printer {
    std::string operator()(const UnlimitedRate&) const { return "unlimited"; }
    std::string operator()(const ConstantRate& r) const {
      if (r.overhead_bytes == 0) return to_text(r.rate);
      return fmt::format("{},overhead:{}B", to_text(r.rate), r.overhead_bytes);
    }
    std::string operator()(const TraceRate& r) const {
      return fmt::format("slots:{}:{}", to_text(r.period), list_text(r.opportunities));
    }
  };
  return std::visit(Printer{}, rate);
}

Result<JitterConfig> parse_jitter(std::string_view text) {
  if (text == "none") return NoJitter{};
  if (const auto rest = tail_of(text, "uniform:")) return UniformJitter{TRY(parse_duration(*rest))};
  if (const auto rest = tail_of(text, "normal:")) return NormalJitter{TRY(parse_duration(*rest))};
  if (const auto rest = tail_of(text, "table:"))
    return EmpiricalJitter{TRY(parse_times("jitter table", *rest))};
  const auto pareto = tail_of(text, "pareto:");
  const auto mixed = tail_of(text, "pareto-normal:");
  if (!pareto && !mixed)
    return refuse("jitter", text, "as none, uniform:2ms, normal:1ms, pareto:4ms/30ms, table:0/2ms");
  const auto parts = split(pareto ? *pareto : *mixed, '/');
  if (parts.size() != 2) return refuse("jitter", text, "two durations are expected: 4ms/30ms");
  const Duration first = TRY(parse_duration(parts[0]));
  const Duration top = TRY(parse_duration(parts[1]));
  if (top < first) return refuse("jitter", text, "the second duration is the cut: not the smaller");
  if (pareto) return ParetoJitter{first, top};
  return ParetoNormalJitter{first, top};
}

std::string jitter_text(const JitterConfig& jitter) {
  struct Printer {
    std::string operator()(const NoJitter&) const { return "none"; }
    std::string operator()(const UniformJitter& j) const { return "uniform:" + to_text(j.spread); }
    std::string operator()(const NormalJitter& j) const { return "normal:" + to_text(j.sigma); }
    std::string operator()(const ParetoJitter& j) const {
      return fmt::format("pareto:{}/{}", to_text(j.mean), to_text(j.top));
    }
    std::string operator()(const ParetoNormalJitter& j) const {
      return fmt::format("pareto-normal:{}/{}", to_text(j.sigma), to_text(j.top));
    }
    std::string operator()(const EmpiricalJitter& j) const {
      return "table:" + list_text(j.quantiles);
    }
  };
  return std::visit(Printer{}, jitter);
}

Result<std::optional<PolicerConfig>> parse_policer(std::string_view text) {
  if (text == "none") return std::nullopt;
  const auto parts = split(text, ',');
  if (parts.size() != 2) return refuse("policer", text, "as 100mbit,256KiB: rate and burst");
  PolicerConfig out{TRY(parse_rate_value(parts[0])), TRY(parse_size(parts[1]))};
  if (out.burst.value() == 0) return refuse("policer", text, "a burst of 0 lets nothing pass");
  return out;
}

std::string policer_text(const std::optional<PolicerConfig>& policer) {
  if (!policer) return "none";
  return fmt::format("{},{}", to_text(policer->rate), to_text(policer->burst));
}

Result<std::optional<AggregationConfig>> parse_aggregation(std::string_view text) {
  if (text == "none") return std::nullopt;
  const auto parts = split(text, '/');
  if (parts.size() != 2 || !parts[0].ends_with('p'))
    return refuse("aggregation", text, "as 32p/2ms: packets in a burst and the pause before it");
  const auto packets = TRY(parse_count(parts[0].substr(0, parts[0].size() - 1), 1, 100'000));
  return AggregationConfig{static_cast<std::uint32_t>(packets), TRY(parse_duration(parts[1]))};
}

std::string aggregation_text(const std::optional<AggregationConfig>& aggregation) {
  if (!aggregation) return "none";
  return fmt::format("{}p/{}", aggregation->packets_max, to_text(aggregation->pause));
}

Result<ReorderConfig> parse_reorder(std::string_view text) {
  if (text == "none") return ReorderConfig{};
  const auto parts = split(text, '/');
  if (parts.size() != 2) return refuse("reorder", text, "as 1%/5ms: share and how much later");
  return ReorderConfig{TRY(parse_share(parts[0])), TRY(parse_duration(parts[1]))};
}

std::string reorder_text(const ReorderConfig& reorder) {
  if (reorder == ReorderConfig{}) return "none";
  return fmt::format("{}/{}", share_text(reorder.p), to_text(reorder.extra));
}

Result<CorruptConfig> parse_corrupt(std::string_view text) {
  if (text == "none") return CorruptConfig{};
  const auto parts = split(text, ',');
  if (parts.size() > 2 || (parts.size() == 2 && parts[1] != "after-checksum"))
    return refuse("corrupt", text, "as 0.01% or 0.01%,after-checksum");
  return CorruptConfig{TRY(parse_share(parts[0])), parts.size() == 2};
}

std::string corrupt_text(const CorruptConfig& corrupt) {
  if (corrupt == CorruptConfig{}) return "none";
  return share_text(corrupt.p) + (corrupt.after_checksum ? ",after-checksum" : "");
}

}  // namespace netsim
