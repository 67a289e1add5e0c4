// The optimizers' element-wise work on flat buffers, by the rules and in the order of operations of
// trainer/engine/optimizer.hpp and trainer/kernels.cpp: an element comes out with the same bits as
// on the CPU (nvcc is told not to contract products and sums), but for the noise, whose pow() may
// be an ulp of a double off on a GPU. w is the fp32 master copy, g the fp32 gradient, y the working
// copy that the next forward pass reads, of T (bf16, as a rule): y = w + kappa moved, or w. Each is
// written where the weight is, in the pass that makes it.
#pragma once

#include <cmath>

#include "trainer/cuda/work.hpp"
#include "trainer/kernels.hpp"

namespace longhaul::trainer::cuda {

// What a step leaves for the next forward pass; see WorkingCopy for all of it at once.
template <class T>
struct Reading {
  T* y;         // null: not kept
  float kappa;  // of the next step; 0: y is w

  LONGHAUL_BOTH void write(std::int64_t i, float w, float moved) const {
    if (y != nullptr) y[i] = rounded<T>(kappa == 0 ? w : w + kappa * moved);
  }
};

// What a step's gradient is multiplied by: a number, or what a Verdict has decided on the GPU. 0:
// the step is refused, and whoever is given it changes nothing.
class Factor {
 public:
  LONGHAUL_BOTH Factor(float value) : value_(value) {}
  LONGHAUL_BOTH explicit Factor(const float* decided) : decided_(decided) {}
  LONGHAUL_BOTH float get() const { return decided_ != nullptr ? *decided_ : value_; }

 private:
  float value_ = 1;
  const float* decided_ = nullptr;
};

// g <- g + product: a layer's gradient, made in T by a matrix product, into the fp32 sum.
template <class T>
struct GradientSum {
  const T* product;
  float* g;
  std::int64_t count;

  std::int64_t elements() const { return count; }
  LONGHAUL_BOTH void operator()(std::int64_t i) const { g[i] += to_float(product[i]); }
};

// Elements that one team takes of a buffer or a matrix; sums over it are added up piece by piece,
// so that they do not depend on the GPU.
inline constexpr std::int64_t kPiece = 1 << 14;
LONGHAUL_BOTH inline std::int64_t pieces_of(std::int64_t count) {
  return (count + kPiece - 1) / kPiece;
}

// parts[p] = sum of v^2 over the p-th piece of kPiece values: of the whole gradient, for its norm.
struct SquareSums {
  const float* values;
  float* parts;
  std::int64_t count;

  std::int64_t rows() const { return pieces_of(count); }
  template <class Team>
  LONGHAUL_BOTH void operator()(Team& team, std::int64_t piece) const {
    const std::int64_t end = (piece + 1) * kPiece < count ? (piece + 1) * kPiece : count;
    float sum = 0;
    for (std::int64_t i = piece * kPiece + team.rank(); i < end; i += team.size())
      sum += values[i] * values[i];
    const float all = team.sum(sum);
    if (team.rank() == 0) parts[piece] = all;
  }
};

// Whether a gradient is good, and how much of it clipping leaves, without a word to the host: a
// norm that is no number or over `limit` refuses the step, one over `clip` is scaled down to it.
struct Verdict {
  const double* square;  // of the norm
  double limit, clip;    // 0: none
  float* factor;
  double* told;  // [2]: the norm; 1, or 0: refused

  std::int64_t elements() const { return 1; }
  LONGHAUL_BOTH void operator()(std::int64_t) const {
    const double norm = sqrt(*square);
    const bool good = norm - norm == 0 && (limit == 0 || norm <= limit);
    const bool clips = clip > 0 && norm > clip;
    *factor = !good ? 0.0F : clips ? static_cast<float>(clip / norm) : 1.0F;
    told[0] = norm;
    told[1] = good ? 1 : 0;
  }
};

// kernels::adamw (Loshchilov and Hutter 2019, algorithm 2), of gradients times `factor` (clipping):
//   m = beta1 m + (1 - beta1) g;  v = beta2 v + (1 - beta2) g^2
//   w = w - rate * ((m / c1) / (sqrt(v / c2) + eps) + decay * w)
template <class T>
struct AdamwStep {
  float* w;
  const float* g;
  float* m;
  float* v;
  T* y;  // null: not kept
  std::int64_t count;
  kernels::AdamW rule;
  Factor factor;

