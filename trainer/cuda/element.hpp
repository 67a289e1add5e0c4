// Elements of tensors as kernels see them, fp32 or bf16, and the mark that lets nvcc compile a
// kernel's body for the GPU and any compiler for the CPU, where tests run it. Pure.
#pragma once

#include <cstdint>
#include <cstring>

#ifdef __CUDACC__
#define LONGHAUL_BOTH __host__ __device__
#else
#define LONGHAUL_BOTH
#endif

namespace longhaul::trainer::cuda {

struct Bfloat16 {  // the upper half of an fp32, as at::BFloat16 and __nv_bfloat16 hold it
  std::uint16_t bits;
};
static_assert(sizeof(Bfloat16) == 2);

LONGHAUL_BOTH inline float to_float(float value) {
  return value;
}
LONGHAUL_BOTH inline float to_float(Bfloat16 value) {
  const std::uint32_t bits = static_cast<std::uint32_t>(value.bits) << 16;
  float out = 0;
  memcpy(&out, &bits, sizeof out);
  return out;
}

// The nearest element, ties to even; NaN stays NaN.
template <class T>
LONGHAUL_BOTH T rounded(float value);
template <>
LONGHAUL_BOTH inline float rounded<float>(float value) {
  return value;
}
template <>
LONGHAUL_BOTH inline Bfloat16 rounded<Bfloat16>(float value) {
  std::uint32_t bits = 0;
  memcpy(&bits, &value, sizeof bits);
  if ((bits & 0x7fffffffU) > 0x7f800000U) return {static_cast<std::uint16_t>((bits >> 16) | 0x40U)};
  bits += 0x7fffU + ((bits >> 16) & 1U);
  return {static_cast<std::uint16_t>(bits >> 16)};
}

}  // namespace longhaul::trainer::cuda
