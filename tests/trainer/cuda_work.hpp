// What the tests of trainer/cuda's works share, for any machine and element: cuda_host_test.cpp
// runs them on the CPU, cuda_gpu_test.cpp on a GPU. The works of a model are in
// cuda_layer_works.hpp, held against cuda_reference.hpp in double; those of the optimizers in
// cuda_step_works.hpp, against trainer/kernels.cpp, with the same bits.
#pragma once

#include <gtest/gtest.h>

#include <algorithm>

#include "lib/base/rng.hpp"
#include "tests/trainer/cuda_machines.hpp"
#include "tests/trainer/cuda_reference.hpp"

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

}  // namespace longhaul::trainer::cuda
