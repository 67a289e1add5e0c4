// The tests of trainer/cuda's works, for any machine and element: cuda_host_test.cpp runs them on
// the CPU, cuda_gpu_test.cpp on a GPU. References: cuda_reference.hpp in double; for the
// optimizers' steps trainer/kernels.cpp, with the same bits.
#pragma once

#include <gtest/gtest.h>

#include <algorithm>
#include <limits>

#include "lib/base/rng.hpp"
#include "tests/trainer/cuda_machines.hpp"
#include "tests/trainer/cuda_reference.hpp"
#include "trainer/cuda/layers.hpp"
#include "trainer/cuda/loss.hpp"
#include "trainer/cuda/matrices.hpp"
#include "trainer/cuda/norm.hpp"

namespace longhaul::trainer::cuda {

template <class M, class T>
struct On {
  using Machine = M;
  using Element = T;
};

template <class Where>
class CudaWork : public testing::Test {
 protected:
  using Element = typename Where::Element;
  using Floats = std::vector<float>;
  using Elements = std::vector<Element>;

  void SetUp() override {
    if (const auto why = Where::Machine::missing()) GTEST_SKIP() << *why;
    machine = std::make_unique<typename Where::Machine>();
  }

  Floats floats(std::size_t count, double size = 1) {  // in (-3 size, 3 size), most near 0
    Floats out(count);
    for (float& value : out)
      value = static_cast<float>(2 * size * (rng.unit() + rng.unit() + rng.unit() - 1.5));
    return out;
  }
  Elements elements(std::size_t count, double size = 1) {
    Elements out;
    for (const float value : floats(count, size)) out.push_back(rounded<Element>(value));
    return out;
  }
  template <class U>
  static reference::Values doubles(const std::vector<U>& values, std::size_t first,
                                   std::size_t count) {
    reference::Values out;
    for (std::size_t i = first; i < first + count; ++i)
      out.push_back(static_cast<double>(to_float(values[i])));
    return out;
  }
  // An element's own rounding (2^-9 of bf16, 2^-24 of fp32), and of sums and products before it.
  static double tolerance(double value, double size) {
    return sizeof(Element) == 2 ? std::abs(value) / 240 + size * 1e-5 : size * 4e-6;
  }
  template <class U>
  static void expect_near(const std::vector<U>& got, std::size_t first,
                          const reference::Values& want, const char* what) {
    double size = 0;
    for (const double value : want) size = std::max(size, std::abs(value));
    for (std::size_t i = 0; i < want.size(); ++i)
      ASSERT_NEAR(static_cast<double>(to_float(got[first + i])), want[i], tolerance(want[i], size))
          << what << " at " << first + i;
  }
  template <class U>
  static void expect_same_bits(const std::vector<U>& got, const std::vector<U>& want,
                               const char* what) {
    ASSERT_EQ(got.size(), want.size());
    for (std::size_t i = 0; i < got.size(); ++i)
      ASSERT_EQ(std::memcmp(&got[i], &want[i], sizeof(U)), 0)
          << what << " at " << i << ": " << to_float(got[i]) << ", not " << to_float(want[i]);
  }
  static Elements rounded_all(const Floats& values) {
    Elements out;
    for (const float value : values) out.push_back(rounded<Element>(value));
    return out;
  }

