#include "trainer/cuda/gpu.hpp"

namespace longhaul::trainer::cuda {

std::optional<Gpu> find_gpu(int, std::string& why) {
  why = "this build has no CUDA: CMake found no nvcc";
  return {};
}
double free_bytes(int) {
  return 0;
}

}  // namespace longhaul::trainer::cuda
