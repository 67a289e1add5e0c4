// Zeros that take memory only where they were written: pages of the kernel's.
#pragma once

#include <ATen/ATen.h>

#include <cstdint>

namespace longhaul::trainer {

at::Tensor zero_pages(std::int64_t floats);  // [floats] fp32 cpu
// The same in pages of 2 MiB where the kernel has such: a fault for each 4 KiB of activations takes
// as long as the forward pass that makes them.
at::Tensor large_pages(std::int64_t floats);
// Zeros again, in a tensor that zero_pages() made; pages that lie wholly within are given back.
void give_back(float* at, std::int64_t floats);

}  // namespace longhaul::trainer
