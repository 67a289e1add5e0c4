// Synthetic inputs shared by this folder's tests; the same seed gives the same bytes everywhere.
#pragma once

#include <cstdint>
#include <string>

#include "lib/base/bytes.hpp"
#include "lib/base/rng.hpp"

namespace longhaul::compression {

inline ByteVector random_bytes(std::size_t size, std::uint64_t seed) {
  ByteVector bytes(size);
  Rng(seed, "chunker").fill(bytes);
  return bytes;
}

inline ByteVector lines(std::size_t size,
                        std::uint64_t seed) {  // repetitive, as logs and sources are
  Rng rng(seed, "lines");
  ByteVector bytes;
  while (bytes.size() < size) {
    append(bytes, bytes_of("step "));
    append(bytes, bytes_of(std::to_string(rng.below(10'000))));
    append(bytes, bytes_of(rng.chance(0.5) ? " loss " : " rate "));
    append(bytes, bytes_of(std::to_string(rng.below(100))));
    append(bytes, bytes_of("\n"));
  }
  bytes.resize(size);
  return bytes;
}

// Like weights: sums of uniform draws, about normal with deviation 0.02, as bf16.
inline ByteVector bf16_weights(std::size_t count, std::uint64_t seed) {
  Rng rng(seed, "weights");
  ByteVector bytes(2 * count);
  for (std::size_t i = 0; i < count; ++i) {
    double sum = -6;
    for (int draw = 0; draw < 12; ++draw) sum += rng.unit();
    const auto bits = std::bit_cast<std::uint32_t>(static_cast<float>(0.02 * sum));
    store_le(MutableBytes(bytes).subspan(2 * i, 2), static_cast<std::uint16_t>(bits >> 16));
  }
  return bytes;
}

}  // namespace longhaul::compression