  std::int64_t elements() const { return count; }
  LONGHAUL_BOTH void operator()(std::int64_t i) const {
    if (factor.get() == 0) return;
    const float gradient = g[i] * factor.get();
    const float mean = rule.beta1 * m[i] + (1.0F - rule.beta1) * gradient;
    const float square = rule.beta2 * v[i] + (1.0F - rule.beta2) * gradient * gradient;
    const float root = sqrtf(square / rule.correction2) + rule.eps;
    const float before = w[i];
    const float after = before - rule.rate * (mean / rule.correction1 / root + rule.decay * before);
    m[i] = mean;
    v[i] = square;
    w[i] = after;
    if (y != nullptr) y[i] = rounded<T>(after);
  }
};

// kernels::sign_step (Pethick et al., arXiv 2502.07529): m <- m + alpha (g - m);
// w <- (1 - shrink) w - rate sign(m).
template <class T>
struct SignStep {
  float* w;
  const float* g;
  float* m;
  float* moved;  // null: not transported
  Reading<T> reading;
  std::int64_t count;
  kernels::Sign rule;
  Factor factor;

  std::int64_t elements() const { return count; }
  LONGHAUL_BOTH void operator()(std::int64_t i) const {
    if (factor.get() == 0) return;
    const float mean = m[i] + rule.alpha * (g[i] * factor.get() - m[i]);
    const float sign = mean > 0 ? 1.0F : mean < 0 ? -1.0F : 0.0F;
    const float before = w[i];
    const float after = (1.0F - rule.shrink) * before - rule.rate * sign;
    m[i] = mean;
    w[i] = after;
    if (moved != nullptr) moved[i] = after - before;
    reading.write(i, after, moved != nullptr ? after - before : 0.0F);
  }
};

// y = w + kappa moved, or w: after a load, and around an evaluation, which is at w.
template <class T>
struct WorkingCopy {
  const float* w;
  const float* moved;  // null, or kappa 0: w
  T* y;
  std::int64_t count;
  float kappa;

  std::int64_t elements() const { return count; }
  LONGHAUL_BOTH void operator()(std::int64_t i) const {
    y[i] = rounded<T>(moved == nullptr || kappa == 0 ? w[i] : w[i] + kappa * moved[i]);
  }
};

// kernels::add_heavy_tailed: g_i += scale x_i, x_i symmetric Pareto type II of (seed, step, i).
struct HeavyTailedNoise {
  float* g;
  std::int64_t first, count;  // g is element `first` of the whole gradient
  kernels::Noise noise;

  std::int64_t elements() const { return count; }
  LONGHAUL_BOTH static std::uint64_t mixed(std::uint64_t x) {  // SplitMix64's finisher
    x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9U;
    x = (x ^ (x >> 27)) * 0x94d049bb133111ebU;
    return x ^ (x >> 31);
  }
  LONGHAUL_BOTH void operator()(std::int64_t i) const {
    constexpr std::uint64_t kGolden = 0x9e3779b97f4a7c15U;
    const std::uint64_t key = mixed(noise.seed ^ mixed(noise.step + kGolden));
    const std::uint64_t bits = mixed(key + static_cast<std::uint64_t>(first + i) * kGolden);
    const double unit = (static_cast<double>(bits >> 11) + 0.5) * 0x1p-53;
    const double size = pow(unit, -1.0 / static_cast<double>(noise.alpha)) - 1.0;
    g[i] += static_cast<float>((bits & 1) != 0 ? size : -size) * noise.scale;
  }
};

template <class T>
void run(Stream stream, const GradientSum<T>& work);
void run(Stream stream, const SquareSums& work);
void run(Stream stream, const Verdict& work);
template <class T>
void run(Stream stream, const AdamwStep<T>& work);
template <class T>
void run(Stream stream, const SignStep<T>& work);
template <class T>
void run(Stream stream, const WorkingCopy<T>& work);
void run(Stream stream, const HeavyTailedNoise& work);

}  // namespace longhaul::trainer::cuda
