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

}  // namespace longhaul::trainer::cuda
