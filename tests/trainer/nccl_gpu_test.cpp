// NCCL's side of the Collectives port as one rank of one: that the library answers, and that one
// rank's sums and gathers are its own numbers. Two ranks want two GPUs.
#include <cuda_runtime_api.h>
#include <gtest/gtest.h>

#include <vector>

#include "trainer/ranks/nccl_collectives.hpp"

namespace longhaul::trainer {
namespace {

class Nccl : public testing::Test {
 protected:
  void SetUp() override {
    int devices = 0;
    const cudaError_t code = cudaGetDeviceCount(&devices);
    if (code != cudaSuccess) GTEST_SKIP() << "no GPU: " << cudaGetErrorString(code);
    Membership alone;
    alone.patience = std::chrono::seconds(60);
    alone.exchange = [](const std::string& mine) -> Result<std::vector<std::string>> {
      return std::vector<std::string>{mine};
    };
    auto made = nccl_collectives(alone);
    ASSERT_TRUE(made) << made.error().message();
    collectives = std::move(*made);
    void* memory = nullptr;
    ASSERT_EQ(cudaMalloc(&memory, kFloats * sizeof(float)), cudaSuccess);
    at = static_cast<float*>(memory);
    ASSERT_EQ(cudaMemcpy(at, values.data(), kFloats * sizeof(float), cudaMemcpyHostToDevice),
              cudaSuccess);
  }
  void TearDown() override {
    if (at != nullptr) {
      EXPECT_EQ(cudaFree(at), cudaSuccess);
    }
  }
  std::vector<float> there() const {
    std::vector<float> out(kFloats);
    EXPECT_EQ(cudaMemcpy(out.data(), at, kFloats * sizeof(float), cudaMemcpyDeviceToHost),
              cudaSuccess);
    return out;
  }

  static constexpr std::size_t kFloats = 3;
  const std::vector<float> values = {1.5F, -2.0F, 3.25F};
  std::unique_ptr<Collectives> collectives;
  float* at = nullptr;
};

TEST_F(Nccl, SumsOfOneRankAreItsNumbers) {
  const auto summed = collectives->sum(std::span(at, kFloats));
  ASSERT_TRUE(summed) << summed.error().message();
  EXPECT_EQ(there(), values);
  std::vector<double> few = {0.5, 7};
  ASSERT_TRUE(collectives->sum(std::span(few)));
  EXPECT_EQ(few, (std::vector<double>{0.5, 7}));
}

TEST_F(Nccl, AGatherOfOneRankIsItsPart) {
  const std::size_t counts[] = {kFloats};
  const auto gathered = collectives->gather(std::span(at, kFloats), counts);
  ASSERT_TRUE(gathered) << gathered.error().message();
  EXPECT_EQ(there(), values);
}

}  // namespace
}  // namespace longhaul::trainer
