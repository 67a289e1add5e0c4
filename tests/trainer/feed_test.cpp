// Shards, and the order in which their tokens are read.
#include <gtest/gtest.h>

#include <fstream>
#include <set>

#include "tests/trainer/temporary_folder.hpp"
#include "trainer/checksum.hpp"
#include "trainer/folder_source.hpp"
#include "trainer/sample_order.hpp"

namespace longhaul::trainer {
namespace {

void put(const Path& path, std::string_view bytes) {
  std::ofstream(path, std::ios::binary)
      .write(bytes.data(), static_cast<std::streamsize>(bytes.size()));
}

TEST(Shard, ReadsBackWhatWasWritten) {
  const TemporaryFolder folder;
  for (const std::uint64_t vocab : {std::uint64_t{50304}, std::uint64_t{128256}}) {
    const Path path = folder.path() / std::to_string(vocab);
    std::vector<Token> ids;
    for (Token i = 0; i < 5000; ++i) ids.push_back(i * 25 % static_cast<Token>(vocab));
    auto writer = ShardWriter::create(path, vocab);
    ASSERT_TRUE(writer);
    EXPECT_FALSE(std::filesystem::exists(path));
    ASSERT_TRUE(writer->append(ids));
    ASSERT_TRUE(writer->finish());
    const auto reader = ShardReader::open(path);
    ASSERT_TRUE(reader);
    EXPECT_EQ(reader->layout(), (ShardLayout{1024, vocab > 65536 ? 4U : 2U, 5000}));
    std::vector<Token> read(4000);
    ASSERT_TRUE(reader->read(1000, read));
    EXPECT_TRUE(std::equal(read.begin(), read.end(), ids.begin() + 1000));
  }
}

TEST(Shard, ReadsPlainFilesByTheirEnding) {
  const TemporaryFolder folder;
  put(folder.path() / "train.bin", std::string("\x01\x00\x02\x00\x03\x00\x04\x00", 8));
  put(folder.path() / "train.u32", std::string("\x01\x00\x02\x00\x03\x00\x04\x00", 8));
  EXPECT_EQ(ShardReader::open(folder.path() / "train.bin")->layout(), (ShardLayout{0, 2, 4}));
  EXPECT_EQ(ShardReader::open(folder.path() / "train.u32")->layout(), (ShardLayout{0, 4, 2}));
}

TEST(Shard, RefusesBrokenOnes) {
  const TemporaryFolder folder;
  const auto kind = [&](std::string_view bytes) {
    put(folder.path() / "x.bin", bytes);
    return ShardReader::open(folder.path() / "x.bin").error().kind();
  };
  std::string header(1024, '\0');
  store_le(std::as_writable_bytes(std::span(header)), kShardMagic16);
  header[4] = 1;
  header[8] = 4;
  EXPECT_EQ(kind(""), Kind::kMalformed);
  EXPECT_EQ(kind("abc"), Kind::kMalformed);
  EXPECT_EQ(kind(header.substr(0, 100)), Kind::kMalformed);
  EXPECT_EQ(kind(header + "abcdef"), Kind::kMalformed);  // promises 4 tokens, holds 3
  header[8] = 0;
  EXPECT_EQ(kind(header + "abcdef"), Kind::kMalformed);
  header[4] = 3;
  EXPECT_EQ(kind(header + "abcdef"), Kind::kUnsupported);
}

TEST(Shard, ThatShrinksIsAnError) {
  const TemporaryFolder folder;
  const Path path = folder.path() / "s.bin";
  put(path, std::string(4000, '\1'));
  const auto reader = ShardReader::open(path);
  std::filesystem::resize_file(path, 1000);
  std::vector<Token> ids(1000);
  EXPECT_EQ(reader->read(1000, ids).error().kind(), Kind::kChanged);
}

TEST(FolderSource, TakesShardsInTheOrderOfTheirNames) {
  const TemporaryFolder folder;
  put(folder.path() / "b.bin", std::string(8, '\2'));
  put(folder.path() / "a.bin", std::string(6, '\1'));
  put(folder.path() / "notes.txt", "x");
  const auto source = FolderSource::open(folder.path());
  ASSERT_TRUE(source);
  ASSERT_EQ((*source)->shards().size(), 2U);
  EXPECT_EQ((*source)->shards()[0].name, "a.bin");
  std::vector<Token> ids(2);
  ASSERT_TRUE((*source)->read({1, 2, 2}, ids));
  EXPECT_EQ(ids, (std::vector<Token>{0x0202, 0x0202}));
  const std::string before = (*source)->identity();
  put(folder.path() / "b.bin", std::string(10, '\2'));
  EXPECT_NE(FolderSource::open(folder.path()).value()->identity(), before);
  const TemporaryFolder empty;
  EXPECT_EQ(FolderSource::open(empty.path()).error().kind(), Kind::kNotFound);
}

std::string content_of(const TemporaryFolder& folder) {
  return FolderSource::open(folder.path()).value()->content().value();
}
void overwrite(const Path& path, std::uint64_t at, char byte) {
  std::fstream file(path, std::ios::binary | std::ios::in | std::ios::out);
  file.seekp(static_cast<std::streamoff>(at));
  file.put(byte);
}

TEST(FolderSource, NamesTheBytesOfSmallShardsToTheLast) {
  const TemporaryFolder folder;
  const std::string before(150'001, '\1');
  put(folder.path() / "a.u16", before + '\1');
  put(folder.path() / "b.bin", "the same");
  const std::string whole = content_of(folder);
  EXPECT_EQ(content_of(folder), whole);
  for (const std::uint64_t at : {0U, 65'536U, 150'001U}) {
    overwrite(folder.path() / "a.u16", at, '\2');
    EXPECT_NE(content_of(folder), whole) << at;
    overwrite(folder.path() / "a.u16", at, '\1');
  }
  EXPECT_EQ(content_of(folder), whole);
}

TEST(FolderSource, OfMuchDataItReadsPiecesOfEachShard) {
  const TemporaryFolder folder;
  const std::uint64_t large = 3 * kWholeBytes;  // a hole: reading it costs no disk
  put(folder.path() / "a.bin", "");
  std::filesystem::resize_file(folder.path() / "a.bin", large);
  put(folder.path() / "b.u16", "eight by");
  const std::string whole = content_of(folder);
  EXPECT_TRUE(whole.starts_with("pieces:")) << whole;
  for (const std::uint64_t at : {std::uint64_t{1030}, large - 1}) {
    overwrite(folder.path() / "a.bin", at, '\2');
    EXPECT_NE(content_of(folder), whole) << at;
    overwrite(folder.path() / "a.bin", at, 0);
  }
  EXPECT_EQ(content_of(folder), whole);
  overwrite(folder.path() / "b.u16", 3, 'x');
  EXPECT_NE(content_of(folder), whole) << "one that is smaller than its share is read whole";
}

std::vector<ShardInfo> three_shards() {
  return {{"a", 1000, 2}, {"b", 333, 2}, {"c", 700, 4}};
}
constexpr OrderOptions kOrder{.seed = 7, .sequence = 10, .window_blocks = 3, .block_bytes = 256};

TEST(SampleOrder, GivesEachSampleOnceAnEpoch) {
  auto order = SampleOrder::make(three_shards(), kOrder).value();
  // Blocks of 128 tokens (64 of shard c); (n - 1) / 10 samples each.
  const std::uint64_t n = 7 * 12 + 10 + 2 * 12 + 7 + 10 * 6 + 5;
  ASSERT_EQ(order.samples_per_epoch(), n);
  for (const std::uint64_t epoch : {0U, 1U, 5U}) {
    std::set<std::pair<std::uint32_t, std::uint64_t>> seen;
    for (std::uint64_t i = 0; i < n; ++i) {
      const TokenRange range = order.at(epoch * n + i);
      EXPECT_EQ(range.count, 11U);
      EXPECT_LE(range.first + range.count, three_shards()[range.shard].tokens);
      const std::uint64_t block = range.shard == 2 ? 64 : 128;
      EXPECT_EQ(range.first / block, (range.first + range.count - 1) / block) << "leaves its block";
      EXPECT_TRUE(seen.insert({range.shard, range.first}).second);
    }
  }
}

TEST(SampleOrder, IsAPureFunctionOfSeedEpochAndIndex) {
  auto forward = SampleOrder::make(three_shards(), kOrder).value();
  auto jumping = SampleOrder::make(three_shards(), kOrder).value();
  const std::uint64_t n = forward.samples_per_epoch();
  std::vector<TokenRange> ranges;
  for (std::uint64_t i = 0; i < 3 * n; ++i) ranges.push_back(forward.at(i));
  for (std::uint64_t k = 0; k < 3 * n; ++k) {
    const std::uint64_t i = k * 101 % (3 * n);
    EXPECT_EQ(jumping.at(i), ranges[i]);
  }
  EXPECT_FALSE(
      std::equal(ranges.begin(), ranges.begin() + 50, ranges.begin() + static_cast<long>(n)));
  OrderOptions other = kOrder;
  other.seed = 8;
  auto reseeded = SampleOrder::make(three_shards(), other).value();
  std::uint64_t equal = 0;
  for (std::uint64_t i = 0; i < n; ++i) equal += reseeded.at(i) == ranges[i] ? 1U : 0U;
  EXPECT_LT(equal, n / 10);
}

TEST(SampleOrder, AnEarlyBatchNeedsOnlyTheFirstWindow) {
  auto order = SampleOrder::make(three_shards(), kOrder).value();
  const auto first = order.blocks_from(0, 3);
  ASSERT_EQ(first.size(), 3U);
  for (std::uint64_t i = 0; i < 15; ++i) {  // the smallest three blocks hold 5 + 6 + 6 samples
    const TokenRange range = order.at(i);
    EXPECT_TRUE(std::any_of(first.begin(), first.end(), [&](const TokenRange& block) {
      return block.shard == range.shard && block.first <= range.first &&
             range.first + range.count <= block.first + block.count;
    }));
  }
  EXPECT_EQ(order.blocks_from(0, 1000).size(), 8U + 3U + 11U);
}

TEST(SampleOrder, RefusesShardsTooShortForASample) {
  const std::vector<ShardInfo> shards = {{"a", 10, 2}};
  EXPECT_EQ(SampleOrder::make(shards, kOrder).error().kind(), Kind::kUsage);
}

TEST(Checksum, DependsOnEveryByteAndNotOnTheSplit) {
  std::string text;
  for (int i = 0; i < 200; ++i) text += static_cast<char>(i * 7);
  const std::uint64_t whole = checksum_of(bytes_of(text));
  for (std::size_t cut = 0; cut <= text.size(); ++cut) {
    Checksum sum;
    sum.add(bytes_of(text).first(cut));
    sum.add(bytes_of(text).subspan(cut));
    EXPECT_EQ(sum.value(), whole);
    EXPECT_NE(checksum_of(bytes_of(text).first(cut)), cut == text.size() ? 0 : whole);
    std::string changed = text;
    if (cut < text.size()) changed[cut] = static_cast<char>(changed[cut] ^ 1);
    EXPECT_EQ(checksum_of(bytes_of(changed)) == whole, cut == text.size());
  }
}

}  // namespace
}  // namespace longhaul::trainer
