#include "lib/transfer/base_file.hpp"

#include <gtest/gtest.h>

namespace longhaul::transfer {
namespace {

store::Piece chunk(char of, std::uint64_t length = 1000) {
  return {length, false, crypto::sha256(std::string(1, of))};
}

store::Piece hole(std::uint64_t length) {
  return {length, true, {}};
}

std::vector<store::Piece> chunks(std::string_view of) {
  std::vector<store::Piece> out;
  for (const char one : of) out.push_back(chunk(one));
  return out;
}

// Where each piece stands; -1: nowhere.
std::vector<int> places(BaseFile file, const std::vector<store::Piece>& pieces) {
  std::vector<int> out;
  for (const auto& piece : pieces) {
    const auto place = file.place_of(piece);
    out.push_back(place ? static_cast<int>(*place) : -1);
  }
  return out;
}

TEST(BaseFile, FindsWhatStandsAroundAnEdit) {
  EXPECT_EQ(places(BaseFile(chunks("abcdef")), chunks("abXYef")),
            (std::vector<int>{0, 1, -1, -1, 4, 5}));
}

TEST(BaseFile, FindsWhatWasMovedAndWhatIsThereTwice) {
  EXPECT_EQ(places(BaseFile(chunks("abcdef")), chunks("defabc")),
            (std::vector<int>{3, 4, 5, 0, 1, 2}));
  EXPECT_EQ(places(BaseFile(chunks("aabaac")), chunks("aaca")), (std::vector<int>{0, 1, 5, 0}));
}

TEST(BaseFile, GoesOnThroughHolesButSeeksNone) {
  const std::vector<store::Piece> base = {hole(50), chunk('a'), hole(70), chunk('b')};
  EXPECT_EQ(places(BaseFile(base), base), (std::vector<int>{0, 1, 2, 3}));
  EXPECT_EQ(places(BaseFile(base), {chunk('a'), hole(71), chunk('b')}),
            (std::vector<int>{1, -1, 3}));
  EXPECT_EQ(places(BaseFile(base), {chunk('b'), hole(50)}), (std::vector<int>{3, -1}));
}

TEST(BaseFile, TakesEqualIdsOfOtherLengthsForOthers) {
  EXPECT_EQ(places(BaseFile({chunk('a', 5)}), {chunk('a', 6)}), (std::vector<int>{-1}));
}

TEST(BaseFile, OfNoFileHoldsNothing) {
  EXPECT_EQ(places({}, {chunk('a'), hole(5)}), (std::vector<int>{-1, -1}));
}

// A million equal chunks are no million comparisons each.
TEST(BaseFile, OfOneChunkManyTimesIsQuick) {
  BaseFile file(std::vector<store::Piece>(1'000'000, chunk('a')));
  for (std::uint64_t i = 0; i < 1'000'000; ++i) ASSERT_EQ(file.place_of(chunk('a')), i);
  EXPECT_EQ(file.place_of(chunk('a')), 0U);
}

}  // namespace
}  // namespace longhaul::transfer
