#include "compression/zstd_codec.hpp"

#include <gtest/gtest.h>
#include <zstd.h>

#include "tests/compression/samples.hpp"

namespace longhaul::compression {
namespace {

ByteVector encoded(Bytes in, int level = 1) {
  ByteVector out(zstd_bound(in.size()));
  out.resize(ZstdEncoder().encode(in, level, out).value());
  return out;
}

Result<> decode_as(Bytes frame, std::size_t promised) {
  ByteVector out(promised);
  return ZstdDecoder().decode(frame, out);
}

std::string why(const Result<>& result) {
  return result.has_value() ? "nothing wrong" : result.error().why();
}

// A frame of RLE blocks, each of which says one byte 128 KiB times over: 1 GiB in 32 KiB.
ByteVector rle_bomb(std::uint64_t claimed, std::size_t blocks) {
  ByteVector frame = from_hex("28b52ffde0").value();  // single segment, 8-byte size
  ByteVector size(8);
  store_le(size, claimed);
  append(frame, size);
  for (std::size_t i = 0; i < blocks; ++i) {
    const std::uint32_t header = (131072U << 3) | (1U << 1) | (i + 1 == blocks ? 1U : 0U);
    ByteVector block(4);
    store_le(block, header);
    append(frame, block);  // three bytes of header; the fourth, 0, is the byte to repeat
  }
  return frame;
}

TEST(ZstdCodec, GivesBackWhatWentIn) {
  ZstdEncoder encoder;
  ZstdDecoder decoder;
  for (const std::size_t size : {0U, 1U, 255U, 256U, 70'000U, 300'000U}) {
    for (const int level : {kMinZstdLevel, 3, kMaxZstdLevel}) {
      const ByteVector in = lines(size, size);
      ByteVector frame(zstd_bound(size));
      frame.resize(encoder.encode(in, level, frame).value());
      ByteVector out(size);
      ASSERT_TRUE(decoder.decode(frame, out)) << size;
      EXPECT_EQ(out, in);
    }
  }
}

TEST(ZstdCodec, SaysThatTheResultDoesNotFit) {
  const ByteVector noise = random_bytes(10'000, 1);
  ByteVector out(noise.size() - 1);
  EXPECT_FALSE(ZstdEncoder().encode(noise, 1, out).has_value());
  EXPECT_FALSE(ZstdEncoder().encode(noise, 1, {}).has_value());
  EXPECT_FALSE(ZstdEncoder().encode_plane(noise, out).has_value());
}

TEST(ZstdCodec, RefusesEveryTruncation) {
  const ByteVector frame = encoded(lines(5000, 1));
  for (std::size_t size = 0; size < frame.size(); ++size)
    EXPECT_FALSE(decode_as(Bytes(frame).first(size), 5000)) << size;
}

TEST(ZstdCodec, NeverAnswersAFlippedBitWithAnotherLength) {
  const ByteVector whole = lines(3000, 1);
  ByteVector frame = encoded(whole);
  std::size_t refused = 0;
  for (std::size_t bit = 0; bit < frame.size() * 8; ++bit) {
    const auto mask = static_cast<std::byte>(1U << (bit % 8));
    frame[bit / 8] ^= mask;
    if (!decode_as(frame, 3000)) ++refused;
    frame[bit / 8] ^= mask;
  }
  EXPECT_GT(refused, frame.size());  // the rest gives wrong bytes, which the chunk's hash catches
}

TEST(ZstdCodec, RefusesAnotherLengthThanPromised) {
  const ByteVector frame = encoded(lines(5000, 1));
  EXPECT_EQ(why(decode_as(frame, 4999)), "claims another size than was promised");
  EXPECT_EQ(why(decode_as(frame, 5001)), "claims another size than was promised");
}

TEST(ZstdCodec, WritesNoMoreThanPromisedOfABomb) {
  ByteVector out(131072 + 16, std::byte{0xee});
  const MutableBytes promised = MutableBytes(out).first(131072);
  EXPECT_FALSE(ZstdDecoder().decode(rle_bomb(131072, 8192), promised));  // the header lies
  EXPECT_FALSE(ZstdDecoder().decode(rle_bomb(std::uint64_t{8192} * 131072, 8192), promised));
  for (std::size_t i = 131072; i < out.size(); ++i) EXPECT_EQ(out[i], std::byte{0xee});
}

TEST(ZstdCodec, RefusesAWindowOfTwoGibibytes) {
  // No single segment, window 2^31, 1-byte dictionary flag clear, 4-byte size of 5, raw block
  // "hello".
  const ByteVector frame = from_hex(
                               "28b52ffd80a8050000002900006865"
                               "6c6c6f")
                               .value();
  const auto result = decode_as(frame, 5);
  ASSERT_FALSE(result);
  EXPECT_EQ(result.error().kind(), Kind::kLimit);
  ByteVector small_window = frame;
  small_window[5] = std::byte{0x00};  // the same with a window of 1 KiB is a good frame
  EXPECT_TRUE(decode_as(small_window, 5));
}

TEST(ZstdCodec, RefusesASecondFrameAndBytesBehind) {
  ByteVector frame = encoded(lines(500, 1));
  append(frame, encoded({}));
  EXPECT_EQ(why(decode_as(frame, 500)), "cut short, or followed by more");
  ByteVector trailed = encoded(lines(500, 1));
  trailed.push_back(std::byte{0});
  EXPECT_EQ(why(decode_as(trailed, 500)), "cut short, or followed by more");
}

TEST(ZstdCodec, RefusesSkippableFrames) {
  ByteVector skippable = from_hex("502a4d1804000000aaaaaaaa").value();
  EXPECT_EQ(why(decode_as(skippable, 0)), "not a zstd frame");
  append(skippable, encoded(lines(500, 1)));
  EXPECT_EQ(why(decode_as(skippable, 500)), "not a zstd frame");
}

TEST(ZstdCodec, RefusesADictionaryNumber) {
  ByteVector frame = encoded(lines(500, 1));
  frame[4] |= std::byte{0x01};
  EXPECT_EQ(why(decode_as(frame, 500)), "names a dictionary by zstd's own number");
  frame[4] = (frame[4] & std::byte{0xfc}) | std::byte{0x08};
  EXPECT_EQ(why(decode_as(frame, 500)), "reserved bits are set");
}

TEST(ZstdCodec, RefusesAFrameWithoutItsSize) {
  ZSTD_CCtx* context = ZSTD_createCCtx();
  ZSTD_CCtx_setParameter(context, ZSTD_c_contentSizeFlag, 0);
  const ByteVector in = lines(500, 1);
  ByteVector frame(zstd_bound(in.size()));
  frame.resize(ZSTD_compress2(context, frame.data(), frame.size(), in.data(), in.size()));
  ZSTD_freeCCtx(context);
  EXPECT_EQ(why(decode_as(frame, 500)), "does not say its size");
}

TEST(ZstdCodec, CompressesARunOfPlanesAndKeepsNoise) {
  ByteVector zeros(100'000);
  ByteVector out(zeros.size());
  EXPECT_LT(ZstdEncoder().encode_plane(zeros, out).value(), 64U);
}

}  // namespace
}  // namespace longhaul::compression
