#include "compression/xor_delta.hpp"

namespace longhaul::compression {

void xor_with(Bytes data, Bytes base, MutableBytes out) {
  ASSERT(data.size() == base.size() && data.size() == out.size());
  constexpr std::size_t kBlock = 64;  // a fixed count, so that -O2 vectorises the inner loop
  std::size_t at = 0;
  for (; at + kBlock <= data.size(); at += kBlock) {
    std::uint64_t x[kBlock / 8];
    std::uint64_t y[kBlock / 8];
    std::memcpy(x, data.data() + at, kBlock);
    std::memcpy(y, base.data() + at, kBlock);
    for (std::size_t i = 0; i < kBlock / 8; ++i) x[i] ^= y[i];
    std::memcpy(out.data() + at, x, kBlock);
  }
  for (; at < data.size(); ++at) out[at] = data[at] ^ base[at];
}

}  // namespace longhaul::compression
