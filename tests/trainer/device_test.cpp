// Training on a device, on the CPU: the code that a GPU runs, but for the launches themselves.
#include "tests/trainer/learner_checks.hpp"
#include "trainer/cuda/gpu.hpp"

namespace longhaul::trainer {
namespace {

INSTANTIATE_TEST_SUITE_P(Host, OnDevice, testing::Values("cpu"));

TEST(Device, IsNamedOrRefusedWithItsReason) {
  EXPECT_EQ(Device::open("cpu")->name(), "cpu");
  for (const char* name : {"gpu", "cuda:", "cuda:x", "cuda:12", ""}) {
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

}  // namespace
}  // namespace longhaul::trainer
