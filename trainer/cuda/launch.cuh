// How a work (work.hpp) goes onto a GPU: elements in blocks of kThreads * kEach, rows a block each.
#pragma once

#include <cuda_runtime.h>

#include <stdexcept>
#include <string>

#include "trainer/cuda/work.hpp"

namespace longhaul::trainer::cuda {

constexpr int kThreads = 256;
constexpr int kEach = 4;  // elements a thread takes: four reads on their way at once

inline void must(cudaError_t code, const char* what) {
  if (code == cudaSuccess) return;
  throw std::runtime_error(std::string(what) + " on the GPU: " + cudaGetErrorString(code));
}

constexpr int kWarp = 32;
static_assert((kScratchFloats + kThreads / kWarp) * sizeof(float) <= 48 * 1024);

class Block {  // the team that takes a row
 public:
  __device__ int rank() const { return static_cast<int>(threadIdx.x); }
  __device__ int size() const { return static_cast<int>(blockDim.x); }
  __device__ float sum(float value) {
    return meet(value, 0.0F, [](float a, float b) { return a + b; });
  }
  __device__ float most(float value) {
    return meet(value, -INFINITY, [](float a, float b) { return fmaxf(a, b); });
  }
  __device__ float* scratch() {
    extern __shared__ float given[];
    return given;
  }

 private:
  // Within warps by a butterfly, then over the warps in order: one order of additions, the same
  // bits in each thread. Blocks are whole warps.
  template <class Combine>
  __device__ float meet(float value, float none, Combine combine) {
    __shared__ float of_warp[kThreads / kWarp];
    for (int far = kWarp / 2; far > 0; far /= 2)
      value = combine(value, __shfl_xor_sync(0xffffffffU, value, far));
    __syncthreads();  // nobody still reads what an earlier meeting left
    if (threadIdx.x % kWarp == 0) of_warp[threadIdx.x / kWarp] = value;
    __syncthreads();
    float all = none;
    for (int warp = 0; warp < static_cast<int>(blockDim.x) / kWarp; ++warp)
      all = combine(all, of_warp[warp]);
    return all;
  }
};

template <class Work>
__global__ void __launch_bounds__(kThreads) over_elements(Work work, std::int64_t count) {
  const std::int64_t first =
      static_cast<std::int64_t>(blockIdx.x) * (kThreads * kEach) + threadIdx.x;
#pragma unroll
  for (int k = 0; k < kEach; ++k)
    if (first + k * kThreads < count) work(first + k * kThreads);
}

template <class Work>
__global__ void __launch_bounds__(kThreads) over_rows(Work work) {
  Block team;
  work(team, static_cast<std::int64_t>(blockIdx.x));
}

template <class Work>
void launch_elements(Stream stream, const Work& work, const char* what) {
  const std::int64_t count = work.elements();
  if (count == 0) return;
  const auto blocks = static_cast<unsigned>((count + kThreads * kEach - 1) / (kThreads * kEach));
  over_elements<<<blocks, kThreads, 0, stream>>>(work, count);
  must(cudaGetLastError(), what);
}

template <class Work>
void launch_rows(Stream stream, const Work& work, const char* what,
                 std::int64_t scratch_floats = 0) {
  if (work.rows() == 0) return;
  if (scratch_floats > kScratchFloats)
    throw std::runtime_error(std::string(what) + " on the GPU: rows are too wide");
  const auto bytes = static_cast<std::size_t>(scratch_floats) * sizeof(float);
  over_rows<<<static_cast<unsigned>(work.rows()), kThreads, bytes, stream>>>(work);
  must(cudaGetLastError(), what);
}

}  // namespace longhaul::trainer::cuda
