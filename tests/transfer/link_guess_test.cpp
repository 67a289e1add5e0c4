#include "lib/transfer/link_guess.hpp"

#include <gtest/gtest.h>

#include "lib/transfer/codec_chooser.hpp"

namespace longhaul::transfer {
namespace {

constexpr BytesPerSecond rate(std::uint64_t bytes) {
  return BytesPerSecond(bytes);
}

TEST(LinkGuess, FollowsWhatLeavesWhileTheLinkIsTheLimit) {
  LinkGuess guess(rate(50'000'000));
  guess.on_block(Time(1s), Stage::kLink, rate(20'000'000));
  EXPECT_EQ(guess.rate(), rate(20'000'000));
  guess.on_block(Time(1s), Stage::kRateCap, rate(3'000'000));
  EXPECT_EQ(guess.rate(), rate(3'000'000));
  guess.on_block(Time(1s), Stage::kLink, {});  // nothing has left yet
  EXPECT_EQ(guess.rate(), rate(3'000'000));
}

TEST(LinkGuess, DoesNotTakeAWaitForTheDiskOrThePeerForASlowLink) {
  LinkGuess guess(rate(50'000'000));
  guess.on_block(Time(1s), Stage::kDisk, rate(1'000'000));
  guess.on_block(Time(2s), Stage::kPeer, rate(1'000'000));
  EXPECT_EQ(guess.rate(), rate(50'000'000));
}

// Blocks that fill the buffers of a slow link at its start say nothing of it.
TEST(LinkGuess, IsNotRaisedByAFewBlocksAtOnce) {
  LinkGuess guess(rate(30'000'000));
  for (int i = 0; i < 50; ++i) guess.on_block(Time(i * 1ms), Stage::kCpu, rate(1'000'000));
  EXPECT_EQ(guess.rate(), rate(30'000'000));
  guess.on_block(Time(120ms), Stage::kCpu, rate(1'000'000));
  EXPECT_EQ(guess.rate(), rate(37'500'000));
}

// A link of a gigabyte a second behind a codec of 20 MB/s a core: what leaves is what the codec
// makes.
TEST(LinkGuess, ASenderHeldUpByItsCodecComesToSendRaw) {
  CodecChooser chooser(2);
  LinkGuess guess({});
  compression::Rung rung;
  int blocks = 0;
  for (; blocks < 100; ++blocks) {
    guess.on_block(Time(blocks * 50ms), Stage::kCpu, rate(10'000'000));
    rung = chooser.choose(0, 1000, guess.rate(), {}).rung;
    if (blocks > 3 && rung.codec == compression::Codec::kRaw) break;
    compression::Measured measured;
    measured.rung = rung;
    measured.in_bytes = 1'000'000;
    measured.out_bytes = 250'000;
    measured.cpu = 50ms;
    chooser.on_measured(0, 1000, measured);
  }
  EXPECT_EQ(rung.codec, compression::Codec::kRaw);
  EXPECT_LT(blocks, 80);
}

}  // namespace
}  // namespace longhaul::transfer
