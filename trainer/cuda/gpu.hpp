// Which GPUs there are, as CUDA says. In a build without CUDA there is none. Any thread.
#pragma once

#include <cstddef>
#include <optional>
#include <string>

namespace longhaul::trainer::cuda {

struct Gpu {
  std::string name;  // "NVIDIA H100 80GB HBM3"
  double memory_bytes;
};
// The GPU of that number; else nullopt, and `why` says why not.
std::optional<Gpu> find_gpu(int index, std::string& why);
double free_bytes(int index);  // of its memory; 0: not known

}  // namespace longhaul::trainer::cuda
