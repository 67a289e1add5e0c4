// Byte spans, and integers in them. Wire and disk integers are little-endian; RFC 9001 parts say
// big.
#pragma once

#include <bit>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <span>
#include <string>
#include <string_view>
#include <type_traits>
#include <vector>

#include "lib/base/assert.hpp"
#include "lib/base/result.hpp"

namespace longhaul {

using Bytes = std::span<const std::byte>;
using MutableBytes = std::span<std::byte>;
using ByteVector = std::vector<std::byte>;

inline Bytes bytes_of(std::string_view text) {
  return std::as_bytes(std::span(text.data(), text.size()));
}
inline std::string_view text_of(Bytes bytes) {
  return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
}
inline void append(ByteVector& out, Bytes more) {
  out.insert(out.end(), more.begin(), more.end());
}
inline bool equal(Bytes a, Bytes b) {
  return a.size() == b.size() && (a.empty() || std::memcmp(a.data(), b.data(), a.size()) == 0);
}

template <class Int>
requires std::is_unsigned_v<Int> Int load_le(Bytes in) {  // at least sizeof(Int) bytes
  ASSERT(in.size() >= sizeof(Int));
  Int value;
  std::memcpy(&value, in.data(), sizeof value);
  static_assert(std::endian::native == std::endian::little, "add a swap for this machine");
  return value;
}
template <class Int>
requires std::is_unsigned_v<Int>
void store_le(MutableBytes out, Int value) {
  ASSERT(out.size() >= sizeof(Int));
  std::memcpy(out.data(), &value, sizeof value);
}
template <class Int>
requires std::is_unsigned_v<Int> Int load_be(Bytes in) {
  ASSERT(in.size() >= sizeof(Int));
  Int value = 0;
  for (std::size_t i = 0; i < sizeof(Int); ++i)
    value = static_cast<Int>((value << 8) | std::to_integer<Int>(in[i]));
  return value;
}
template <class Int>
requires std::is_unsigned_v<Int>
void store_be(MutableBytes out, Int value) {
  ASSERT(out.size() >= sizeof(Int));
  for (std::size_t i = 0; i < sizeof(Int); ++i)
    out[i] = static_cast<std::byte>(value >> (8 * (sizeof(Int) - 1 - i)));
}

std::string to_hex(Bytes bytes);                    // lower case
Result<ByteVector> from_hex(std::string_view hex);  // kMalformed on odd length or a foreign digit

}  // namespace longhaul
