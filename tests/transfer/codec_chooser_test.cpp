#include "lib/transfer/codec_chooser.hpp"

#include <gtest/gtest.h>

#include <vector>

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
    rung = chooser.choose(row, file_bytes, kLink, {}).rung;
    chooser.on_measured(row, file_bytes, measured(rung, percent_left));
  }
  return chooser.choose(row, file_bytes, kLink, {}).rung;
}

TEST(CodecChooser, TheFirstBlockIsItsOwnProbe) {
  CodecChooser chooser(2);
  EXPECT_NE(chooser.choose(1, kLarge, kLink, {}).rung.codec, Codec::kRaw);
  EXPECT_NE(chooser.choose(1, kLittle, kLink, {}).rung.codec, Codec::kRaw);
}

TEST(CodecChooser, ALargeFileIsJudgedByItself) {
  CodecChooser chooser(2);
  EXPECT_EQ(blocks(chooser, 1, kLarge, 100).codec, Codec::kRaw);
  EXPECT_NE(blocks(chooser, 2, kLarge, 30).codec, Codec::kRaw);
  EXPECT_EQ(chooser.choose(1, kLarge, kLink, {}).rung.codec, Codec::kRaw);  // still
}

// A reader takes files in any order: the first of the push may be the one that is asked for now.
TEST(CodecChooser, AFileThatIsStillAskedForIsNotForgotten) {
  CodecChooser chooser(2);
  EXPECT_EQ(blocks(chooser, 0, kLarge, 100).codec, Codec::kRaw);
  for (std::uint32_t row = 1; row < 200; ++row) {
    blocks(chooser, row, kLarge, 30, 1);
    ASSERT_EQ(chooser.choose(0, kLarge, kLink, {}).rung.codec, Codec::kRaw) << row;
  }
}

TEST(CodecChooser, SmallFilesAreJudgedTogether) {
  CodecChooser chooser(2);
  EXPECT_EQ(blocks(chooser, 1, kLittle, 100).codec, Codec::kRaw);
  EXPECT_EQ(chooser.choose(2, kLittle, kLink, {}).rung.codec, Codec::kRaw);
  EXPECT_NE(chooser.choose(2, kLarge, kLink, {}).rung.codec,
            Codec::kRaw);  // a large one has its own probe
}

TEST(CodecChooser, OnlyLargeFilesAreTriedAsTensors) {
  CodecChooser chooser(2);
  const auto tried = [&](std::uint64_t file_bytes) {
    bool planes = false;
    for (int i = 0; i < 10; ++i) {
      const Rung rung = chooser.choose(3, file_bytes, kLink, {}).rung;
      planes = planes || rung.codec == Codec::kPlanes2Zstd;
      chooser.on_measured(3, file_bytes, measured(rung, 60));
    }
    return planes;
  };
  EXPECT_TRUE(tried(kLarge));
  EXPECT_FALSE(tried(kLittle));
}

// Text to zstd: each level up gains, and takes longer.
Measured of_text(Rung rung, std::uint64_t bytes) {
  const std::uint64_t left =
      rung.codec == Codec::kZstd ? 45 - 3 * static_cast<std::uint64_t>(rung.level) : 60;
  const BytesPerSecond rate(400'000'000 / static_cast<std::uint64_t>(rung.level));
  return {rung, bytes, bytes * left / 100, rate.time_for(ByteCount(bytes))};
}

// The levels above 1 that are tried for a file until nothing more is to be tried.
std::vector<int> levels_tried(CodecChooser& chooser, std::uint32_t row) {
  std::vector<int> levels;
  for (int i = 0; i < 20; ++i) {
    const auto chosen = chooser.choose(row, kLarge, kLink, {});
    if (chosen.is_trial) levels.push_back(chosen.rung.level);
    chooser.on_measured(row, kLarge, of_text(chosen.rung, kBlock));
  }
  return levels;
}

