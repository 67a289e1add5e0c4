// The arithmetic under an estimate: quantiles, and a line through arrival times. Pure.
#pragma once

#include <vector>

namespace longhaul::probe {

constexpr double kSureBounds = 1.96;  // of a normal distribution: 95 % lie within

// At probability p, between neighbours; reorders the values. Zero of none.
double quantile(std::vector<double>& values, double p);

// Microseconds a packet, by least squares over arrival times in their order, with its standard
// error by leaving out one of ten stretches at a time: neighbours are not independent.
struct Slope {
  double value = 0, error = 0;
};
Slope slope_of(const std::vector<double>& times);  // at least two

}  // namespace longhaul::probe
