#include "compression/byte_planes.hpp"

#include <algorithm>
#include <array>

namespace longhaul::compression {
namespace {

// Vector extensions that g++ and clang share; without a vector unit they compile to plain loops.
constexpr std::size_t kVectorBytes = 16;
using Vector [[gnu::vector_size(kVectorBytes)]] = unsigned char;

template <std::size_t kWidth>
struct Element;
template <>
struct Element<2> {
  using Scalar = std::uint16_t;
  using Lanes [[gnu::vector_size(kVectorBytes)]] = std::uint16_t;
};
template <>
struct Element<4> {
  using Scalar = std::uint32_t;
  using Lanes [[gnu::vector_size(kVectorBytes)]] = std::uint32_t;
};
template <>
struct Element<8> {
  using Scalar = std::uint64_t;
  using Lanes [[gnu::vector_size(kVectorBytes)]] = std::uint64_t;
};

template <std::size_t kWidth>
Vector rotated_left(Vector bytes) {
  using Lanes = typename Element<kWidth>::Lanes;
  const Lanes x = reinterpret_cast<Lanes>(bytes);
  return reinterpret_cast<Vector>((x << 1) | (x >> (8 * kWidth - 1)));
}
template <std::size_t kWidth>
Vector rotated_right(Vector bytes) {
  using Lanes = typename Element<kWidth>::Lanes;
  const Lanes x = reinterpret_cast<Lanes>(bytes);
  return reinterpret_cast<Vector>((x >> 1) | (x << (8 * kWidth - 1)));
}

Vector even_bytes(Vector a, Vector b) {
  return __builtin_shufflevector(a, b, 0, 2, 4, 6, 8, 10, 12, 14, 16, 18, 20, 22, 24, 26, 28, 30);
}
Vector odd_bytes(Vector a, Vector b) {
  return __builtin_shufflevector(a, b, 1, 3, 5, 7, 9, 11, 13, 15, 17, 19, 21, 23, 25, 27, 29, 31);
}
Vector woven_low(Vector a, Vector b) {
  return __builtin_shufflevector(a, b, 0, 16, 1, 17, 2, 18, 3, 19, 4, 20, 5, 21, 6, 22, 7, 23);
}
Vector woven_high(Vector a, Vector b) {
  return __builtin_shufflevector(a, b, 8, 24, 9, 25, 10, 26, 11, 27, 12, 28, 13, 29, 14, 30, 15,
                                 31);
}

// One round separates even from odd bytes; log2(width) rounds leave vector k with plane k.
template <std::size_t kWidth>
void split_block(const std::byte* in, std::byte* out, std::size_t elements) {
  std::array<Vector, kWidth> v;
  for (std::size_t i = 0; i < kWidth; ++i) {
    std::memcpy(&v[i], in + i * kVectorBytes, kVectorBytes);
    v[i] = rotated_left<kWidth>(v[i]);
  }
  for (std::size_t round = 1; round < kWidth; round *= 2) {
    std::array<Vector, kWidth> next;
    for (std::size_t i = 0; i < kWidth / 2; ++i) {
      next[i] = even_bytes(v[2 * i], v[2 * i + 1]);
      next[kWidth / 2 + i] = odd_bytes(v[2 * i], v[2 * i + 1]);
    }
    v = next;
  }
  for (std::size_t i = 0; i < kWidth; ++i) std::memcpy(out + i * elements, &v[i], kVectorBytes);
}

template <std::size_t kWidth>
void merge_block(const std::byte* in, std::byte* out, std::size_t elements) {
  std::array<Vector, kWidth> v;
  for (std::size_t i = 0; i < kWidth; ++i) std::memcpy(&v[i], in + i * elements, kVectorBytes);
  for (std::size_t round = 1; round < kWidth; round *= 2) {
    std::array<Vector, kWidth> next;
    for (std::size_t i = 0; i < kWidth / 2; ++i) {
      next[2 * i] = woven_low(v[i], v[kWidth / 2 + i]);
      next[2 * i + 1] = woven_high(v[i], v[kWidth / 2 + i]);
    }
    v = next;
  }
  for (std::size_t i = 0; i < kWidth; ++i) {
    v[i] = rotated_right<kWidth>(v[i]);
    std::memcpy(out + i * kVectorBytes, &v[i], kVectorBytes);
  }
}

template <std::size_t kWidth>
void split_from(std::size_t first, Bytes in, MutableBytes out) {
  using Scalar = typename Element<kWidth>::Scalar;
  const std::size_t elements = in.size() / kWidth;
  for (std::size_t i = first; i < elements; ++i) {
    Scalar x = load_le<Scalar>(in.subspan(i * kWidth, kWidth));
    x = std::rotl(x, 1);
    for (std::size_t k = 0; k < kWidth; ++k)
      out[k * elements + i] = static_cast<std::byte>(x >> (8 * k));
  }
  std::copy(in.begin() + static_cast<std::ptrdiff_t>(elements * kWidth), in.end(),
            out.begin() + static_cast<std::ptrdiff_t>(elements * kWidth));
}

template <std::size_t kWidth>
void merge_from(std::size_t first, Bytes in, MutableBytes out) {
  using Scalar = typename Element<kWidth>::Scalar;
  const std::size_t elements = in.size() / kWidth;
  for (std::size_t i = first; i < elements; ++i) {
    Scalar x = 0;
    for (std::size_t k = 0; k < kWidth; ++k)
      x = static_cast<Scalar>(x | (std::to_integer<Scalar>(in[k * elements + i]) << (8 * k)));
    store_le<Scalar>(out.subspan(i * kWidth, kWidth), std::rotr(x, 1));
  }
  std::copy(in.begin() + static_cast<std::ptrdiff_t>(elements * kWidth), in.end(),
            out.begin() + static_cast<std::ptrdiff_t>(elements * kWidth));
}

template <std::size_t kWidth>
void split(Bytes in, MutableBytes out) {
  const std::size_t elements = in.size() / kWidth;
  std::size_t i = 0;
  for (; i + kVectorBytes <= elements; i += kVectorBytes)
    split_block<kWidth>(in.data() + i * kWidth, out.data() + i, elements);
  split_from<kWidth>(i, in, out);
}

template <std::size_t kWidth>
void merge(Bytes in, MutableBytes out) {
  const std::size_t elements = in.size() / kWidth;
  std::size_t i = 0;
  for (; i + kVectorBytes <= elements; i += kVectorBytes)
    merge_block<kWidth>(in.data() + i, out.data() + i * kWidth, elements);
  merge_from<kWidth>(i, in, out);
}

}  // namespace

void split_planes(Bytes in, std::size_t width, MutableBytes out) {
  ASSERT(in.size() == out.size());
  ASSERT(width == 2 || width == 4 || width == 8);
  if (width == 2) return split<2>(in, out);
  if (width == 4) return split<4>(in, out);
  split<8>(in, out);
}

void merge_planes(Bytes in, std::size_t width, MutableBytes out) {
  ASSERT(in.size() == out.size());
  ASSERT(width == 2 || width == 4 || width == 8);
  if (width == 2) return merge<2>(in, out);
  if (width == 4) return merge<4>(in, out);
  merge<8>(in, out);
}

namespace scalar {

void split_planes(Bytes in, std::size_t width, MutableBytes out) {
  ASSERT(in.size() == out.size());
  ASSERT(width == 2 || width == 4 || width == 8);
  if (width == 2) return split_from<2>(0, in, out);
  if (width == 4) return split_from<4>(0, in, out);
  split_from<8>(0, in, out);
}

void merge_planes(Bytes in, std::size_t width, MutableBytes out) {
  ASSERT(in.size() == out.size());
  ASSERT(width == 2 || width == 4 || width == 8);
  if (width == 2) return merge_from<2>(0, in, out);
  if (width == 4) return merge_from<4>(0, in, out);
  merge_from<8>(0, in, out);
}

}  // namespace scalar
}  // namespace longhaul::compression
