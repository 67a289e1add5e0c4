#include "netsim/jitter.hpp"

#include <algorithm>

#include "netsim/integer_math.hpp"
#include "netsim/normal_table.hpp"

namespace netsim {
namespace {

double ns(Duration d) {
  return static_cast<double>(d.count());
}

Duration rounded(double x) {
  return Duration(static_cast<std::int64_t>(x < 0 ? x - 0.5 : x + 0.5));
}

// (1 - u)^(-1/3): Pareto with shape 3, from 1 up; mean 1.5, variance 0.75
double pareto(double u) {
  return real_cube_root(1 / (1 - u));
}
constexpr double kParetoMean = 1.5;

// The scale s for which min(s * (pareto - 1), top) has this mean: s/2 * (1 - (s / (s + top))^2) =
// mean.
double scale_for(double mean, double top) {
  if (mean <= 0) return 0;
  const auto mean_of = [top](double s) {
    const double share = s / (s + top);
    return s / 2 * (1 - share * share);
  };
  double low = 0, high = 2 * mean;
  for (int i = 0; i < 60 && mean_of(high) < mean; ++i) high *= 2;
  for (int i = 0; i < 100; ++i) {
    const double middle = (low + high) / 2;
    (mean_of(middle) < mean ? low : high) = middle;
  }
  return high;
}

// A quarter of a normal and three quarters of a Pareto variable, both of deviation 1: times this,
// again 1.
const double kMixScale = 1 / real_square_root(0.25 * 0.25 + 0.75 * 0.75);
const double kParetoDeviation = real_square_root(0.75);

}  // namespace

Jitter::Jitter(const DelayConfig& config, const longhaul::Rng& rng) : rng_(rng) {
  reconfigure(config);
}

void Jitter::reconfigure(const DelayConfig& config) {
  config_ = config;
  innovation_ = real_square_root(1 - config.correlation * config.correlation);
  if (const auto* tail = std::get_if<ParetoJitter>(&config.jitter))
    pareto_scale_ = scale_for(ns(tail->mean), ns(tail->top));
}

Duration Jitter::draw() {
  if (std::holds_alternative<NoJitter>(config_.jitter)) return config_.base;
  const double more =
      std::visit([this](const auto& jitter) { return excess(jitter); }, config_.jitter);
  return std::max(Duration{}, config_.base + rounded(more));
}

double Jitter::Chain::next(double correlation, double innovation, longhaul::Rng& rng) {
  if (correlation == 0) return rng.unit();
  const double fresh = normal_quantile(rng.unit());
  z_ = started_ ? correlation * z_ + innovation * fresh : fresh;
  started_ = true;
  // Never 1, which would be infinitely far out in a tail; rng.unit() never is, either.
  return std::min(normal_cdf(z_), 1 - 0x1.0p-53);
}

double Jitter::excess(const UniformJitter& jitter) {
  return ns(jitter.spread) * (2 * uniform() - 1);
}

double Jitter::excess(const NormalJitter& jitter) {
  return ns(jitter.sigma) * normal_quantile(uniform());
}

double Jitter::excess(const ParetoJitter& jitter) {
  return std::min(pareto_scale_ * (pareto(uniform()) - 1), ns(jitter.top));
}

double Jitter::excess(const ParetoNormalJitter& jitter) {
  const double tail = (pareto(uniform()) - kParetoMean) / kParetoDeviation;
  const double z = normal_quantile(second_chain_.next(config_.correlation, innovation_, rng_));
  return std::min(ns(jitter.sigma) * kMixScale * (0.25 * z + 0.75 * tail), ns(jitter.top));
}

double Jitter::excess(const EmpiricalJitter& jitter) {
  const auto& table = jitter.quantiles;
  if (table.size() == 1) return ns(table.front());
  const double place = uniform() * static_cast<double>(table.size() - 1);
  const auto i = std::min(static_cast<std::size_t>(place), table.size() - 2);
  return ns(table[i]) + (place - static_cast<double>(i)) * ns(table[i + 1] - table[i]);
}

Duration Jitter::least() const {
  Duration below{};
  if (const auto* uniform = std::get_if<UniformJitter>(&config_.jitter)) below = uniform->spread;
  if (const auto* normal = std::get_if<NormalJitter>(&config_.jitter)) below = 4 * normal->sigma;
  if (const auto* mixed = std::get_if<ParetoNormalJitter>(&config_.jitter))
    below = 2 * mixed->sigma;  // 1.265 * (0.25 * 4 + 0.75 * 0.577) = 1.81
  if (const auto* measured = std::get_if<EmpiricalJitter>(&config_.jitter))
    below = -measured->quantiles.front();
  return std::max(Duration{}, config_.base - below - Duration(1));
}

}  // namespace netsim
