// The optimizers' works: a step's parts, what judges it, and that a refused one changes nothing.
#pragma once

#include <limits>

#include "tests/trainer/cuda_work.hpp"
#include "trainer/cuda/matrices.hpp"
#include "trainer/kernels.hpp"

namespace longhaul::trainer::cuda {

template <class Where>
class CudaStep : public CudaWork<Where> {};
TYPED_TEST_SUITE_P(CudaStep);

TYPED_TEST_P(CudaStep, AdamwHasTheBitsOfTheCpu) {
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

TYPED_TEST_P(CudaStep, SignStepHasTheBitsOfTheCpuAndKeepsItsDisplacement) {
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

TYPED_TEST_P(CudaStep, WorkingCopyIsTheWeightsOrTheExtrapolatedPoint) {
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

TYPED_TEST_P(CudaStep, NoiseIsThatOfTheCpu) {
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

TYPED_TEST_P(CudaStep, GradientsAndTheirSquaresAddUp) {
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
TYPED_TEST_P(CudaStep, MuonDirectionHasTheBitsOfTheCpu) {
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

TYPED_TEST_P(CudaStep, RowsAreScaledAndTheMatrixKeepsItsNorm) {
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

TYPED_TEST_P(CudaStep, UpdateHasTheBitsOfTheCpuAndKeepsItsDisplacement) {
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

TYPED_TEST_P(CudaStep, AVerdictRefusesOrClips) {
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
TYPED_TEST_P(CudaStep, ARefusedStepChangesNothing) {
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

REGISTER_TYPED_TEST_SUITE_P(CudaStep, AdamwHasTheBitsOfTheCpu,
                            SignStepHasTheBitsOfTheCpuAndKeepsItsDisplacement,
                            WorkingCopyIsTheWeightsOrTheExtrapolatedPoint, NoiseIsThatOfTheCpu,
                            GradientsAndTheirSquaresAddUp, MuonDirectionHasTheBitsOfTheCpu,
                            RowsAreScaledAndTheMatrixKeepsItsNorm,
                            UpdateHasTheBitsOfTheCpuAndKeepsItsDisplacement, AVerdictRefusesOrClips,
                            ARefusedStepChangesNothing);

}  // namespace longhaul::trainer::cuda
