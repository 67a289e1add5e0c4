#include "lib/transfer/rows.hpp"

#include <gtest/gtest.h>

#include "lib/transfer/site_memory.hpp"

namespace longhaul::transfer {
namespace {

using store::EntryType;
using store::Piece;
using store::TreeName;

Row row_of(const char* name, EntryType type, std::uint64_t size = 0) {
  Row row;
  row.entry.name = TreeName::known(name);
  row.entry.type = type;
  row.entry.mode = 0640;
  row.entry.mtime = WallTime{-5};
  row.entry.size = size;
  row.seen.type = store::FileType::kFile;
  row.seen.mode = row.entry.mode;
  row.seen.size = size;
  row.seen.mtime = row.entry.mtime;
  row.seen.ctime = WallTime{77};
  row.seen.inode = 1ULL << 40;
  row.seen.device = 12;
  return row;
}

Piece chunk(std::uint64_t length, const char* text) {
  return {length, false, crypto::sha256(text)};
}

bool same(const Row& a, const Row& b) {
  return a.entry == b.entry && a.pieces == b.pieces && a.hashed == b.hashed &&
         a.seen.same_content_as(b.seen);
}

TEST(Rows, GiveBackWhatWasPutIn) {
  std::vector<Row> all{row_of("a", EntryType::kFolder),
                       row_of("a/b", EntryType::kFolder),
                       row_of("a/b/f", EntryType::kFile, 1ULL << 50),
                       row_of("a/b/to", EntryType::kSymlink),
                       row_of("a/c", EntryType::kFile, 3),
                       row_of("a/c2", EntryType::kHardLink),
                       row_of("a.txt", EntryType::kFile)};
  all[2].pieces = {chunk(256 << 10, "one"), {(1ULL << 50) - (256 << 10), true, {}}};
  all[2].hashed = true;
  all[3].entry.target = "../c";
  all[4].seen.device = 13;
  all[5].entry.target = "a/c";
  Rows rows;
  for (const Row& row : all) rows.push_back(row);
  ASSERT_EQ(rows.size(), all.size());
  for (std::size_t i = 0; i < all.size(); ++i) {
    EXPECT_EQ(rows.entry(i), all[i].entry) << i;
    EXPECT_EQ(rows.pieces(i), all[i].pieces) << i;
    EXPECT_TRUE(!rows.is_file(i) || same(rows.at(i), all[i])) << i;
  }
  EXPECT_EQ(rows.chunk(2, 0), crypto::sha256("one"));
  EXPECT_EQ(rows.bytes(3), 0U);  // a link's target is no content
  EXPECT_TRUE(rows.is_open(4));
  EXPECT_FALSE(rows.is_open(2));
}

// --files-from may name what lies in a folder that has no row.
TEST(Rows, ANameWhoseFolderIsMissingIsKeptWhole) {
  Rows rows;
  rows.push_back(row_of("a", EntryType::kFolder));
  rows.push_back(row_of("b/c/d", EntryType::kFile, 1));
  EXPECT_EQ(rows.name(1).text(), "b/c/d");
}

// Several large files are hashed at once, each a portion at a time.
TEST(Rows, PiecesMayComeInPortionsInAnyOrder) {
  Rows rows;
  rows.push_back(row_of("f", EntryType::kFile, 6));
  rows.push_back(row_of("g", EntryType::kFile, 4));
  rows.add_pieces(0, std::vector{chunk(1, "f0")});
  rows.add_pieces(1, std::vector{chunk(2, "g0")});
  rows.add_pieces(0, std::vector{chunk(2, "f1"), Piece{3, true, {}}});
  rows.add_pieces(1, std::vector{chunk(2, "g1")});
  EXPECT_EQ(rows.pieces(0), (std::vector{chunk(1, "f0"), chunk(2, "f1"), Piece{3, true, {}}}));
  EXPECT_EQ(rows.pieces(1), (std::vector{chunk(2, "g0"), chunk(2, "g1")}));
  EXPECT_EQ(rows.piece(0, 2), (Piece{3, true, {}}));
  rows.forget_pieces(0);
  EXPECT_EQ(rows.piece_count(0), 0U);
  rows.add_pieces(0, std::vector{chunk(6, "new")});
  EXPECT_EQ(rows.pieces(0), std::vector{chunk(6, "new")});
}

TEST(Rows, AFileThatChangedIsSeenAnew) {
  Rows rows;
  rows.push_back(row_of("f", EntryType::kFile, 6));
  store::FileStat now = rows.seen(0);
  now.size = 9;
  now.mtime = WallTime{1};
  now.ctime = WallTime{2};
  now.inode = 3;
  now.mode = 04755;
  rows.look_anew(0, now);
  EXPECT_TRUE(rows.seen(0).same_content_as(now));
  EXPECT_EQ(rows.entry(0).size, 9U);
  EXPECT_EQ(rows.entry(0).mode, 0755U);
}

TEST(IdSet, KnowsWhatWasPutIn) {
  IdSet set;
  for (int i = 0; i < 3000; ++i) EXPECT_TRUE(set.insert(crypto::sha256(std::to_string(i))));
  for (int i = 0; i < 3000; ++i) {
    EXPECT_TRUE(set.contains(crypto::sha256(std::to_string(i))));
    EXPECT_FALSE(set.insert(crypto::sha256(std::to_string(i))));
  }
  EXPECT_FALSE(set.contains(crypto::sha256("3000")));
}

}  // namespace
}  // namespace longhaul::transfer
