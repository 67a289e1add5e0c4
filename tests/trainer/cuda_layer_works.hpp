// A model's works: norm, rotation, gate, loss.
#pragma once

#include "tests/trainer/cuda_work.hpp"
#include "trainer/cuda/layers.hpp"
#include "trainer/cuda/loss.hpp"
#include "trainer/cuda/norm.hpp"
#include "trainer/kernels.hpp"

namespace longhaul::trainer::cuda {

// Widths below, at and over a block's threads, and one that is no multiple of anything.
inline constexpr std::size_t kWidths[] = {3, 64, 256, 1001};

template <class Where>
class CudaLayer : public CudaWork<Where> {};
TYPED_TEST_SUITE_P(CudaLayer);

TYPED_TEST_P(CudaLayer, RmsNormIsItsEquation) {
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

TYPED_TEST_P(CudaLayer, RmsNormAddsTheResidualFirstAlsoInPlace) {
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
TYPED_TEST_P(CudaLayer, RmsNormsWayBackIsItsSlope) {
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

TYPED_TEST_P(CudaLayer, RopeTurnsEachPairByItsAngleAndBack) {
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

TYPED_TEST_P(CudaLayer, SwigluAndItsWayBack) {
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

TYPED_TEST_P(CudaLayer, CrossEntropyLeavesItsSlopeInTheLogits) {
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

REGISTER_TYPED_TEST_SUITE_P(CudaLayer, RmsNormIsItsEquation, RmsNormAddsTheResidualFirstAlsoInPlace,
                            RmsNormsWayBackIsItsSlope, RopeTurnsEachPairByItsAngleAndBack,
                            SwigluAndItsWayBack, CrossEntropyLeavesItsSlopeInTheLogits);

}  // namespace longhaul::trainer::cuda
