// The works of trainer/cuda on a GPU, held against the same references; skipped where there is
// none.
#include <cuda_runtime_api.h>

#include "tests/trainer/cuda_layer_works.hpp"
#include "tests/trainer/cuda_paged_works.hpp"
#include "tests/trainer/cuda_step_works.hpp"

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
INSTANTIATE_TYPED_TEST_SUITE_P(Gpu, CudaLayer, OnGpu);
INSTANTIATE_TYPED_TEST_SUITE_P(Gpu, CudaPaged, OnGpu);
INSTANTIATE_TYPED_TEST_SUITE_P(Gpu, CudaStep, OnGpu);

TEST(CudaLaunch, TakesRowsAsWideAsItsScratchAndRefusesWiderOnes) {
  if (const auto why = Gpu::missing()) GTEST_SKIP() << *why;
  Gpu gpu;
  const auto width = static_cast<std::size_t>(kScratchFloats);
  const std::vector<float> ones(width, 1.0F);
  float* const parts = gpu.put(std::vector<float>(width));
  RmsNormBackward<float> work{
      gpu.put(ones), gpu.put(ones), gpu.put(ones), gpu.put(ones), gpu.put(ones), parts, 1,
      kScratchFloats};
  gpu.go(work);
  EXPECT_EQ(gpu.get(parts, width), ones);  // dy x rstd
  work.width = kScratchFloats + 1;
  EXPECT_THROW(run(nullptr, work), std::runtime_error);
}

}  // namespace
}  // namespace longhaul::trainer::cuda
