// Byte planes: the n-th bytes of all elements side by side, so that the bytes of floats that hold
// the exponent meet each other and compress, and the mantissa's noise stands apart. Each element is
// first rotated left by one bit: that moves the sign out of the top byte and the whole exponent of
// a bf16 or f32 into it (bf16 weights 1.50x instead of 1.48x; small integers lose nothing).
//
//   width 2:  a0 a1 b0 b1 c0 c1 | t   ->   a0 b0 c0 | a1 b1 c1 | t        (a0.. of the rotated
//   element)
//
// Elements are little-endian. Bytes behind the last whole element stay last, as they are. Pure; any
// thread.
#pragma once

#include "lib/base/bytes.hpp"

namespace longhaul::compression {

// width: 2, 4 or 8. `out` has the size of `in` and does not overlap it.
void split_planes(Bytes in, std::size_t width, MutableBytes out);
void merge_planes(Bytes in, std::size_t width, MutableBytes out);

namespace scalar {  // the same, an element at a time: what the above do behind the last full vector
void split_planes(Bytes in, std::size_t width, MutableBytes out);
void merge_planes(Bytes in, std::size_t width, MutableBytes out);
}  // namespace scalar

}  // namespace longhaul::compression
