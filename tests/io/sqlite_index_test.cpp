#include "lib/io/sqlite_index.hpp"

#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>

namespace longhaul::io {
namespace {

using store::ChunkId;
using store::Piece;
using store::TreeName;

ChunkId id(std::string_view text) {
  return crypto::sha256(text);
}

class SqliteIndexTest : public testing::Test {
 protected:
  void SetUp() override {
    std::string pattern = testing::TempDir() + "longhaul-index-XXXXXX";
    folder_ = mkdtemp(pattern.data());
    path_ = folder_ + "/index";
  }
  void TearDown() override { std::filesystem::remove_all(folder_); }
  SqliteIndex::Opened open() {
    auto opened = SqliteIndex::open(path_);
    EXPECT_TRUE(opened) << opened.error().message();
    return *std::move(opened);
  }
  std::string folder_, path_;
};

TEST_F(SqliteIndexTest, FindsWhatWasAddedAlsoInTheNextProcess) {
  {
    auto opened = open();
    EXPECT_TRUE(opened.was_lost);
    const std::vector<Piece> pieces{{10, false, id("a")}, {100, true, {}}, {20, false, id("b")}};
    ASSERT_TRUE(opened.index->add(TreeName::known("datasets/d/v000001/f"), pieces));
    EXPECT_TRUE(opened.index->find(id("b"))->has_value());  // before it is flushed, too
    ASSERT_TRUE(opened.index->finish_rebuild());
  }
  auto opened = open();
  EXPECT_FALSE(opened.was_lost);
  const auto place = *opened.index->find(id("b"));
  ASSERT_TRUE(place);
  EXPECT_EQ(place->file.text(), "datasets/d/v000001/f");
  EXPECT_EQ(place->offset, 110U);
  EXPECT_EQ(place->length, 20U);
  EXPECT_FALSE(opened.index->find(id("c"))->has_value());
  EXPECT_EQ(*opened.index->size(), 2U);
}

TEST_F(SqliteIndexTest, ForgetsAVersionAndNoOther) {
  auto opened = open();
  for (const char* file : {"d/v1/a", "d/v10/a", "d/v1/b/c", "d/v1"})
    ASSERT_TRUE(opened.index->add(TreeName::known(file), std::vector<Piece>{{1, false, id(file)}}));
  ASSERT_TRUE(opened.index->forget_under(TreeName::known("d/v1")));
  EXPECT_FALSE(opened.index->find(id("d/v1/a"))->has_value());
  EXPECT_FALSE(opened.index->find(id("d/v1/b/c"))->has_value());
  EXPECT_TRUE(opened.index->find(id("d/v10/a"))->has_value());
}

TEST_F(SqliteIndexTest, IsLostFromClearingToTheEndOfARebuild) {
  {
    auto opened = open();
    ASSERT_TRUE(opened.index->add(TreeName::known("f"), std::vector<Piece>{{1, false, id("f")}}));
    ASSERT_TRUE(opened.index->finish_rebuild());
  }
  {
    auto opened = open();
    EXPECT_FALSE(opened.was_lost);
    ASSERT_TRUE(opened.index->clear());
    EXPECT_EQ(*opened.index->size(), 0U);
    ASSERT_TRUE(opened.index->add(TreeName::known("g"), std::vector<Piece>{{1, false, id("g")}}));
    ASSERT_TRUE(opened.index->flush());
  }
  EXPECT_TRUE(open().was_lost);  // killed before the rebuild ended
}

TEST_F(SqliteIndexTest, ClearingMendsAFileThatWasDamagedWhileOpen) {
  auto opened = open();
  ASSERT_TRUE(opened.index->finish_rebuild());
  for (const char* part : {"", "-wal"})
    std::ofstream(path_ + part, std::ios::binary | std::ios::trunc) << std::string(65536, 'x');
  (void)opened.index->find(id("f"));  // whatever it says
  ASSERT_TRUE(opened.index->clear());
  ASSERT_TRUE(opened.index->add(TreeName::known("f"), std::vector<Piece>{{1, false, id("f")}}));
  EXPECT_TRUE(opened.index->find(id("f"))->has_value());
}

TEST_F(SqliteIndexTest, ADamagedFileIsBegunAnew) {  // S5
  {
    auto opened = open();
    ASSERT_TRUE(opened.index->add(TreeName::known("f"), std::vector<Piece>{{1, false, id("f")}}));
  }
  std::ofstream(path_, std::ios::binary | std::ios::trunc) << std::string(4096, 'x');
  auto opened = open();
  EXPECT_TRUE(opened.was_lost);
  EXPECT_FALSE(opened.index->find(id("f"))->has_value());
  EXPECT_TRUE(opened.index->add(TreeName::known("f"), std::vector<Piece>{{1, false, id("f")}}));
}

TEST_F(SqliteIndexTest, AFileThatIsAddedAgainIsTheSame) {
  auto opened = open();
  for (const auto& [file, chunk] :
       {std::pair("one", "a"), std::pair("two", "b"), std::pair("one", "c")})
    ASSERT_TRUE(
        opened.index->add(TreeName::known(file), std::vector<Piece>{{1, false, id(chunk)}}));
  EXPECT_EQ((*opened.index->find(id("c")))->file.text(), "one");
  EXPECT_EQ((*opened.index->find(id("b")))->file.text(), "two");
}

TEST_F(SqliteIndexTest, AChunkIsKnownWhereItWasSeenLast) {
  auto opened = open();
  for (const char* file : {"one", "two"})
    ASSERT_TRUE(opened.index->add(TreeName::known(file), std::vector<Piece>{{1, false, id("x")}}));
  EXPECT_EQ((*opened.index->find(id("x")))->file.text(), "two");
}

}  // namespace
}  // namespace longhaul::io
