// Tensors as the works of trainer/cuda take them: pointers to their elements. Inside of the device
// files.
#pragma once

#include <ATen/ATen.h>

#include <type_traits>

#include "lib/base/assert.hpp"
#include "trainer/cuda/element.hpp"

namespace longhaul::trainer {

template <class T>
inline constexpr at::ScalarType kElementType =
    std::is_same_v<T, cuda::Bfloat16> ? at::kBFloat16 : at::kFloat;

template <class T>
T* data_of(const at::Tensor& tensor) {
  ASSERT(tensor.is_contiguous() && tensor.scalar_type() == kElementType<T>);
  return static_cast<T*>(tensor.data_ptr());
}

}  // namespace longhaul::trainer