  Rng rng{7, "cuda.works"};
  std::unique_ptr<typename Where::Machine> machine;
};
TYPED_TEST_SUITE_P(CudaWork);

// Widths below, at and over a block's threads, and one that is no multiple of anything.
inline constexpr std::size_t kWidths[] = {3, 64, 256, 1001};

TYPED_TEST_P(CudaWork, RmsNormIsItsEquation) {
  using T = typename TypeParam::Element;
  for (const std::size_t width : kWidths) {
    const std::size_t rows = 5;
    const auto x = this->elements(rows * width);
    const auto gain = this->floats(width);
    T* const y = this->machine->put(x);
    float* const rstd = this->machine->put(std::vector<float>(rows));
    this->machine->go(RmsNorm<T>{this->machine->put(x), nullptr, nullptr, this->machine->put(gain),
                                 y, rstd, std::int64_t(rows), std::int64_t(width), 1e-5F});
    const auto got = this->machine->get(y, rows * width);
    for (std::size_t r = 0; r < rows; ++r)
      this->expect_near(got, r * width,
                        reference::rms_norm(this->doubles(x, r * width, width),
                                            this->doubles(gain, 0, width), 1e-5),
                        "y");
    T* const again = this->machine->put(x);
    this->machine->go(RmsNormAgain<T>{this->machine->put(x), this->machine->put(gain), rstd, again,
                                      std::int64_t(rows), std::int64_t(width)});
    this->expect_same_bits(this->machine->get(again, rows * width), got, "y again");
  }
}

TYPED_TEST_P(CudaWork, RmsNormAddsTheResidualFirstAlsoInPlace) {
  using T = typename TypeParam::Element;
  const std::size_t rows = 4, width = 301;
  const auto x = this->elements(rows * width), added = this->elements(rows * width);
  const auto gain = this->floats(width);
  T* const stream = this->machine->put(x);
  T* const y = this->machine->put(x);
  this->machine->go(RmsNorm<T>{stream, this->machine->put(added), stream, this->machine->put(gain),
                               y, this->machine->put(std::vector<float>(rows)), std::int64_t(rows),
                               std::int64_t(width), 1e-5F});
  std::vector<T> sum;
  for (std::size_t i = 0; i < x.size(); ++i)
    sum.push_back(rounded<T>(to_float(x[i]) + to_float(added[i])));
  this->expect_same_bits(this->machine->get(stream, x.size()), sum, "sum");
  const auto got = this->machine->get(y, x.size());
  for (std::size_t r = 0; r < rows; ++r)
    this->expect_near(got, r * width,
                      reference::rms_norm(this->doubles(sum, r * width, width),
                                          this->doubles(gain, 0, width), 1e-5),
                      "y");
}

// Fewer rows than strips, and more, so that a strip has several and some have one more.
TYPED_TEST_P(CudaWork, RmsNormsWayBackIsItsSlope) {
  using T = typename TypeParam::Element;
  const std::size_t width = 9;
  for (const std::size_t rows : {std::size_t(13), std::size_t(1100)}) {
    const auto x = this->elements(rows * width), dy = this->elements(rows * width),
               before = this->elements(rows * width);
    const auto gain = this->floats(width);
    const auto count = std::int64_t(rows), wide = std::int64_t(width);
    float* const rstd = this->machine->put(std::vector<float>(rows));
    T* const dx = this->machine->put(before);
    const auto start = this->floats(width);
    float* const dgain = this->machine->put(start);
    float* const parts = this->machine->put(std::vector<float>(std::size_t(kGainStrips) * width));
    const T* const at = this->machine->put(x);
    const float* const gains = this->machine->put(gain);
    this->machine->go(
        RmsNorm<T>{at, nullptr, nullptr, gains, this->machine->put(x), rstd, count, wide, 1e-5F});
    const RmsNormBackward<T> work{this->machine->put(dy), at, gains, rstd, dx, parts, count, wide};
    this->machine->go(work);
    this->machine->go(SumOfParts{parts, dgain, work.rows(), wide});
    const auto got = this->machine->get(dx, rows * width);
    reference::Values gain_slopes = this->doubles(start, 0, width);
    for (std::size_t r = 0; r < rows; ++r) {
      const auto x_row = this->doubles(x, r * width, width), g = this->doubles(gain, 0, width),
                 dy_row = this->doubles(dy, r * width, width);
      auto want = reference::slopes(
          [&](const reference::Values& v) {
            return reference::product(reference::rms_norm(v, g, 1e-5), dy_row);
          },
          x_row);
      for (std::size_t i = 0; i < width; ++i)
        want[i] += static_cast<double>(to_float(before[r * width + i]));
      this->expect_near(got, r * width, want, "dx");
      const auto ones = reference::rms_norm(x_row, reference::Values(width, 1), 1e-5);
      for (std::size_t i = 0; i < width; ++i) gain_slopes[i] += dy_row[i] * ones[i];
    }
    this->expect_near(this->machine->get(dgain, width), 0, gain_slopes, "dgain");
  }
}

TYPED_TEST_P(CudaWork, RopeTurnsEachPairByItsAngleAndBack) {
  using T = typename TypeParam::Element;
  const int heads = 3, head_dim = 10;
  const std::size_t rows = 11, stride = 37, positions = 4;  // heads take 30 of a row's 37
  const auto data = this->elements(rows * stride);
  std::vector<float> cosines(positions * 5), sines(positions * 5);
  kernels::rope_table(cosines.data(), sines.data(), std::int64_t(positions), head_dim, 1e4);
  T* const at = this->machine->put(data);
  Rope<T> work{at,
               this->machine->put(cosines),
               this->machine->put(sines),
               std::int64_t(rows),
               std::int64_t(stride),
               heads,
               head_dim,
               std::int64_t(positions),
               1};
  this->machine->go(work);
  const auto got = this->machine->get(at, data.size());
  for (std::size_t r = 0; r < rows; ++r) {
    for (std::size_t h = 0; h < 3; ++h)
      this->expect_near(got, r * stride + h * 10,
                        reference::rope(this->doubles(data, r * stride + h * 10, 10),
                                        std::int64_t(r % positions), 1e4),
                        "turned");
    for (std::size_t i = 30; i < stride; ++i)
      EXPECT_EQ(to_float(got[r * stride + i]), to_float(data[r * stride + i]));
  }
  work.direction = -1;
  this->machine->go(work);
  const auto back = this->machine->get(at, data.size());
  for (std::size_t i = 0; i < data.size(); ++i)  // two roundings of elements up to 3
    ASSERT_NEAR(to_float(back[i]), to_float(data[i]), sizeof(T) == 2 ? 0.03 : 1e-6);
}

TYPED_TEST_P(CudaWork, SwigluAndItsWayBack) {
  using T = typename TypeParam::Element;
  for (const std::size_t width : {std::size_t(7), std::size_t(600)}) {
    const std::size_t rows = 3;
    const auto gate_up = this->elements(rows * 2 * width, 2), dout = this->elements(rows * width);
    T* const at = this->machine->put(gate_up);
    T* const out = this->machine->put(dout);
    this->machine->go(Swiglu<T>{at, out, std::int64_t(rows), std::int64_t(width)});
    this->machine->go(
        SwigluBackward<T>{this->machine->put(dout), at, std::int64_t(rows), std::int64_t(width)});
    const auto forth = this->machine->get(out, dout.size());
    const auto back = this->machine->get(at, gate_up.size());
    for (std::size_t r = 0; r < rows; ++r) {
      const auto row = this->doubles(gate_up, r * 2 * width, 2 * width),
                 d = this->doubles(dout, r * width, width);
      this->expect_near(forth, r * width, reference::swiglu(row), "out");
      this->expect_near(back, r * 2 * width,
                        reference::slopes(
                            [&](const reference::Values& v) {
                              return reference::product(reference::swiglu(v), d);
                            },
                            row),
                        "d gate, d up");
    }
  }
}

TYPED_TEST_P(CudaWork, CrossEntropyLeavesItsSlopeInTheLogits) {
  using T = typename TypeParam::Element;
  for (const std::size_t width : {std::size_t(2), std::size_t(259), std::size_t(1500)}) {
    const std::size_t rows = 4;
    auto logits = this->elements(rows * width, 3);
    logits[0] = rounded<T>(300.0F);  // e^300 is no float
    logits[width + 1] = rounded<T>(-300.0F);
    std::vector<std::int64_t> targets(rows);
    for (std::size_t r = 0; r < rows; ++r) targets[r] = std::int64_t((r * 131 + 1) % width);
    T* const at = this->machine->put(logits);
    float* const losses = this->machine->put(std::vector<float>(rows));
    CrossEntropy<T> work{
        at, this->machine->put(targets), losses, std::int64_t(rows), std::int64_t(width), 0};
    this->machine->go(work);
    this->expect_same_bits(this->machine->get(at, logits.size()), logits, "logits, scale 0");
    work.scale = 0.25F;
    this->machine->go(work);
    const auto got = this->machine->get(at, logits.size());
    const auto lost = this->machine->get(losses, rows);
    for (std::size_t r = 0; r < rows; ++r) {
      const auto row = this->doubles(logits, r * width, width);
      const auto target = static_cast<std::size_t>(targets[r]);
      const double loss = reference::cross_entropy(row, target);
      EXPECT_NEAR(static_cast<double>(lost[r]), loss, 1e-6 * loss + 1e-5);
      const auto slopes = reference::slopes(
          [&](const reference::Values& v) { return 0.25 * reference::cross_entropy(v, target); },
          row);
      this->expect_near(got, r * width, slopes, "d logits");
    }
  }
}

TYPED_TEST_P(CudaWork, AdamwHasTheBitsOfTheCpu) {
  using T = typename TypeParam::Element;
  const std::size_t n = 5000;
  auto w = this->floats(n), m = this->floats(n, 0.1), v = this->floats(n, 0.1);
  for (float& value : v) value = std::abs(value);
  const auto g = this->floats(n);
  const kernels::AdamW rule{0.01F, 0.9F, 0.95F, 1e-10F, 0.1F, 0.271F, 0.142625F};
  float* const w_at = this->machine->put(w);
  float* const m_at = this->machine->put(m);
  float* const v_at = this->machine->put(v);
  T* const y_at = this->machine->put(this->elements(n));
  this->machine->go(
      AdamwStep<T>{w_at, this->machine->put(g), m_at, v_at, y_at, std::int64_t(n), rule, 0.5F});
  std::vector<float> clipped = g;
  kernels::scale(clipped.data(), 0.5F, std::int64_t(n));
  kernels::adamw(w.data(), clipped.data(), m.data(), v.data(), std::int64_t(n), rule);
  this->expect_same_bits(this->machine->get(w_at, n), w, "w");
  this->expect_same_bits(this->machine->get(m_at, n), m, "m");
  this->expect_same_bits(this->machine->get(v_at, n), v, "v");
  this->expect_same_bits(this->machine->get(y_at, n), this->rounded_all(w), "y");
}

TYPED_TEST_P(CudaWork, SignStepHasTheBitsOfTheCpuAndKeepsItsDisplacement) {
  using T = typename TypeParam::Element;
  const std::size_t n = 3001;
  auto w = this->floats(n), m = this->floats(n, 0.1);
  auto g = this->floats(n);
  g[0] = m[0] = 0;  // whose sign is 0
  const std::vector<float> before = w;
  const kernels::Sign rule{0.01F, 0.05F, 0.002F};
  float* const w_at = this->machine->put(w);
  float* const m_at = this->machine->put(m);
  float* const moved_at = this->machine->put(std::vector<float>(n));
  T* const y_at = this->machine->put(this->elements(n));
  this->machine->go(SignStep<T>{
      w_at, this->machine->put(g), m_at, moved_at, {y_at, 1.5F}, std::int64_t(n), rule, 1.0F});
  kernels::sign_step(w.data(), g.data(), m.data(), std::int64_t(n), rule);
  std::vector<float> moved(n), y(n);
  for (std::size_t i = 0; i < n; ++i) moved[i] = w[i] - before[i];
  kernels::extrapolate(w.data(), moved.data(), y.data(), std::int64_t(n), 1.5F);
  this->expect_same_bits(this->machine->get(w_at, n), w, "w");
  this->expect_same_bits(this->machine->get(m_at, n), m, "m");
  this->expect_same_bits(this->machine->get(moved_at, n), moved, "moved");
  this->expect_same_bits(this->machine->get(y_at, n), this->rounded_all(y), "y");
}

TYPED_TEST_P(CudaWork, WorkingCopyIsTheWeightsOrTheExtrapolatedPoint) {
  using T = typename TypeParam::Element;
  const std::size_t n = 1030;
  auto w = this->floats(n);
  w[3] = -0.0F;
  const auto moved = this->floats(n);
  T* const y = this->machine->put(this->elements(n));
  WorkingCopy<T> work{this->machine->put(w), this->machine->put(moved), y, std::int64_t(n), 0};
  this->machine->go(work);
  this->expect_same_bits(this->machine->get(y, n), this->rounded_all(w), "y, kappa 0");
  work.kappa = 2.5F;
  this->machine->go(work);
  std::vector<float> want(n);
  kernels::extrapolate(w.data(), moved.data(), want.data(), std::int64_t(n), 2.5F);
  this->expect_same_bits(this->machine->get(y, n), this->rounded_all(want), "y");
}

TYPED_TEST_P(CudaWork, NoiseIsThatOfTheCpu) {
  const std::size_t n = 4000;
  auto g = this->floats(n);
  const kernels::Noise noise{11, 3, 0.01F, 1.5F};
  float* const at = this->machine->put(g);
  this->machine->go(HeavyTailedNoise{at, 500, std::int64_t(n), noise});
  kernels::add_heavy_tailed(g.data(), 500, std::int64_t(n), noise);
  const auto got = this->machine->get(at, n);
  for (std::size_t i = 0; i < n; ++i)  // a GPU's pow() is an ulp of a double off
    ASSERT_NEAR(got[i], g[i], 1e-6F * std::max(1.0F, std::abs(g[i])));
}

TYPED_TEST_P(CudaWork, GradientsAndTheirSquaresAddUp) {
  using T = typename TypeParam::Element;
  const std::size_t n = std::size_t(kPiece) * 2 + 77;
  const auto product = this->elements(n);
  auto g = this->floats(n);
  float* const at = this->machine->put(g);
  this->machine->go(GradientSum<T>{this->machine->put(product), at, std::int64_t(n)});
  for (std::size_t i = 0; i < n; ++i) g[i] += to_float(product[i]);
  this->expect_same_bits(this->machine->get(at, n), g, "g");
  float* const parts = this->machine->put(std::vector<float>(3));
  this->machine->go(SquareSums{at, parts, std::int64_t(n)});
  const auto got = this->machine->get(parts, 3);
  for (std::size_t p = 0; p < 3; ++p) {
    const std::size_t first = p * std::size_t(kPiece);
    const auto piece = this->doubles(g, first, std::min(n - first, std::size_t(kPiece)));
    const double want = reference::product(piece, piece);
    EXPECT_NEAR(static_cast<double>(got[p]), want, 2e-4 * want);
  }
}

// Three matrices of two pieces each, apart in the flat buffer: what lies between stays.
TYPED_TEST_P(CudaWork, MuonDirectionHasTheBitsOfTheCpu) {
  using T = typename TypeParam::Element;
  const std::size_t each = std::size_t(kPiece) + 100, stride = each + 30;
  const MatrixSet set{3, std::int64_t(each), std::int64_t(stride)};
  for (const bool nesterov : {false, true}) {
    const auto g = this->floats(3 * stride);
    auto m = this->floats(3 * stride);
    float* const m_at = this->machine->put(m);
    T* const u_at = this->machine->put(this->elements(3 * each));
    float* const parts = this->machine->put(std::vector<float>(6));
    float* const norms = this->machine->put(std::vector<float>(3));
    this->machine->go(
        MuonDirection<T>{this->machine->put(g), m_at, u_at, parts, set, 0.95F, 0.5F, nesterov});
    this->machine->go(MatrixNorms{parts, norms, set});
    const auto got_norms = this->machine->get(norms, 3);
    std::vector<float> u(3 * each);
    for (std::size_t k = 0; k < 3; ++k) {
      std::vector<float> clipped(g.begin() + std::ptrdiff_t(k * stride),
                                 g.begin() + std::ptrdiff_t(k * stride + each));
      float* const mean = m.data() + k * stride;
      kernels::scale(clipped.data(), 0.5F, set.each);
      kernels::lerp(clipped.data(), mean, 1.0F - 0.95F, set.each);
      std::copy_n(mean, each, u.data() + k * each);
      if (nesterov) kernels::blend(clipped.data(), mean, u.data() + k * each, set.each, 0.95F);
      const auto direction = this->doubles(u, k * each, each);
      const double norm = std::sqrt(reference::product(direction, direction));
      EXPECT_NEAR(static_cast<double>(got_norms[k]), norm, 1e-4 * norm);
    }
    this->expect_same_bits(this->machine->get(m_at, m.size()), m, "m");
    this->expect_same_bits(this->machine->get(u_at, u.size()), this->rounded_all(u), "u");
  }
}

TYPED_TEST_P(CudaWork, RowsAreScaledAndTheMatrixKeepsItsNorm) {
  using T = typename TypeParam::Element;
  const std::size_t matrices = 2, rows = 6, columns = 333;
  auto o = this->elements(matrices * rows * columns, 0.1);
  std::fill_n(o.begin() + std::ptrdiff_t(rows * columns), rows * columns, rounded<T>(0));
  auto square = this->floats(matrices * rows, 0.01);
  for (float& value : square) value = std::abs(value) + 1e-4F;
  T* const at = this->machine->put(o);
  float* const square_at = this->machine->put(square);
  float* const before = this->machine->put(std::vector<float>(matrices * rows));
  float* const after = this->machine->put(std::vector<float>(matrices * rows));
  float* const factors = this->machine->put(std::vector<float>(matrices));
  this->machine->go(RowScaling<T>{at, square_at, before, after, std::int64_t(matrices * rows),
                                  std::int64_t(columns), 0.95F});
  this->machine->go(NormFactors{before, after, factors, 2, std::int64_t(rows)});
  const auto got = this->machine->get(at, o.size());
  const auto kept = this->machine->get(square_at, square.size());
  double was = 0, is = 0;
  for (std::size_t r = 0; r < matrices * rows; ++r) {
    auto row = this->doubles(o, r * columns, columns);
    const double sum = reference::product(row, row);
    const double v = 0.95 * static_cast<double>(square[r]) + 0.05 * sum / double(columns);
    EXPECT_NEAR(static_cast<double>(kept[r]), v, 1e-5 * v);
    for (double& value : row) value /= std::sqrt(v) + 1e-10;
    this->expect_near(got, r * columns, row, "o");
    if (r >= rows) continue;
    was += sum;
    const auto scaled = this->doubles(got, r * columns, columns);
    is += reference::product(scaled, scaled);
  }
  const auto got_factors = this->machine->get(factors, matrices);
  EXPECT_NEAR(static_cast<double>(got_factors[0]), std::sqrt(was / is), 1e-4 * std::sqrt(was / is));
  EXPECT_EQ(got_factors[1], 1.0F);
}

TYPED_TEST_P(CudaWork, UpdateHasTheBitsOfTheCpuAndKeepsItsDisplacement) {
  using T = typename TypeParam::Element;
  const std::size_t each = std::size_t(kPiece) + 5, stride = each + 9;
  const MatrixSet set{2, std::int64_t(each), std::int64_t(stride)};
  const auto o = this->elements(2 * each);
  const std::vector<float> factors = {1.25F, 0.75F};
  for (const bool transported : {false, true}) {
    auto w = this->floats(2 * stride);
    std::vector<float> moved(2 * stride, 7.0F);
    const auto y_before = this->elements(2 * stride);
    float* const w_at = this->machine->put(w);
    float* const moved_at = this->machine->put(moved);
    T* const y_at = this->machine->put(y_before);
    this->machine->go(UpdateStep<T>{w_at,
                                    this->machine->put(o),
                                    this->machine->put(factors),
                                    transported ? moved_at : nullptr,
                                    {y_at, transported ? 2.0F : 0.0F},
                                    set,
                                    0.999F,
                                    0.02F});
    std::vector<T> y = y_before;
    for (std::size_t k = 0; k < 2; ++k) {
      std::vector<float> update(each), point(each);
      for (std::size_t i = 0; i < each; ++i) update[i] = to_float(o[k * each + i]) * factors[k];
      float* const at = w.data() + k * stride;
      kernels::apply_update(at, update.data(), transported ? moved.data() + k * stride : nullptr,
                            set.each, 0.999F, 0.02F);
      kernels::extrapolate(at, moved.data() + k * stride, point.data(), set.each,
                           transported ? 2.0F : 0.0F);
      for (std::size_t i = 0; i < each; ++i) y[k * stride + i] = rounded<T>(point[i]);
    }
    this->expect_same_bits(this->machine->get(w_at, w.size()), w, "w");
    this->expect_same_bits(this->machine->get(moved_at, moved.size()), moved, "moved");
    this->expect_same_bits(this->machine->get(y_at, y.size()), y, "y");
  }
}

TYPED_TEST_P(CudaWork, AVerdictRefusesOrClips) {
  struct Case {
    double norm, limit, clip;
    float factor;
  };
  const double infinite = std::numeric_limits<double>::infinity();
  const double no_number = std::numeric_limits<double>::quiet_NaN();
  for (const Case& c :
       {Case{4, 0, 0, 1}, Case{4, 0, 8, 1}, Case{4, 0, 4, 1}, Case{4, 0, 1, 0.25F},
        Case{4, 4, 3, 0.75F}, Case{4, 3.9, 0, 0}, Case{0, 1, 1, 1}, Case{infinite, 0, 1, 0},
        Case{no_number, 0, 0, 0}, Case{no_number, 1, 1, 0}}) {
    float* const factor = this->machine->put(std::vector<float>{7});
    double* const told = this->machine->put(std::vector<double>{7, 7});
    const double* const square = this->machine->put(std::vector<double>{c.norm * c.norm});
    this->machine->go(Verdict{square, c.limit, c.clip, factor, told});
    EXPECT_EQ(this->machine->get(factor, 1)[0], c.factor) << c.norm;
    const auto got = this->machine->get(told, 2);
    EXPECT_EQ(got[1], c.factor > 0 ? 1 : 0) << c.norm;
    EXPECT_TRUE(got[0] == c.norm || (std::isnan(got[0]) && std::isnan(c.norm))) << got[0];
  }
}

// What a step would write, by every work that writes what outlives it.
TYPED_TEST_P(CudaWork, ARefusedStepChangesNothing) {
  using T = typename TypeParam::Element;
  const std::size_t n = 300;
  const MatrixSet set{2, 100, 150};
  const Factor refused(this->machine->put(std::vector<float>{0}));
  auto g = this->floats(n);
  g[1] = std::numeric_limits<float>::quiet_NaN();
  const float* const g_at = this->machine->put(g);
  const auto before = this->floats(n, 0.1);
  std::vector<float*> kept;
  for (int i = 0; i < 4; ++i) kept.push_back(this->machine->put(before));
  const auto y = this->elements(n), o = this->elements(n);
  T* const y_at = this->machine->put(y);
  T* const o_at = this->machine->put(o);
  float* const parts = this->machine->put(std::vector<float>(n));
  const auto count = std::int64_t(n);
  this->machine->go(AdamwStep<T>{kept[0],
                                 g_at,
                                 kept[1],
                                 kept[2],
                                 y_at,
                                 count,
                                 {0.1F, 0.9F, 0.9F, 1e-9F, 0.1F, 1, 1},
                                 refused});
  this->machine->go(SignStep<T>{
      kept[0], g_at, kept[1], kept[3], {y_at, 1.5F}, count, {0.1F, 0.1F, 0.1F}, refused});
  this->machine->go(MuonDirection<T>{g_at, kept[1], o_at, parts, set, 0.9F, refused, true});
  this->machine->go(RowScaling<T>{o_at, kept[2], parts, parts, 2, 100, 0.9F, refused});
  this->machine->go(
      UpdateStep<T>{kept[0], o_at, nullptr, kept[3], {y_at, 1.5F}, set, 0.9F, 0.1F, refused});
  for (float* at : kept) this->expect_same_bits(this->machine->get(at, n), before, "kept");
  this->expect_same_bits(this->machine->get(y_at, n), y, "y");
  this->expect_same_bits(this->machine->get(o_at, n), o, "o");
}

REGISTER_TYPED_TEST_SUITE_P(CudaWork, RmsNormIsItsEquation, RmsNormAddsTheResidualFirstAlsoInPlace,
                            RmsNormsWayBackIsItsSlope, RopeTurnsEachPairByItsAngleAndBack,
                            SwigluAndItsWayBack, CrossEntropyLeavesItsSlopeInTheLogits,
                            AdamwHasTheBitsOfTheCpu,
                            SignStepHasTheBitsOfTheCpuAndKeepsItsDisplacement,
                            WorkingCopyIsTheWeightsOrTheExtrapolatedPoint, NoiseIsThatOfTheCpu,
                            GradientsAndTheirSquaresAddUp, MuonDirectionHasTheBitsOfTheCpu,
                            RowsAreScaledAndTheMatrixKeepsItsNorm,
                            UpdateHasTheBitsOfTheCpuAndKeepsItsDisplacement, AVerdictRefusesOrClips,
                            ARefusedStepChangesNothing);

}  // namespace longhaul::trainer::cuda
