#include "lib/transfer/chunk_table.hpp"

#include <gtest/gtest.h>

#include <string>

namespace longhaul::transfer {
namespace {

using State = ChunkTable::State;

store::StagedChunk place(std::uint32_t number) {
  return {store::FileNo(number / 3), number * 100ULL, number + 1,
          crypto::sha256(std::to_string(number))};
}

TEST(ChunkTable, KeepsIdsUntilTheirRunIsHere) {
  ChunkTable table;
  constexpr std::uint32_t kChunks = 2500;  // two runs and a begun one
  for (std::uint32_t n = 0; n < kChunks; ++n)
    table.add(place(n), n % 10 == 0 ? State::kHere : State::kMissing);
  EXPECT_EQ(table.pending(), kChunks - kChunks / 10);
  table.check();
  for (std::uint32_t n = 0; n < kChunks; ++n) {
    ASSERT_EQ(table.first_of(place(n).chunk), n);
    ASSERT_EQ(table.at(n).length, n + 1);
    if (n % 10 == 0) continue;
    EXPECT_EQ(table.place(n).chunk, place(n).chunk);
    EXPECT_EQ(table.place(n).offset, place(n).offset);
  }
  for (std::uint32_t n = kChunks; n-- > 0;) {
    if (n % 10 == 0) continue;
    table.set(n, State::kWriting);
    EXPECT_EQ(table.place(n).chunk, place(n).chunk);
    table.set(n, State::kHere);
  }
  table.check();
  EXPECT_EQ(table.pending(), 0U);
  // A chunk that came long ago still stands for its content.
  EXPECT_EQ(table.first_of(place(7).chunk), 7U);
  EXPECT_EQ(table.at(7).offset, 700U);
  EXPECT_FALSE(table.first_of(crypto::sha256("another")));
  table.clear();
  EXPECT_EQ(table.size(), 0U);
  EXPECT_FALSE(table.first_of(place(7).chunk));
}

TEST(ChunkTable, IdsThatBeginAlikeCountAsOne) {
  store::StagedChunk a = place(1), b = place(2);
  std::copy_n(a.chunk.bytes().begin(), 8, b.chunk.writable().begin());
  ChunkTable table;
  table.add(a, State::kHere);
  table.add(b, State::kTwin);
  EXPECT_EQ(table.first_of(b.chunk), 0U);
  EXPECT_EQ(table.place(1).chunk, b.chunk);  // its own, to be checked against what is copied
}

}  // namespace
}  // namespace longhaul::transfer
