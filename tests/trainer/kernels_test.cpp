// The CPU's kernels against their equations in double precision, and their ways back against
// central differences of those equations.
#include "trainer/kernels.hpp"

#include <gtest/gtest.h>

#include <functional>
#include <numeric>

#include "lib/base/rng.hpp"
#include "tests/trainer/cuda_reference.hpp"

namespace longhaul::trainer {
namespace {

using kernels::Rows;
using reference::Values;

class Kernels : public testing::Test {
 protected:
  std::vector<float> floats(std::size_t count, double scale = 1) {
    std::vector<float> out(count);
    for (float& value : out)
      value = static_cast<float>(scale * (static_cast<double>(rng_.below(20'001)) / 1e4 - 1));
    return out;
  }
  static Values doubles(const std::vector<float>& all, std::size_t from, std::size_t count) {
    return {all.begin() + static_cast<std::ptrdiff_t>(from),
            all.begin() + static_cast<std::ptrdiff_t>(from + count)};
  }
  // Of the largest value.
  static void expect_near(const Values& got, const Values& want, const char* what) {
    ASSERT_EQ(got.size(), want.size());
    double most = 0;
    for (const double value : want) most = std::fmax(most, std::fabs(value));
    for (std::size_t i = 0; i < got.size(); ++i)
      EXPECT_NEAR(got[i], want[i], 2e-5 * most) << what << " " << i;
  }
  static constexpr std::size_t kRows = 5;

 private:
  Rng rng_{7, "kernels"};
};

// Widths below, at and over the 16 lanes of a sum, and no multiple of them.
constexpr std::size_t kWidths[] = {3, 16, 37, 256};

TEST_F(Kernels, RmsNormAndItsWayBack) {
  for (const std::size_t width : kWidths) {
    const Rows rows{kRows, static_cast<std::int64_t>(width)};
    const auto x = floats(kRows * width), gain = floats(width), dy = floats(kRows * width);
    std::vector<float> y(x.size()), again(x.size()), rstd(kRows), dx(x.size(), 0.5F),
        dgain(width, 0.25F);
    kernels::rms_norm(x.data(), gain.data(), y.data(), rstd.data(), rows, 1e-5);
    kernels::rms_norm_again(x.data(), gain.data(), rstd.data(), again.data(), rows);
    kernels::rms_norm_backward(dy.data(), x.data(), gain.data(), rstd.data(), dx.data(),
                               dgain.data(), rows);
    EXPECT_EQ(again, y);
    const Values gains = doubles(gain, 0, width);
    Values gain_slopes(width, 0.25);
    for (std::size_t r = 0; r < kRows; ++r) {
      const Values row = doubles(x, r * width, width), way = doubles(dy, r * width, width);
      expect_near(doubles(y, r * width, width), reference::rms_norm(row, gains, 1e-5), "y");
      Values want = reference::slopes(
          [&](const Values& at) {
            return reference::product(reference::rms_norm(at, gains, 1e-5), way);
          },
          row);
      for (double& value : want) value += 0.5;
      expect_near(doubles(dx, r * width, width), want, "dx");
      const Values of_gain = reference::slopes(
          [&](const Values& at) {
            return reference::product(reference::rms_norm(row, at, 1e-5), way);
          },
          gains);
      for (std::size_t i = 0; i < width; ++i) gain_slopes[i] += of_gain[i];
    }
    expect_near(doubles(dgain, 0, width), gain_slopes, "dgain");
  }
}

TEST_F(Kernels, SwigluAndItsWayBack) {
  for (const std::size_t width : kWidths) {
    const Rows rows{kRows, static_cast<std::int64_t>(width)};
    const auto both = floats(2 * kRows * width, 4), dout = floats(kRows * width);
    std::vector<float> out(dout.size()), back = both;
    kernels::swiglu(both.data(), out.data(), rows);
    kernels::swiglu_backward(dout.data(), back.data(), rows);
    for (std::size_t r = 0; r < kRows; ++r) {
      const Values row = doubles(both, 2 * r * width, 2 * width),
                   way = doubles(dout, r * width, width);
      expect_near(doubles(out, r * width, width), reference::swiglu(row), "out");
      expect_near(
          doubles(back, 2 * r * width, 2 * width),
          reference::slopes(
              [&](const Values& at) { return reference::product(reference::swiglu(at), way); },
              row),
          "d gate, up");
    }
  }
}

TEST_F(Kernels, CrossEntropyAndItsWayBack) {
  for (const std::size_t width : kWidths) {
    const Rows rows{kRows, static_cast<std::int64_t>(width)};
    const auto logits = floats(kRows * width, 9);
    std::vector<std::int64_t> targets(kRows);
    for (std::size_t r = 0; r < kRows; ++r) targets[r] = static_cast<std::int64_t>((r * 7) % width);
    std::vector<float> left = logits, back = logits;
    const double loss = kernels::cross_entropy(left.data(), targets.data(), rows, 0);
    EXPECT_EQ(left, logits);
    EXPECT_EQ(kernels::cross_entropy(back.data(), targets.data(), rows, 0.5F), loss);
    double want = 0;
    for (std::size_t r = 0; r < kRows; ++r) {
      const Values row = doubles(logits, r * width, width);
      const auto target = static_cast<std::size_t>(targets[r]);
      want += reference::cross_entropy(row, target);
      expect_near(
          doubles(back, r * width, width),
          reference::slopes(
              [&](const Values& at) { return 0.5 * reference::cross_entropy(at, target); }, row),
          "d logits");
    }
    EXPECT_NEAR(loss, want, 1e-5 * want);
  }
}

// Two heads on rows that are wider, from the middle of the table, which begins again.
TEST_F(Kernels, RopeAndItsWayBack) {
  constexpr std::size_t kHead = 6, kHeads = 2, kStride = 15, kPositions = 4;
  constexpr double kTheta = 100;
  std::vector<float> cosines(kPositions * kHead / 2), sines(cosines.size());
  kernels::rope_table(cosines.data(), sines.data(), kPositions, kHead, kTheta);
  const kernels::RopeShape shape{kStride, kHeads, kHead, kPositions, 2};
  const auto data = floats(kRows * kStride);
  std::vector<float> turned = data, back = data;
  kernels::rope(turned.data(), cosines.data(), sines.data(), kRows, shape, 1);
  kernels::rope(back.data(), cosines.data(), sines.data(), kRows, shape, -1);
  for (std::size_t r = 0; r < kRows; ++r) {
    const auto position = static_cast<std::int64_t>((2 + r) % kPositions);
    for (std::size_t head = 0; head < kHeads; ++head) {
      const std::size_t from = r * kStride + head * kHead;
      const Values at = doubles(data, from, kHead);
      expect_near(doubles(turned, from, kHead), reference::rope(at, position, kTheta), "turned");
      expect_near(doubles(back, from, kHead),
                  reference::slopes(
                      [&](const Values& x) {
                        return reference::product(reference::rope(x, position, kTheta), at);
                      },
                      at),
                  "back");
    }
    for (std::size_t i = kHeads * kHead; i < kStride; ++i)
      EXPECT_EQ(turned[r * kStride + i], data[r * kStride + i]) << "no head's";
  }
}

// One row of attention: probabilities over the keys up to its own, times values.
Values attention(const Values& scores, std::size_t keys, double scale, const Values& values) {
  double sum = 0;
  for (std::size_t i = 0; i < keys; ++i) sum += std::exp(scale * scores[i]);
  Values out(scores.size(), 0);
  for (std::size_t i = 0; i < keys; ++i) out[i] = std::exp(scale * scores[i]) / sum * values[i];
  return out;
}

TEST_F(Kernels, CausalSoftmaxAndItsWayBack) {
  constexpr std::int64_t kFirst = 2;
  constexpr float kScale = 0.7F;
  for (const std::size_t width : {std::size_t(7), std::size_t(40)}) {
    const Rows rows{kRows, static_cast<std::int64_t>(width)};
    const auto scores = floats(kRows * width, 3), values = floats(kRows * width);
    std::vector<float> p = scores, again = scores, lse(kRows), delta(kRows), dp = values;
    kernels::causal_softmax(p.data(), lse.data(), rows, kFirst, kScale);
    kernels::causal_softmax_again(again.data(), lse.data(), rows, kFirst, kScale);
    for (std::size_t r = 0; r < kRows; ++r)
      delta[r] = static_cast<float>(
          reference::product(doubles(p, r * width, width), doubles(values, r * width, width)));
    kernels::softmax_backward(p.data(), delta.data(), dp.data(), rows, kScale);
    for (std::size_t r = 0; r < kRows; ++r) {
      const std::size_t keys = std::min(width, kFirst + r + 1);
      const Values row = doubles(scores, r * width, width), ones(width, 1);
      const Values value = doubles(values, r * width, width);
      expect_near(doubles(p, r * width, width), attention(row, keys, kScale, ones), "p");
      expect_near(doubles(again, r * width, width), attention(row, keys, kScale, ones), "again");
      expect_near(doubles(dp, r * width, width),
                  reference::slopes(
                      [&](const Values& at) {
                        const Values out = attention(at, keys, kScale, value);
                        return std::accumulate(out.begin(), out.end(), 0.0);
                      },
                      row),
                  "d scores");
    }
  }
}

}  // namespace
}  // namespace longhaul::trainer
