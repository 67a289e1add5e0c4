// RMSNorm (Zhang and Sennrich 2019), with the residual stream's addition before it, and its way
// back. Activations T, fp32 or bf16; gains, sums and what is kept are fp32.
#pragma once

#include <cmath>

#include "trainer/cuda/work.hpp"

namespace longhaul::trainer::cuda {

// s = x + added, where added is given, else s = x;  y = s / sqrt(mean(s^2) + eps) * gain.
// s is written to `sum` (which may be x or added) as an element is, and normalised as written.
// rstd [rows] keeps 1 / sqrt(..).
template <class T>
struct RmsNorm {
  const T* x;
  const T* added;  // null: none, and sum is not written
  T* sum;
  const float* gain;  // [width]
  T* y;
  float* rstd;
  std::int64_t count, width;
  float eps;

  std::int64_t rows() const { return count; }
  template <class Team>
  LONGHAUL_BOTH void operator()(Team& team, std::int64_t row) const {
    const std::int64_t first = row * width;
    float squares = 0;
    for (std::int64_t i = team.rank(); i < width; i += team.size()) {
      T value = x[first + i];
      if (added != nullptr) {
        value = rounded<T>(to_float(value) + to_float(added[first + i]));
        sum[first + i] = value;
      }
      squares += to_float(value) * to_float(value);
    }
    const float scale = 1.0F / sqrtf(team.sum(squares) / static_cast<float>(width) + eps);
    if (team.rank() == 0) rstd[row] = scale;
    const T* from = added != nullptr ? sum : x;  // each thread reads what it has read or written
    for (std::int64_t i = team.rank(); i < width; i += team.size())
      y[first + i] = rounded<T>(to_float(from[first + i]) * scale * gain[i]);
  }
};

// The same from a kept rstd: recomputing y is cheaper than keeping it. x is s above.
template <class T>
struct RmsNormAgain {
  const T* x;
  const float* gain;
  const float* rstd;
  T* y;
  std::int64_t count, width;

  std::int64_t rows() const { return count; }
  template <class Team>
  LONGHAUL_BOTH void operator()(Team& team, std::int64_t row) const {
    const std::int64_t first = row * width;
    const float scale = rstd[row];
    for (std::int64_t i = team.rank(); i < width; i += team.size())
      y[first + i] = rounded<T>(to_float(x[first + i]) * scale * gain[i]);
  }
};

// With g = gain * dy:  dx += rstd * (g - x rstd^2 mean(g x));  dgain = sum over rows of dy x rstd.
// Row r is strip r % strips's; a strip's share of dgain goes to gain_parts [strips, width], which
// SumOfParts adds up, in order: the same bits each time.
inline constexpr std::int64_t kGainStrips = 512;  // some four blocks a multiprocessor
template <class T>
struct RmsNormBackward {
  const T* dy;
  const T* x;
  const float* gain;
  const float* rstd;
  T* dx;
  float* gain_parts;
  std::int64_t count, width;  // width <= kScratchFloats

  LONGHAUL_BOTH std::int64_t rows() const { return count < kGainStrips ? count : kGainStrips; }
  template <class Team>
  LONGHAUL_BOTH void operator()(Team& team, std::int64_t strip) const {
    float* share = team.scratch();  // a thread touches its own places only
    for (std::int64_t i = team.rank(); i < width; i += team.size()) share[i] = 0;
    for (std::int64_t row = strip; row < count; row += rows()) {
      const std::int64_t first = row * width;
      float along = 0;
      for (std::int64_t i = team.rank(); i < width; i += team.size())
        along += gain[i] * to_float(dy[first + i]) * to_float(x[first + i]);
      const float scale = rstd[row];
      const float back = team.sum(along) * scale * scale / static_cast<float>(width);
      for (std::int64_t i = team.rank(); i < width; i += team.size()) {
        const float dy_i = to_float(dy[first + i]), x_i = to_float(x[first + i]);
        dx[first + i] = rounded<T>(to_float(dx[first + i]) + scale * (gain[i] * dy_i - x_i * back));
        share[i] += dy_i * x_i * scale;
      }
    }
    for (std::int64_t i = team.rank(); i < width; i += team.size())
      gain_parts[strip * width + i] = share[i];
  }
};

// out[i] += parts[0][i] + parts[1][i] + .., in eight sums side by side, so that a thread has eight
// reads on their way at once.
struct SumOfParts {
  const float* parts;  // [count, width]
  float* out;
  std::int64_t count, width;

  std::int64_t elements() const { return width; }
  LONGHAUL_BOTH void operator()(std::int64_t i) const {
    constexpr int kSums = 8;
    float sums[kSums] = {};
    std::int64_t part = 0;
    for (; part + kSums <= count; part += kSums)
      for (int k = 0; k < kSums; ++k) sums[k] += parts[(part + k) * width + i];
    for (int k = 0; part < count; ++part, ++k) sums[k] += parts[part * width + i];
    float all = 0;
    for (int k = 0; k < kSums; ++k) all += sums[k];
    out[i] += all;
  }
};

template <class T>
void run(Stream stream, const RmsNorm<T>& work);
template <class T>
void run(Stream stream, const RmsNormAgain<T>& work);
template <class T>
void run(Stream stream, const RmsNormBackward<T>& work);
void run(Stream stream, const SumOfParts& work);

}  // namespace longhaul::trainer::cuda
