#include "lib/probe/fit.hpp"

#include <algorithm>
#include <cmath>

namespace longhaul::probe {

double quantile(std::vector<double>& values, double p) {
  if (values.empty()) return 0;
  const double at = p * static_cast<double>(values.size() - 1);
  const auto low = static_cast<std::size_t>(at);
  const auto nth = values.begin() + static_cast<std::ptrdiff_t>(low);
  std::nth_element(values.begin(), nth, values.end());
  if (low + 1 >= values.size()) return *nth;
  const double first = *nth;
  const double second = *std::min_element(nth + 1, values.end());
  return first + (second - first) * (at - static_cast<double>(low));
}

namespace {

class SlopeSums {
 public:
  void add(double x, double y, double sign = 1) {
    n_ += sign, x_ += sign * x, y_ += sign * y, xx_ += sign * x * x, xy_ += sign * x * y;
  }
  double slope() const {
    const double across = xx_ - x_ * x_ / n_;
    return across > 0 ? (xy_ - x_ * y_ / n_) / across : 0;
  }

 private:
  double n_ = 0, x_ = 0, y_ = 0, xx_ = 0, xy_ = 0;
};

}  // namespace

Slope slope_of(const std::vector<double>& times) {
  SlopeSums all;
  const double zero = times.front();
  const auto x_of = [](std::size_t i) { return static_cast<double>(i); };
  for (std::size_t i = 0; i < times.size(); ++i) all.add(x_of(i), times[i] - zero);
  Slope out{all.slope(), 0};
  const std::size_t blocks = std::min<std::size_t>(10, times.size() / 2);
  double squares = 0;
  for (std::size_t b = 0; b < blocks; ++b) {
    SlopeSums rest = all;
    for (std::size_t i = b * times.size() / blocks; i < (b + 1) * times.size() / blocks; ++i)
      rest.add(x_of(i), times[i] - zero, -1);
    squares += std::pow(rest.slope() - out.value, 2);
  }
  const double count = static_cast<double>(blocks);
  out.error = std::sqrt(squares * (count - 1) / count);
  return out;
}

}  // namespace longhaul::probe
