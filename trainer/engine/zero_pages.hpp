// Zeros that take memory only where they were written: pages of the kernel's, given back when they
// are made zero again.
#pragma once

#include <ATen/ATen.h>

#include <cstdint>

namespace longhaul::trainer {

at::Tensor zero_pages(std::int64_t floats);  // [floats] fp32 cpu
// Zeros again, in a tensor that zero_pages() made; pages that lie wholly within are given back.
void give_back(float* at, std::int64_t floats);

}  // namespace longhaul::trainer
