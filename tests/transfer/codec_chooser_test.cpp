#include "lib/transfer/codec_chooser.hpp"

#include <gtest/gtest.h>

namespace longhaul::transfer {
namespace {

using compression::Codec;
using compression::Measured;
using compression::Rung;

constexpr std::uint64_t kLarge = 8U << 20, kLittle = 10'000;
constexpr std::uint64_t kBlock = 256U << 10;
const BytesPerSecond kLink = BytesPerSecond::from_bits(100'000'000);

// What a codec does to a block of this data at 400 MB/s of a core.
Measured measured(Rung rung, std::uint64_t percent_left) {
  const std::uint64_t out = rung.codec == Codec::kRaw ? kBlock : kBlock * percent_left / 100;
  return {rung, kBlock, out, BytesPerSecond(400'000'000).time_for(ByteCount(kBlock))};
}

// Blocks of a file, each encoded as chosen and told of; the last choice.
Rung blocks(CodecChooser& chooser, std::uint32_t row, std::uint64_t file_bytes,
            std::uint64_t percent_left, int count = 10) {
  Rung rung;
  for (int i = 0; i < count; ++i) {
    rung = chooser.choose(row, file_bytes, kLink);
    chooser.on_measured(row, file_bytes, measured(rung, percent_left));
  }
  return chooser.choose(row, file_bytes, kLink);
}

TEST(CodecChooser, TheFirstBlockIsItsOwnProbe) {
  CodecChooser chooser(2);
  EXPECT_NE(chooser.choose(1, kLarge, kLink).codec, Codec::kRaw);
  EXPECT_NE(chooser.choose(1, kLittle, kLink).codec, Codec::kRaw);
}

TEST(CodecChooser, ALargeFileIsJudgedByItself) {
  CodecChooser chooser(2);
  EXPECT_EQ(blocks(chooser, 1, kLarge, 100).codec, Codec::kRaw);
  EXPECT_NE(blocks(chooser, 2, kLarge, 30).codec, Codec::kRaw);
  EXPECT_EQ(chooser.choose(1, kLarge, kLink).codec, Codec::kRaw);  // still
}

TEST(CodecChooser, SmallFilesAreJudgedTogether) {
  CodecChooser chooser(2);
  EXPECT_EQ(blocks(chooser, 1, kLittle, 100).codec, Codec::kRaw);
  EXPECT_EQ(chooser.choose(2, kLittle, kLink).codec, Codec::kRaw);
  EXPECT_NE(chooser.choose(2, kLarge, kLink).codec, Codec::kRaw);  // a large one has its own probe
}

TEST(CodecChooser, OnlyLargeFilesAreTriedAsTensors) {
  CodecChooser chooser(2);
  const auto tried = [&](std::uint64_t file_bytes) {
    bool planes = false;
    for (int i = 0; i < 10; ++i) {
      const Rung rung = chooser.choose(3, file_bytes, kLink);
      planes = planes || rung.codec == Codec::kPlanes2Zstd;
      chooser.on_measured(3, file_bytes, measured(rung, 60));
    }
    return planes;
  };
  EXPECT_TRUE(tried(kLarge));
  EXPECT_FALSE(tried(kLittle));
}

TEST(CodecChooser, RemembersSixtyFourFiles) {
  CodecChooser chooser(2);
  for (std::uint32_t row = 0; row < 64; ++row)
    EXPECT_EQ(blocks(chooser, row, kLarge, 100).codec, Codec::kRaw);
  EXPECT_EQ(chooser.choose(0, kLarge, kLink).codec, Codec::kRaw);
  blocks(chooser, 64, kLarge, 100);  // and the first is forgotten
  EXPECT_EQ(chooser.choose(63, kLarge, kLink).codec, Codec::kRaw);
  EXPECT_NE(chooser.choose(0, kLarge, kLink).codec, Codec::kRaw);
}

TEST(CodecChooser, TimeThatNobodyMeasuredIsTheFigureOfTheCodec) {
  EXPECT_EQ(CodecChooser::nominal_cpu({Codec::kRaw}, 5'000'000), Duration(1ms));
  EXPECT_EQ(CodecChooser::nominal_cpu({Codec::kZstd, 1}, 400'000), Duration(1ms));
  EXPECT_EQ(CodecChooser::nominal_cpu({Codec::kZstd, 4}, 400'000), Duration(4ms));
  EXPECT_EQ(CodecChooser::nominal_cpu({Codec::kPlanes2Zstd}, 335'000), Duration(1ms));
  EXPECT_EQ(CodecChooser::nominal_cpu({Codec::kZstd, 1}, 0), Duration{});
}

}  // namespace
}  // namespace longhaul::transfer
