// The works of trainer/cuda on a GPU, held against the same references; skipped where there is
// none.
#include <cuda_runtime_api.h>

#include "tests/trainer/cuda_works.hpp"

namespace longhaul::trainer::cuda {
namespace {

class Gpu {
 public:
  static std::optional<std::string> missing() {
    int devices = 0;
    const cudaError_t code = cudaGetDeviceCount(&devices);
    if (code != cudaSuccess) return std::string("no GPU: ") + cudaGetErrorString(code);
    if (devices == 0) return "no GPU";
    return {};
  }
  ~Gpu() {
    for (void* at : held_) static_cast<void>(cudaFree(at));
  }
  template <class T>
  T* put(const std::vector<T>& values) {
    void* at = nullptr;
    EXPECT_EQ(cudaMalloc(&at, values.size() * sizeof(T)), cudaSuccess);
    held_.push_back(at);
    EXPECT_EQ(cudaMemcpy(at, values.data(), values.size() * sizeof(T), cudaMemcpyHostToDevice),
              cudaSuccess);
    return static_cast<T*>(at);
  }
  template <class T>
  std::vector<T> get(const T* at, std::size_t count) {
    std::vector<T> out(count);
    EXPECT_EQ(cudaMemcpy(out.data(), at, count * sizeof(T), cudaMemcpyDeviceToHost), cudaSuccess);
    return out;
  }
  template <class Work>
  void go(const Work& work) {
    run(nullptr, work);
    EXPECT_EQ(cudaDeviceSynchronize(), cudaSuccess);
  }

 private:
  std::vector<void*> held_;
};

using OnGpu = testing::Types<On<Gpu, float>, On<Gpu, Bfloat16>>;
INSTANTIATE_TYPED_TEST_SUITE_P(Gpu, CudaWork, OnGpu);

// 1 of 2^31 blocks is the limit; a whole 1.4 B model is 1.4e6 blocks. Rows over it would be refused
// by CUDA, wider ones than a block's scratch by us.
TEST(CudaLaunch, RefusesRowsWiderThanItsScratch) {
  if (const auto why = Gpu::missing()) GTEST_SKIP() << *why;
  RmsNormBackward<float> work{};
  work.count = 1;
  work.width = kScratchFloats + 1;
  EXPECT_THROW(run(nullptr, work), std::runtime_error);
}

}  // namespace
}  // namespace longhaul::trainer::cuda
