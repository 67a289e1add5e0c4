// Training on a device, on the CPU: the code that a GPU runs, but for the launches themselves.
#include "tests/trainer/device_serving_checks.hpp"
#include "tests/trainer/learner_checks.hpp"
#include "trainer/cuda/gpu.hpp"
#include "trainer/engine/within_memory.hpp"

namespace longhaul::trainer {
namespace {

INSTANTIATE_TEST_SUITE_P(Host, OnDevice, testing::Values("cpu"));

TEST(Device, IsNamedOrRefusedWithItsReason) {
  EXPECT_EQ(Device::open("cpu")->name(), "cpu");
  for (const char* name : {"gpu", "cuda:", "cuda:x", "cuda:64", "cuda:-1", "cuda:1x", ""}) {
    const auto opened = Device::open(name);
    ASSERT_FALSE(opened) << name;
    EXPECT_EQ(opened.error().kind(), Kind::kUsage) << name;
  }
  std::string why;
  if (cuda::find_gpu(9, why)) GTEST_SKIP() << "ten GPUs";
  const auto opened = Device::open("cuda:9");
  ASSERT_FALSE(opened);
  EXPECT_EQ(opened.error().kind(), Kind::kUnsupported);
  EXPECT_NE(opened.error().message().find(why), std::string::npos) << opened.error().message();
}

TEST(Memory, WhatDoesNotFitIsRefusedInNumbers) {
  EXPECT_TRUE(has_room("GPU 0", 2e9, 2e9));
  EXPECT_TRUE(has_room("cpu", 2e9, 0));  // not known
  const Result<> refused = has_room("GPU 0", 2.5e9, 1e9);
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().kind(), Kind::kLimit);
  EXPECT_EQ(refused.error().why(),
            "not enough memory: weights and pool want 2.50 GB, 1.00 GB are free");
  EXPECT_EQ(refused.error().advice(), "a smaller --pool-tokens, or --dtype bf16");
}

TEST(Memory, WhatLibTorchThrowsForWantOfItIsAnError) {
  const auto outcome = [](auto&& work) { return within_memory("try", "take less", work); };
  EXPECT_EQ(outcome([]() -> Result<int> { return 7; }).value(), 7);
  for (const int way : {0, 1, 2}) {
    const Result<int> refused = outcome([&]() -> Result<int> {
      if (way == 0)
        C10_THROW_ERROR(OutOfMemoryError, "CUDA out of memory. Tried to allocate 2 GiB");
      if (way == 1) at::empty({std::int64_t(1) << 60}, at::kChar);  // an exabyte
      throw std::bad_alloc();
    });
    ASSERT_FALSE(refused) << way;
    EXPECT_EQ(refused.error().kind(), Kind::kLimit);
    EXPECT_NE(refused.error().message().find("not enough memory"), std::string::npos) << way;
  }
  EXPECT_THROW(
      static_cast<void>(outcome([]() -> Result<int> { TORCH_CHECK(false, "another mishap"); })),
      c10::Error);
}

}  // namespace
}  // namespace longhaul::trainer
