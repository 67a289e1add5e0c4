#include "trainer/kernels.hpp"

#include <algorithm>
#include <bit>
#include <cmath>
#include <limits>
#include <vector>

// Compiled once for each of three instruction sets and chosen at load: one binary travels.
#if defined(__GNUC__) && !defined(__clang__) && defined(__x86_64__)
#define LONGHAUL_CLONES [[gnu::target_clones("arch=skylake-avx512", "arch=haswell", "default")]]
#else
#define LONGHAUL_CLONES
#endif

namespace longhaul::trainer::kernels {
namespace {

constexpr std::int64_t kLanes = 16;

// e^x by a polynomial of degree 6 on [-ln2/2, ln2/2] (Cephes); 2 ulp. Written so that a loop over
// it becomes vector code, which a call into libm does not.
[[gnu::always_inline]] inline float exp_fast(float x) {
  x = std::min(88.0F, std::max(-87.0F, x));
  constexpr float kRound = 12582912.0F;  // 1.5 * 2^23: adding it rounds to the nearest whole number
  const float n = (x * 1.44269504F + kRound) - kRound;
  const float r = (x - n * 0.693359375F) + n * 2.12194440e-4F;
  float p = 1.9875691500e-4F;
  p = p * r + 1.3981999507e-3F;
  p = p * r + 8.3334519073e-3F;
  p = p * r + 4.1665795894e-2F;
  p = p * r + 1.6666665459e-1F;
  p = p * r + 5.0000001201e-1F;
  p = p * r * r + r + 1.0F;
  const auto exponent = static_cast<std::int32_t>(n) + 127;
  return p * std::bit_cast<float>(exponent << 23);
}

[[gnu::always_inline]] inline float sum_lanes(const float (&lanes)[kLanes]) {
  float sum = 0;
  for (std::int64_t k = 0; k < kLanes; ++k) sum += lanes[k];
  return sum;
}

template <class Term>
[[gnu::always_inline]] inline float sum_of(std::int64_t n, Term&& term) {
  float lanes[kLanes] = {};
  std::int64_t i = 0;
  for (; i + kLanes <= n; i += kLanes)
    for (std::int64_t k = 0; k < kLanes; ++k) lanes[k] += term(i + k);
  for (std::int64_t k = 0; i < n; ++i, ++k) lanes[k] += term(i);
  return sum_lanes(lanes);
}

[[gnu::always_inline]] inline float max_of(const float* values, std::int64_t n) {
  float lanes[kLanes];
  std::fill(lanes, lanes + kLanes, -std::numeric_limits<float>::infinity());
  std::int64_t i = 0;
  for (; i + kLanes <= n; i += kLanes)
    for (std::int64_t k = 0; k < kLanes; ++k)
      lanes[k] = values[i + k] > lanes[k] ? values[i + k] : lanes[k];
  for (std::int64_t k = 0; i < n; ++i, ++k) lanes[k] = values[i] > lanes[k] ? values[i] : lanes[k];
  return *std::max_element(lanes, lanes + kLanes);
}

[[gnu::always_inline]] inline float sigmoid(float x) {
  return 1.0F / (1.0F + exp_fast(-x));
}

std::uint64_t mixed(std::uint64_t x) {  // SplitMix64's finisher
  x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9U;
  x = (x ^ (x >> 27)) * 0x94d049bb133111ebU;
  return x ^ (x >> 31);
}

}  // namespace

LONGHAUL_CLONES void rms_norm(const float* x, const float* gain, float* y, float* rstd, Rows rows,
                              double eps) {
  for (std::int64_t r = 0; r < rows.count; ++r, x += rows.width, y += rows.width) {
    const float sum = sum_of(rows.width, [x](std::int64_t i) { return x[i] * x[i]; });
    const float scale = static_cast<float>(
        1.0 / std::sqrt(static_cast<double>(sum) / static_cast<double>(rows.width) + eps));
    rstd[r] = scale;
    for (std::int64_t i = 0; i < rows.width; ++i) y[i] = x[i] * scale * gain[i];
  }
}

LONGHAUL_CLONES void rms_norm_again(const float* x, const float* gain, const float* rstd, float* y,
                                    Rows rows) {
  for (std::int64_t r = 0; r < rows.count; ++r, x += rows.width, y += rows.width)
    for (std::int64_t i = 0; i < rows.width; ++i) y[i] = x[i] * rstd[r] * gain[i];
}

// With n = x * rstd: dx = rstd * (g dy - n mean(g dy n)), dgain = sum of dy n.
LONGHAUL_CLONES void rms_norm_backward(const float* dy, const float* x, const float* gain,
                                       const float* rstd, float* dx, float* dgain, Rows rows) {
  const auto w = rows.width;
  for (std::int64_t r = 0; r < rows.count; ++r, dy += w, x += w, dx += w) {
    const float scale = rstd[r];
    const float along = sum_of(w, [=](std::int64_t i) { return gain[i] * dy[i] * x[i]; });
    const float back = along * scale * scale / static_cast<float>(w);
    for (std::int64_t i = 0; i < w; ++i) {
      dx[i] += scale * (gain[i] * dy[i] - x[i] * back);
      dgain[i] += dy[i] * x[i] * scale;
    }
  }
}

void rope_table(float* cosines, float* sines, std::int64_t positions, std::int64_t head_dim,
                double theta) {
  const std::int64_t half = head_dim / 2;
  for (std::int64_t p = 0; p < positions; ++p)
    for (std::int64_t i = 0; i < half; ++i) {
      const double angle = static_cast<double>(p) *
                           std::pow(theta, -static_cast<double>(i) / static_cast<double>(half));
      cosines[p * half + i] = static_cast<float>(std::cos(angle));
      sines[p * half + i] = static_cast<float>(std::sin(angle));
    }
}

LONGHAUL_CLONES void rope(float* data, const float* cosines, const float* sines, std::int64_t rows,
                          const RopeShape& shape, int direction) {
  const std::int64_t half = shape.head_dim / 2;
  const auto sign = static_cast<float>(direction);
  for (std::int64_t r = 0; r < rows; ++r) {
    const std::int64_t position = (shape.first_row + r) % shape.positions;
    const float* c = cosines + position * half;
    const float* s = sines + position * half;
    for (std::int64_t h = 0; h < shape.heads; ++h) {
      float* a = data + r * shape.stride + h * shape.head_dim;
      float* b = a + half;
      for (std::int64_t i = 0; i < half; ++i) {
        const float turn = sign * s[i], first = a[i], second = b[i];
        a[i] = first * c[i] - second * turn;
        b[i] = second * c[i] + first * turn;
      }
    }
  }
}

LONGHAUL_CLONES void swiglu(const float* gate_up, float* out, Rows rows) {
  for (std::int64_t r = 0; r < rows.count; ++r) {
    const float* gate = gate_up + r * 2 * rows.width;
    const float* up = gate + rows.width;
    float* y = out + r * rows.width;
    for (std::int64_t i = 0; i < rows.width; ++i) y[i] = gate[i] * sigmoid(gate[i]) * up[i];
  }
}

LONGHAUL_CLONES void swiglu_backward(const float* dout, float* gate_up, Rows rows) {
  for (std::int64_t r = 0; r < rows.count; ++r) {
    float* gate = gate_up + r * 2 * rows.width;
    float* up = gate + rows.width;
    const float* dy = dout + r * rows.width;
    for (std::int64_t i = 0; i < rows.width; ++i) {
      const float g = gate[i], s = sigmoid(g), u = up[i];
      up[i] = dy[i] * g * s;
      gate[i] = dy[i] * u * s * (1.0F + g * (1.0F - s));
    }
  }
}

LONGHAUL_CLONES void causal_softmax(float* scores, float* lse, Rows rows, std::int64_t first,
                                    float scale) {
  for (std::int64_t r = 0; r < rows.count; ++r, scores += rows.width) {
    const std::int64_t n = std::min(first + r + 1, rows.width);
    const float top = max_of(scores, n) * scale;  // scale > 0
    for (std::int64_t i = 0; i < n; ++i) scores[i] = exp_fast(scores[i] * scale - top);
    const float sum = sum_of(n, [scores](std::int64_t i) { return scores[i]; });
    const float share = 1.0F / sum;
    for (std::int64_t i = 0; i < n; ++i) scores[i] *= share;
    std::fill(scores + n, scores + rows.width, 0.0F);
    lse[r] = top + std::log(sum);
  }
}

LONGHAUL_CLONES void causal_softmax_again(float* scores, const float* lse, Rows rows,
                                          std::int64_t first, float scale) {
  for (std::int64_t r = 0; r < rows.count; ++r, scores += rows.width) {
    const std::int64_t n = std::min(first + r + 1, rows.width);
    const float sum = lse[r];
    for (std::int64_t i = 0; i < n; ++i) scores[i] = exp_fast(scores[i] * scale - sum);
    std::fill(scores + n, scores + rows.width, 0.0F);
  }
}

LONGHAUL_CLONES void softmax_backward(const float* p, const float* delta, float* dp, Rows rows,
                                      float scale) {
  for (std::int64_t r = 0; r < rows.count; ++r, p += rows.width, dp += rows.width)
    for (std::int64_t i = 0; i < rows.width; ++i) dp[i] = p[i] * (dp[i] - delta[r]) * scale;
}

LONGHAUL_CLONES double cross_entropy(float* logits, const std::int64_t* targets, Rows rows,
                                     float scale) {
  double loss = 0;
  std::vector<float> kept(scale == 0 ? static_cast<std::size_t>(rows.width) : 0);
  for (std::int64_t r = 0; r < rows.count; ++r, logits += rows.width) {
    const float top = max_of(logits, rows.width);
    const float wanted = logits[targets[r]];
    float* out = scale == 0 ? kept.data() : logits;
    for (std::int64_t i = 0; i < rows.width; ++i) out[i] = exp_fast(logits[i] - top);
    const float sum = sum_of(rows.width, [out](std::int64_t i) { return out[i]; });
    loss +=
        static_cast<double>(top) + std::log(static_cast<double>(sum)) - static_cast<double>(wanted);
    if (scale == 0) continue;
    const float share = scale / sum;
    for (std::int64_t i = 0; i < rows.width; ++i) logits[i] *= share;
    logits[targets[r]] -= scale;
  }
  return loss;
}

LONGHAUL_CLONES double dot(const float* a, const float* b, std::int64_t n) {
  constexpr std::int64_t kPiece = 4096;
  double sum = 0;
  for (std::int64_t at = 0; at < n; at += kPiece) {
    const float* p = a + at;
    const float* q = b + at;
    sum += static_cast<double>(
        sum_of(std::min(kPiece, n - at), [=](std::int64_t i) { return p[i] * q[i]; }));
  }
  return sum;
}

LONGHAUL_CLONES void add(const float* a, float* out, std::int64_t n) {
  for (std::int64_t i = 0; i < n; ++i) out[i] += a[i];
}

LONGHAUL_CLONES void scale(float* values, float factor, std::int64_t n) {
  for (std::int64_t i = 0; i < n; ++i) values[i] *= factor;
}

LONGHAUL_CLONES void lerp(const float* to, float* values, float weight, std::int64_t n) {
  for (std::int64_t i = 0; i < n; ++i) values[i] += weight * (to[i] - values[i]);
}

LONGHAUL_CLONES void adamw(float* w, const float* g, float* m, float* v, std::int64_t n,
                           const AdamW& step) {
  const AdamW s = step;
  for (std::int64_t i = 0; i < n; ++i) {
    m[i] = s.beta1 * m[i] + (1.0F - s.beta1) * g[i];
    v[i] = s.beta2 * v[i] + (1.0F - s.beta2) * g[i] * g[i];
    const float mean = m[i] / s.correction1;
    const float root = std::sqrt(v[i] / s.correction2) + s.eps;
    w[i] -= s.rate * (mean / root + s.decay * w[i]);
  }
}

LONGHAUL_CLONES void apply_update(float* w, const float* update, float* moved, std::int64_t n,
                                  float keep, float rate) {
  if (moved == nullptr) {
    for (std::int64_t i = 0; i < n; ++i) w[i] = keep * w[i] - rate * update[i];
    return;
  }
  for (std::int64_t i = 0; i < n; ++i) {
    const float before = w[i];
    w[i] = keep * before - rate * update[i];
    moved[i] = w[i] - before;
  }
}

LONGHAUL_CLONES void extrapolate(const float* w, const float* moved, float* y, std::int64_t n,
                                 float kappa) {
  if (kappa == 0) {
    std::copy_n(w, n, y);
    return;
  }
  for (std::int64_t i = 0; i < n; ++i) y[i] = w[i] + kappa * moved[i];
}

LONGHAUL_CLONES void blend(const float* a, const float* b, float* out, std::int64_t n,
                           float weight) {
  for (std::int64_t i = 0; i < n; ++i) out[i] = (1.0F - weight) * a[i] + weight * b[i];
}

LONGHAUL_CLONES void sign_step(float* w, const float* g, float* m, std::int64_t n,
                               const Sign& step) {
  const Sign s = step;
  for (std::int64_t i = 0; i < n; ++i) {
    m[i] += s.alpha * (g[i] - m[i]);
    const float sign = m[i] > 0 ? 1.0F : m[i] < 0 ? -1.0F : 0.0F;
    w[i] = (1.0F - s.shrink) * w[i] - s.rate * sign;
  }
}

void add_heavy_tailed(float* g, std::uint64_t first, std::int64_t n, const Noise& noise) {
  const std::uint64_t key = mixed(noise.seed ^ mixed(noise.step + 0x9e3779b97f4a7c15U));
  const double power = -1.0 / static_cast<double>(noise.alpha);
  for (std::int64_t i = 0; i < n; ++i) {
    const std::uint64_t bits =
        mixed(key + (first + static_cast<std::uint64_t>(i)) * 0x9e3779b97f4a7c15U);
    const double unit = (static_cast<double>(bits >> 11) + 0.5) * 0x1p-53;  // in (0, 1)
    const double size = std::pow(unit, power) - 1.0;
    g[i] += static_cast<float>((bits & 1) != 0 ? size : -size) * noise.scale;
  }
}

}  // namespace longhaul::trainer::kernels
