#include "trainer/cuda/gpu.hpp"

#include <cuda_runtime_api.h>

namespace longhaul::trainer::cuda {

std::optional<Gpu> find_gpu(int index, std::string& why) {
  int count = 0;
  cudaError_t code = cudaGetDeviceCount(&count);
  if (code == cudaSuccess && index >= count) {
    why = "there are " + std::to_string(count) + " GPUs";
    return {};
  }
  cudaDeviceProp properties{};
  if (code == cudaSuccess) code = cudaGetDeviceProperties(&properties, index);
  if (code != cudaSuccess) {
    why = cudaGetErrorString(code);
    return {};
  }
  return Gpu{properties.name, static_cast<double>(properties.totalGlobalMem)};
}

double free_bytes(int index) {
  int before = 0;
  if (cudaGetDevice(&before) != cudaSuccess || cudaSetDevice(index) != cudaSuccess) return 0;
  std::size_t left = 0, all = 0;
  const cudaError_t code = cudaMemGetInfo(&left, &all);
  static_cast<void>(cudaSetDevice(before));
  return code == cudaSuccess ? static_cast<double>(left) : 0;
}

}  // namespace longhaul::trainer::cuda