TEST(CodecChooser, TriesAHigherLevelOnOneBlockAtATime) {
  CodecChooser chooser(8);
  for (int basics = 0; basics < 2; ++basics)
    chooser.on_measured(1, kLarge, of_text(chooser.choose(1, kLarge, kLink, {}).rung, kBlock));
  const auto trial = chooser.choose(1, kLarge, kLink, {});
  EXPECT_TRUE(trial.is_trial);
  EXPECT_EQ(trial.rung.level, 3);
  for (int beside = 0; beside < 3; ++beside) {
    const auto other = chooser.choose(1, kLarge, kLink, {});
    EXPECT_FALSE(other.is_trial);
    EXPECT_EQ(other.rung.level, 1);
  }
  // Lost, it is tried again; measured, the next one is.
  chooser.on_lost(1, trial.rung);
  EXPECT_EQ(chooser.choose(1, kLarge, kLink, {}).rung, trial.rung);
  chooser.on_measured(1, kLarge, of_text(trial.rung, kBlock));
  EXPECT_EQ(chooser.choose(1, kLarge, kLink, {}).rung.level, 6);
}

TEST(CodecChooser, TriesNothingSlowWhereSomebodyWaitsOrCoresAreBusy) {
  for (const CodecChooser::Needs needs :
       {CodecChooser::Needs{true, false}, CodecChooser::Needs{false, true}}) {
    CodecChooser chooser(8);
    for (int i = 0; i < 20; ++i) {
      const auto chosen = chooser.choose(1, kLarge, kLink, needs);
      EXPECT_FALSE(chosen.is_trial);
      EXPECT_EQ(chosen.rung.level, 1);
      chooser.on_measured(1, kLarge, of_text(chosen.rung, kBlock));
    }
    EXPECT_TRUE(chooser.choose(1, kLarge, kLink, {}).is_trial);  // later
  }
}

TEST(CodecChooser, ALargeFileKnowsWhatItsNeighbourTaught) {
  CodecChooser chooser(8);
  EXPECT_EQ(levels_tried(chooser, 1), (std::vector<int>{3, 6, 9, 12}));
  EXPECT_EQ(levels_tried(chooser, 2), std::vector<int>{});
  const auto settled = chooser.choose(2, kLarge, kLink, {}).rung;
  EXPECT_EQ(settled, chooser.choose(1, kLarge, kLink, {}).rung);
  EXPECT_GT(settled.level, 1);
  EXPECT_EQ(blocks(chooser, 3, kLarge, 100).codec, Codec::kRaw);  // another kind is not taken in
  EXPECT_EQ(levels_tried(chooser, 4), (std::vector<int>{3, 6, 9, 12}));
}

// A reader in a shuffled order asks for blocks of many files before any of them has tried a thing.
TEST(CodecChooser, FilesThatBeganTogetherClimbOnce) {
  CodecChooser chooser(8);
  for (std::uint32_t row = 1; row <= 20; ++row)
    for (int block = 0; block < 3; ++block)
      chooser.on_measured(
          row, kLarge, of_text(chooser.choose(row, kLarge, kLink, {.at_once = true}).rung, kBlock));
  EXPECT_EQ(levels_tried(chooser, 1), (std::vector<int>{3, 6, 9, 12}));
  for (std::uint32_t row = 2; row <= 20; ++row)
    EXPECT_EQ(levels_tried(chooser, row), std::vector<int>{}) << row;
}

TEST(CodecChooser, RemembersSixtyFourFiles) {
  CodecChooser chooser(2);
  for (std::uint32_t row = 0; row < 64; ++row)
    EXPECT_EQ(blocks(chooser, row, kLarge, 100).codec, Codec::kRaw);
  EXPECT_EQ(chooser.choose(0, kLarge, kLink, {}).rung.codec, Codec::kRaw);
  blocks(chooser, 64, kLarge, 100);  // and the one that was asked for longest ago is forgotten
  EXPECT_EQ(chooser.choose(63, kLarge, kLink, {}).rung.codec, Codec::kRaw);
  EXPECT_EQ(chooser.choose(0, kLarge, kLink, {}).rung.codec, Codec::kRaw);
  EXPECT_NE(chooser.choose(1, kLarge, kLink, {}).rung.codec, Codec::kRaw);
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
