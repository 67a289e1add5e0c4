#include "netsim/lateness.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <bit>

namespace netsim {
namespace {

double ms_of(Duration d) {
  return static_cast<double>(d.count()) / 1e6;
}

}  // namespace

std::size_t Lateness::index_of(std::uint64_t ns) {
  if (ns < kSub) return static_cast<std::size_t>(ns);
  const auto exponent = static_cast<std::size_t>(std::bit_width(ns)) - 4;  // 16..31 have 1
  const std::size_t index =
      exponent * kSub + static_cast<std::size_t>((ns >> (exponent - 1)) & 15U);
  return std::min(index, kSub * kExponents - 1);
}

std::uint64_t Lateness::upper_edge(std::size_t index) {
  if (index < kSub) return index;
  const std::size_t exponent = index / kSub;
  return ((kSub + index % kSub + 1) << (exponent - 1)) - 1;
}

void Lateness::add(Duration late, std::uint64_t packets) {
  const auto ns = static_cast<std::uint64_t>(std::max<std::int64_t>(late.count(), 0));
  counts_[index_of(ns)] += packets;
  count_ += packets;
  sum_ns_ += ns * packets;
  max_ns_ = std::max(max_ns_, ns);
}

Duration Lateness::mean() const {
  return Duration(count_ == 0 ? 0 : static_cast<std::int64_t>(sum_ns_ / count_));
}

Duration Lateness::quantile(double p) const {
  if (count_ == 0) return {};
  const auto rank = static_cast<std::uint64_t>(p * static_cast<double>(count_ - 1));
  std::uint64_t below = 0;
  for (std::size_t i = 0; i < counts_.size(); ++i) {
    below += counts_[i];
    if (below > rank) return Duration(static_cast<std::int64_t>(std::min(upper_edge(i), max_ns_)));
  }
  return max();
}

void Lateness::merge(const Lateness& other) {
  for (std::size_t i = 0; i < counts_.size(); ++i) counts_[i] += other.counts_[i];
  count_ += other.count_;
  sum_ns_ += other.sum_ns_;
  max_ns_ = std::max(max_ns_, other.max_ns_);
}

std::optional<std::string> invalid_because(const Lateness& lateness, Duration rtt) {
  const Duration budget = std::max(kP99Floor, rtt / 100);
  const Duration p99 = lateness.quantile(0.99);
  if (p99 > budget)
    return fmt::format("1 % of the packets left over {:.2f} ms late; the budget is {:.2f} ms",
                       ms_of(p99), ms_of(budget));
  if (lateness.max() > kLateMax)
    return fmt::format("a packet left {:.1f} ms late; the budget is {:.0f} ms",
                       ms_of(lateness.max()), ms_of(kLateMax));
  return std::nullopt;
}

}  // namespace netsim
