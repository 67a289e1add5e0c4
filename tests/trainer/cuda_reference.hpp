// What trainer/cuda's kernels are held against: their equations in double precision, written anew
// and one element after the other, and slopes by central differences. Shares nothing with them.
#pragma once

#include <cmath>
#include <cstdint>
#include <vector>

namespace longhaul::trainer::reference {

using Values = std::vector<double>;

inline Values rms_norm(const Values& x, const Values& gain, double eps) {  // one row
  double squares = 0;
  for (const double value : x) squares += value * value;
  const double root = std::sqrt(squares / static_cast<double>(x.size()) + eps);
  Values out;
  for (std::size_t i = 0; i < x.size(); ++i) out.push_back(x[i] / root * gain[i]);
  return out;
}

inline Values swiglu(const Values& gate_up) {  // one row: gate, then up
  const std::size_t width = gate_up.size() / 2;
  Values out;
  for (std::size_t i = 0; i < width; ++i)
    out.push_back(gate_up[i] / (1 + std::exp(-gate_up[i])) * gate_up[width + i]);
  return out;
}

// One head at a position, by its angle: pair i turns by position * theta^(-i / half).
inline Values rope(const Values& head, std::int64_t position, double theta) {
  const std::size_t half = head.size() / 2;
  Values out(head.size());
  for (std::size_t i = 0; i < half; ++i) {
    const double angle =
        static_cast<double>(position) *
        std::exp(-std::log(theta) * static_cast<double>(i) / static_cast<double>(half));
    out[i] = head[i] * std::cos(angle) - head[half + i] * std::sin(angle);
    out[half + i] = head[half + i] * std::cos(angle) + head[i] * std::sin(angle);
  }
  return out;
}

inline double cross_entropy(const Values& logits, std::size_t target) {  // one row
  double most = logits[0], sum = 0;
  for (const double logit : logits) most = std::fmax(most, logit);
  for (const double logit : logits) sum += std::exp(logit - most);
  return most - logits[target] + std::log(sum);
}

// d f(x) / d x_i for every i.
template <class F>
Values slopes(F&& f, Values x) {
  constexpr double kStep = 1e-5;
  Values out;
  for (double& value : x) {
    const double at = value;
    value = at + kStep;
    const double above = f(x);
    value = at - kStep;
    const double below = f(x);
    value = at;
    out.push_back((above - below) / (2 * kStep));
  }
  return out;
}

inline double product(const Values& a, const Values& b) {
  double sum = 0;
  for (std::size_t i = 0; i < a.size(); ++i) sum += a[i] * b[i];
  return sum;
}

}  // namespace longhaul::trainer::reference
