// The works of trainer/cuda on the CPU: their bodies, without a GPU.
#include "tests/trainer/cuda_layer_works.hpp"
#include "tests/trainer/cuda_paged_works.hpp"
#include "tests/trainer/cuda_step_works.hpp"

namespace longhaul::trainer::cuda {
namespace {

using OnHost = testing::Types<On<OneThread, float>, On<OneThread, Bfloat16>, On<FiveThreads, float>,
                              On<FiveThreads, Bfloat16>>;
INSTANTIATE_TYPED_TEST_SUITE_P(Host, CudaLayer, OnHost);
INSTANTIATE_TYPED_TEST_SUITE_P(Host, CudaPaged, OnHost);
INSTANTIATE_TYPED_TEST_SUITE_P(Host, CudaStep, OnHost);

TEST(CudaElement, Bfloat16IsTheNearestTiesToEven) {
  const auto bits_of = [](float value) { return rounded<Bfloat16>(value).bits; };
  EXPECT_EQ(bits_of(1.0F), 0x3f80);
  EXPECT_EQ(bits_of(1.0F + 1.0F / 256), 0x3f80);      // half way: to the even one
  EXPECT_EQ(bits_of(1.0F + 3.0F / 256), 0x3f82);      // half way: up to the even one
  EXPECT_EQ(bits_of(1.0F + 1.0001F / 256), 0x3f81);   // just over half
  EXPECT_EQ(bits_of(-1.0F - 0.9999F / 256), 0xbf80);  // just under
  EXPECT_EQ(bits_of(3.4e38F), 0x7f80);                // over the largest: infinity
  EXPECT_EQ(bits_of(-0.0F), 0x8000);
  const float nan = std::numeric_limits<float>::quiet_NaN();
  EXPECT_TRUE(std::isnan(to_float(rounded<Bfloat16>(nan))));
  std::uint32_t low_nan = 0x7f800001U;  // whose upper half alone would be infinity
  float value = 0;
  std::memcpy(&value, &low_nan, sizeof value);
  EXPECT_TRUE(std::isnan(to_float(rounded<Bfloat16>(value))));
  for (std::uint32_t bits = 0; bits < 0x10000; ++bits) {
    const Bfloat16 element{static_cast<std::uint16_t>(bits)};
    if (!std::isnan(to_float(element))) {
      ASSERT_EQ(bits_of(to_float(element)), bits);
    }
  }
}

}  // namespace
}  // namespace longhaul::trainer::cuda
