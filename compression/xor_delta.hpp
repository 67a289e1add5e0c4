// XOR against a base both sides hold: between two checkpoints of one run most exponent bits and
// many mantissa bits agree, so the delta is mostly zeros. Applying it twice with the same base
// gives the data back.
#pragma once

#include "lib/base/bytes.hpp"

namespace longhaul::compression {

// out[i] = data[i] ^ base[i]; the three have one size. `out` may be `data`, else it overlaps
// neither.
void xor_with(Bytes data, Bytes base, MutableBytes out);

}  // namespace longhaul::compression
