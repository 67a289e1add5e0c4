#include "compression/chunker.hpp"

#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>

#include "lib/base/rng.hpp"
#include "tests/compression/samples.hpp"

namespace longhaul::compression {
namespace {

using Cuts = std::vector<std::uint64_t>;

Cuts cut_in_pieces(Bytes whole, std::size_t piece_max, std::uint64_t seed) {
  Rng rng(seed);
  Chunker chunker;
  Cuts cuts;
  while (!whole.empty()) {
    const std::size_t piece = std::min<std::size_t>(whole.size(), rng.between(0, piece_max));
    chunker.feed(whole.first(piece), cuts);
    whole = whole.subspan(piece);
  }
  chunker.finish(cuts);
  return cuts;
}

// The definition, byte by byte, written from the header and without its tricks.
Cuts cut_slowly(Bytes whole) {
  std::uint64_t gear[256];
  std::uint64_t state = 0x6c6f6e676861756c;
  for (std::uint64_t& entry : gear) {
    std::uint64_t z = (state += 0x9e3779b97f4a7c15);
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9;
    z = (z ^ (z >> 27)) * 0x94d049bb133111eb;
    entry = z ^ (z >> 31);
  }
  Cuts cuts;
  std::size_t start = 0;
  while (start < whole.size()) {
    std::size_t length = std::min<std::size_t>(whole.size() - start, 16384);
    for (; start + length < whole.size() && length < 262144; ++length) {
      std::uint64_t hash = 0;
      for (std::size_t back = 64; back > 0; --back)
        hash = (hash << 1) + gear[std::to_integer<unsigned>(whole[start + length - back])];
      if (hash >> (length < 53248 ? 46 : 50) == 0) break;
    }
    start += length;
    cuts.push_back(start);
  }
  return cuts;
}

TEST(Chunker, CutsAsDefined) {
  const ByteVector noise = random_bytes(3 << 20, 1);
  EXPECT_EQ(cut_offsets(noise), cut_slowly(noise));
  const ByteVector text = lines(2 << 20, 2);
  EXPECT_EQ(cut_offsets(text), cut_slowly(text));
}

// Never update these numbers: they are what deployed stores hold.
TEST(Chunker, CutsStayWhereTheyWereFirstMade) {
  EXPECT_EQ(cut_offsets(random_bytes(1 << 20, 7)),
            (Cuts{64102, 124110, 203530, 267950, 362646, 415908, 489660, 546500, 612615, 690944,
                  745852, 804785, 865249, 936381, 990125, 1037345, 1048576}));
  EXPECT_EQ(cut_offsets(lines(512 << 10, 7)),
            (Cuts{63182, 125823, 181381, 260100, 329634, 391159, 475315, 524288}));
}

RC_GTEST_PROP(Chunker, DoesNotDependOnHowBytesAreFed, (std::uint64_t seed)) {
  const auto size = *rc::gen::inRange<std::size_t>(0, 700'000);
  const auto piece_max = *rc::gen::element<std::size_t>(1, 63, 64, 65, 4096, 16383, 262'145);
  const ByteVector whole = seed % 2 == 0 ? random_bytes(size, seed) : lines(size, seed);
  const Cuts cuts = cut_offsets(whole);
  RC_ASSERT(cut_in_pieces(whole, piece_max, seed) == cuts);
  std::uint64_t start = 0;
  for (const std::uint64_t cut : cuts) {
    RC_ASSERT(cut > start);
    RC_ASSERT(cut - start <= kMaxChunkBytes);
    RC_ASSERT(cut - start >= kMinChunkBytes || cut == whole.size());
    start = cut;
  }
  RC_ASSERT(start == whole.size());
}

TEST(Chunker, CutsNothingFromNothing) {
  EXPECT_TRUE(cut_offsets({}).empty());
  Chunker chunker;
  Cuts cuts;
  chunker.finish(cuts);
  EXPECT_TRUE(cuts.empty());
}

TEST(Chunker, LeavesShortFilesWhole) {
  EXPECT_EQ(cut_offsets(random_bytes(1, 3)), Cuts{1});
  EXPECT_EQ(cut_offsets(random_bytes(kMinChunkBytes, 3)), Cuts{kMinChunkBytes});
}

TEST(Chunker, CutsHolesAtTheMaximum) {
  const ByteVector zeros(3 * kMaxChunkBytes + 5);
  EXPECT_EQ(cut_offsets(zeros),
            (Cuts{kMaxChunkBytes, 2 * kMaxChunkBytes, 3 * kMaxChunkBytes, 3 * kMaxChunkBytes + 5}));
}

TEST(Chunker, AveragesSixtyFourKibibytes) {
  const std::size_t size = 32U << 20;
  const Cuts cuts = cut_offsets(random_bytes(size, 4));
  const double mean = static_cast<double>(size) / static_cast<double>(cuts.size());
  EXPECT_GT(mean, 0.93 * kAverageChunkBytes);  // 512 chunks of deviation 16 KiB: 3 sigma is 3 %
  EXPECT_LT(mean, 1.07 * kAverageChunkBytes);
}

TEST(Chunker, FindsTheOldCutsAgainBehindAnInsertion) {
  const ByteVector before = random_bytes(8 << 20, 5);
  const Cuts old_cuts = cut_offsets(before);
  Rng rng(6);
  std::size_t worst = 0;
  std::size_t sum = 0;
  constexpr std::size_t kEdits = 24;
  for (std::size_t edit = 0; edit < kEdits; ++edit) {
    ByteVector after = before;
    const auto place = static_cast<std::ptrdiff_t>(rng.below(before.size()));
    const std::size_t grown = rng.between(1, 100);
    after.insert(after.begin() + place, grown, std::byte{0x5a});
    std::size_t touched = 0;
    std::uint64_t start = 0;
    for (const std::uint64_t cut : cut_offsets(after)) {
      const bool known =
          cut <= static_cast<std::uint64_t>(place)
              ? std::binary_search(old_cuts.begin(), old_cuts.end(), cut)
              : start >= static_cast<std::uint64_t>(place) + grown &&
                    std::binary_search(old_cuts.begin(), old_cuts.end(), start - grown) &&
                    std::binary_search(old_cuts.begin(), old_cuts.end(), cut - grown);
      if (!known) touched += cut - start;
      start = cut;
    }
    worst = std::max(worst, touched);
    sum += touched;
  }
  EXPECT_LE(sum / kEdits, 110U << 10);
  EXPECT_LE(worst, 512U << 10);
}

TEST(Chunker, StartsAgainAfterTheEnd) {
  const ByteVector whole = random_bytes(300'000, 8);
  Chunker chunker;
  Cuts first;
  chunker.feed(whole, first);
  chunker.finish(first);
  EXPECT_EQ(chunker.offset(), 0U);
  Cuts second;
  chunker.feed(whole, second);
  EXPECT_EQ(chunker.offset(), whole.size());
  chunker.finish(second);
  EXPECT_EQ(second, first);
}

}  // namespace
}  // namespace longhaul::compression
