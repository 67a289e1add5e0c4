#include "compression/byte_planes.hpp"

#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>

#include "compression/xor_delta.hpp"
#include "tests/compression/samples.hpp"

namespace longhaul::compression {
namespace {

ByteVector hex(std::string_view text) {
  return from_hex(text).value();
}

ByteVector split(Bytes in, std::size_t width) {
  ByteVector out(in.size());
  split_planes(in, width, out);
  return out;
}

TEST(BytePlanes, LayTheBytesOfRotatedElementsSideBySide) {
  // 0x8001 rotates to 0x0003, 0x4080 to 0x8100; the odd byte stays last.
  EXPECT_EQ(split(hex("018080407f"), 2), hex("030000817f"));
  EXPECT_EQ(split(hex("0100008002000040"), 4), hex("0304000000000080"));
  EXPECT_EQ(split(hex("0100000000000080aabb"), 8), hex("0300000000000000aabb"));
}

TEST(BytePlanes, PutTheExponentOfBf16IntoOneByte) {
  const ByteVector ones_and_twos = hex("803f803f004000c0");  // 1, 1, 2, -2
  EXPECT_EQ(split(ones_and_twos, 2), hex("000000017f7f8080"));
}

RC_GTEST_PROP(BytePlanes, MergeUndoesSplitAndVectorsAgreeWithScalars, (std::uint64_t seed)) {
  const auto width = *rc::gen::element<std::size_t>(2, 4, 8);
  const auto size = *rc::gen::inRange<std::size_t>(0, 700);
  const ByteVector in = random_bytes(size, seed);
  ByteVector planes(size);
  ByteVector planes_by_scalar(size);
  split_planes(in, width, planes);
  scalar::split_planes(in, width, planes_by_scalar);
  RC_ASSERT(planes == planes_by_scalar);
  ByteVector back(size);
  ByteVector back_by_scalar(size);
  merge_planes(planes, width, back);
  scalar::merge_planes(planes, width, back_by_scalar);
  RC_ASSERT(back == in);
  RC_ASSERT(back_by_scalar == in);
}

RC_GTEST_PROP(XorDelta, IsUndoneByItself, (std::uint64_t seed)) {
  const auto size = *rc::gen::inRange<std::size_t>(0, 300);
  const ByteVector data = random_bytes(size, seed);
  const ByteVector base = random_bytes(size, seed + 1);
  ByteVector delta(size);
  xor_with(data, base, delta);
  for (std::size_t i = 0; i < size; ++i) RC_ASSERT(delta[i] == (data[i] ^ base[i]));
  xor_with(delta, base, delta);
  RC_ASSERT(delta == data);
}

}  // namespace
}  // namespace longhaul::compression
