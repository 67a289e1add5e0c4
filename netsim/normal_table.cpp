#include "netsim/normal_table.hpp"

#include <algorithm>
#include <array>
#include <cstddef>

namespace netsim {
namespace {

constexpr std::size_t kCells = 1024;
constexpr double kStep = kNormalCut / kCells;
using Table =
    std::array<double, kCells + 1>;  // P(0 <= Z <= i * kStep), scaled so that the last is 1/2

constexpr double exponential(double x) {  // for |x| < 0.1
  double term = 1, sum = 1;
  for (int n = 1; n < 12; ++n) sum += term *= x / n;
  return sum;
}

// Simpson's rule on exp(-z^2 / 2), whose value at the next half step is this one times a factor
// that itself shrinks by a constant factor.
Table make_table() {
  constexpr double kHalf = kStep / 2;
  const double shrink = exponential(-kHalf * kHalf);
  double density = 1, factor = exponential(-kHalf * kHalf / 2);
  const auto next_density = [&] {
    density *= factor;
    factor *= shrink;
    return density;
  };
  Table table{};
  for (std::size_t i = 0; i < kCells; ++i) {
    const double left = density;
    const double middle = next_density();
    const double right = next_density();
    table[i + 1] = table[i] + (left + 4 * middle + right);
  }
  const double scale = 0.5 / table[kCells];
  for (double& value : table) value *= scale;
  return table;
}

const Table& table() {
  static const Table kTable = make_table();
  return kTable;
}

}  // namespace

double normal_quantile(double u) {
  const Table& cdf = table();
  const bool low = u < 0.5;
  const double p = std::clamp(low ? 0.5 - u : u - 0.5, 0.0, 0.5);
  const auto above = std::upper_bound(cdf.begin(), cdf.end(), p);
  if (above == cdf.end()) return low ? -kNormalCut : kNormalCut;
  const auto i = static_cast<std::size_t>(above - cdf.begin()) - 1;
  const double z = (static_cast<double>(i) + (p - cdf[i]) / (cdf[i + 1] - cdf[i])) * kStep;
  return low ? -z : z;
}

double normal_cdf(double z) {
  const Table& cdf = table();
  const double cells = std::min((z < 0 ? -z : z), kNormalCut) / kStep;
  const auto i = std::min(static_cast<std::size_t>(cells), kCells - 1);
  const double p = cdf[i] + (cells - static_cast<double>(i)) * (cdf[i + 1] - cdf[i]);
  return z < 0 ? 0.5 - p : 0.5 + p;
}

}  // namespace netsim
