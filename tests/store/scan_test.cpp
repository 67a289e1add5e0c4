#include "lib/store/scan.hpp"

#include <gtest/gtest.h>

#include <set>

#include "lib/base/rng.hpp"
#include "tests/sim/crash_files.hpp"

namespace longhaul::store {
namespace {

using sim::CrashFiles;

constexpr std::int64_t kDay = 86'400'000'000'000;

class ScanTest : public testing::Test {
 protected:
  void write(const char* at, Bytes bytes, std::uint64_t offset = 0) {
    ASSERT_TRUE(make_folders(disk_, TreeName::known(at).parent()));
    auto file = disk_.open(TreeName::known(at), Access::kOpenOrCreate);
    ASSERT_TRUE(file);
    ASSERT_TRUE((*file)->write_at(bytes, offset));
  }
  void write(const char* at, std::string_view text, std::uint64_t offset = 0) {
    write(at, bytes_of(text), offset);
  }
  ByteVector noise(std::size_t size, std::uint64_t seed) {
    ByteVector bytes(size);
    Rng(seed).fill(bytes);
    return bytes;
  }
  ScannedTree scan(ScanOptions options = {}, std::int64_t now = 1'700'000'000'000'000'000 + kDay) {
    options.top = TreeName::known("data");
    auto scanned =
        scan_tree(disk_, options, {&disk_, TreeName::known("state/cache"), WallTime{now}});
    EXPECT_TRUE(scanned) << scanned.error().message();
    return *std::move(scanned);
  }
  static std::vector<std::string> names(const Tree& tree) {
    std::vector<std::string> all;
    for (TreeWalk walk(tree); walk.next();) all.push_back(walk.entry().name.text());
    return all;
  }
  CrashFiles disk_;
};

TEST_F(ScanTest, FindsEverythingInWalkOrder) {
  write("data/b", "b");
  write("data/a/x", "x");
  write("data/a.b", "y");
  ASSERT_TRUE(disk_.link(TreeName::known("data/a/x"), TreeName::known("data/z")));
  ASSERT_TRUE(disk_.make_link("a/x", TreeName::known("data/soft")));
  const ScannedTree scanned = scan();
  EXPECT_EQ(names(scanned.tree), (std::vector<std::string>{"a", "a/x", "a.b", "b", "soft", "z"}));
  EXPECT_EQ(find_entry(scanned.tree, TreeName::known("z"))->type, EntryType::kHardLink);
  EXPECT_EQ(find_entry(scanned.tree, TreeName::known("z"))->target, "a/x");
  EXPECT_EQ(scanned.problem_count, 0U);
}

TEST_F(ScanTest, AnUnchangedTreeIsNotRead) {
  write("data/a", noise(500'000, 1));
  write("data/b", noise(1000, 2));
  const ScannedTree first = scan();
  EXPECT_EQ(first.bytes_read, 501'000U);
  const ScannedTree second = scan();
  EXPECT_EQ(second.bytes_read, 0U);
  EXPECT_EQ(second.tree, first.tree);
  write("data/b", "edited");
  const ScannedTree third = scan();
  EXPECT_EQ(third.bytes_read, 1000U);
  EXPECT_NE(third.tree, first.tree);
}

TEST_F(ScanTest, WhatWasTouchedAtTheScanIsReadAgain) {
  write("data/a", noise(1000, 1));
  const std::int64_t now = disk_.stat(TreeName::known("data/a"))->mtime.ns + 1'000'000'000;
  scan({}, now);
  EXPECT_EQ(scan({}, now).bytes_read, 1000U);
  EXPECT_EQ(scan({}, now + kDay).bytes_read, 1000U);
  EXPECT_EQ(scan({}, now + kDay).bytes_read, 0U);
}

TEST_F(ScanTest, ADamagedCacheCostsOnlyReading) {  // S5
  for (int i = 0; i < 20; ++i) write(("data/f" + std::to_string(i)).c_str(), noise(100, 3));
  const ScannedTree first = scan();
  const std::uint64_t size = disk_.stat(TreeName::known("state/cache"))->size;
  for (std::uint64_t at = 0; at < size; at += 7) {
    disk_.rot(TreeName::known("state/cache"), at);
    EXPECT_EQ(scan().tree, first.tree) << at;
  }
}

TEST_F(ScanTest, AnEditMovesOnlyChunksNearIt) {
  ByteVector bytes = noise(4'000'000, 7);
  write("data/big", bytes);
  const ScannedTree first = scan();
  bytes.insert(bytes.begin() + 2'000'000, 10, std::byte{1});
  write("data/big", bytes);
  const ScannedTree second = scan();
  std::set<ChunkId> before;
  std::uint64_t fresh = 0;
  TreeWalk old_walk(first.tree), new_walk(second.tree);
  ASSERT_TRUE(old_walk.next() && new_walk.next());
  for (const Piece& piece : old_walk.pieces()) before.insert(piece.chunk);
  for (const Piece& piece : new_walk.pieces())
    if (!before.contains(piece.chunk)) fresh += piece.length;
  EXPECT_GT(fresh, 0U);
  EXPECT_LE(fresh, 2 * kChunkBytesMax);
}

TEST_F(ScanTest, HolesAreHolesAndCostNoRead) {
  write("data/s", "x", (8U << 20) - 1);
  write("data/s", "head", 2U << 20);
  const ScannedTree scanned = scan();
  TreeWalk walk(scanned.tree);
  ASSERT_TRUE(walk.next());
  const auto pieces = walk.pieces();
  ASSERT_EQ(pieces.size(), 4U);
  EXPECT_EQ(pieces[0], (Piece{2U << 20, true, {}}));
  EXPECT_EQ(pieces[1].length, 4096U);
  EXPECT_TRUE(pieces[2].hole);
  EXPECT_EQ(pieces[3].length, 4096U);
}

TEST_F(ScanTest, RulesAndListsChoose) {
  for (const char* at : {"data/a/x.o", "data/a/x.c", "data/b/y.o", "data/b/y.c", "data/top.o"})
    write(at, "1");
  write("data/b/.longhaulignore", "!y.o\n*.c\n");
  ScanOptions options;
  ASSERT_TRUE(options.rules.add("/a/*.o"));
  EXPECT_EQ(names(scan(options).tree),
            (std::vector<std::string>{"a", "a/x.c", "b", "b/.longhaulignore", "b/y.o", "top.o"}));
  ASSERT_TRUE(options.rules.add("*.o"));  // the user's word goes before a file's
  EXPECT_EQ(names(scan(options).tree),
            (std::vector<std::string>{"a", "a/x.c", "b", "b/.longhaulignore"}));
  ScanOptions listed;
  listed.only = {TreeName::known("b/y.o"), TreeName::known("a")};
  EXPECT_EQ(names(scan(listed).tree),
            (std::vector<std::string>{"a", "a/x.c", "a/x.o", "b", "b/y.o"}));
}

TEST_F(ScanTest, LeavesOutWhatAReceiverWouldRefuseAndSaysSo) {
  write("data/ok", "1");
  ASSERT_TRUE(disk_.make_link("/etc/passwd", TreeName::known("data/absolute")));
  ASSERT_TRUE(disk_.make_link("../outside", TreeName::known("data/up")));
  const ScannedTree scanned = scan();
  EXPECT_EQ(names(scanned.tree), std::vector<std::string>{"ok"});
  EXPECT_EQ(scanned.problem_count, 2U);
}

std::vector<std::uint64_t> lengths(Files& files, const char* name) {
  const FileStat seen = *files.stat(TreeName::known(name));
  auto hasher = FileHasher::open(files, TreeName::known(name), seen);
  std::vector<Piece> pieces;
  while (hasher && *hasher->step(100'000, pieces) == FileHasher::Progress::kMore) {
  }
  std::vector<std::uint64_t> out;
  for (const Piece& piece : pieces) out.push_back(piece.length);
  return out;
}

TEST_F(ScanTest, CutsASafetensorsFileAtItsTensors) {
  const std::string header =
      R"({"w":{"dtype":"F32","shape":[150000],"data_offsets":[0,600000]},)"
      R"("x":{"dtype":"F32","shape":[5000],"data_offsets":[600000,620000]}})";
  std::string file(8, '\0');
  file[0] = static_cast<char>(header.size());
  file += header;
  file += text_of(noise(620'000, 1));
  write("data/m.safetensors", file);
  const std::vector<std::uint64_t> at_tensors = {8 + header.size(), 256U << 10, 256U << 10,
                                                 600'000 - (512U << 10), 20'000};
  EXPECT_EQ(lengths(disk_, "data/m.safetensors"), at_tensors);
  write("data/m.bin", file);
  const auto by_content = lengths(disk_, "data/m.bin");
  EXPECT_NE(by_content, at_tensors);
  file.pop_back();  // its header does not fit it any more
  write("data/torn.safetensors", file);
  write("data/torn.bin", file);
  EXPECT_EQ(lengths(disk_, "data/torn.safetensors"), lengths(disk_, "data/torn.bin"));
}

TEST_F(ScanTest, HandsOutTheContentOfAFileThatOneReadHeld) {
  const ByteVector large = noise(1'100'000, 2);
  write("data/small", "content");
  write("data/large", large);
  for (const auto& [file, content] :
       {std::pair("data/small", Slice::copy_of("content")), std::pair("data/large", Slice())}) {
    const TreeName name = TreeName::known(file);
    auto hasher = FileHasher::open(disk_, name, *disk_.stat(name));
    ASSERT_TRUE(hasher);
    std::vector<Piece> pieces;
    ASSERT_EQ(*hasher->step(2'000'000, pieces), FileHasher::Progress::kDone);
    EXPECT_TRUE(equal(hasher->take_content().bytes(), content.bytes())) << file;
    EXPECT_TRUE(hasher->take_content().empty()) << file;
  }
}

TEST_F(ScanTest, NoticesAFileThatChangesWhileRead) {  // S8
  write("data/f", noise(3'000'000, 1));
  const FileStat seen = *disk_.stat(TreeName::known("data/f"));
  for (const bool shrink : {false, true}) {
    auto hasher =
        FileHasher::open(disk_, TreeName::known("data/f"), *disk_.stat(TreeName::known("data/f")));
    ASSERT_TRUE(hasher);
    std::vector<Piece> pieces;
    ASSERT_EQ(*hasher->step(1'000'000, pieces), FileHasher::Progress::kMore);
    auto file = disk_.open(TreeName::known("data/f"), Access::kWrite);
    ASSERT_TRUE(shrink ? (*file)->resize(2'000'000) : (*file)->write_at(bytes_of("edit"), 5));
    Result<FileHasher::Progress> ended = FileHasher::Progress::kMore;
    while (ended && *ended == FileHasher::Progress::kMore) ended = hasher->step(1'000'000, pieces);
    ASSERT_FALSE(ended);
    EXPECT_EQ(ended.error().kind(), Kind::kChanged);
  }
  EXPECT_EQ(FileHasher::open(disk_, TreeName::known("data/f"), seen).error().kind(),
            Kind::kChanged);
}

TEST_F(ScanTest, WalksInBoundedSteps) {
  for (int i = 0; i < 50; ++i) write(("data/f" + std::to_string(i)).c_str(), "x");
  Scan walk(disk_, {TreeName::known("data"), {}, true, {}}, nullptr);
  std::size_t seen = 0;
  for (;;) {
    const auto items = walk.next(7);
    ASSERT_TRUE(items);
    if (items->empty()) break;
    EXPECT_LE(items->size(), 7U);
    seen += items->size();
  }
  EXPECT_EQ(seen, 50U);
}

TEST_F(ScanTest, AFolderThatIsNotThereIsAnError) {
  Scan walk(disk_, {TreeName::known("none"), {}, true, {}}, nullptr);
  EXPECT_EQ(walk.next(1).error().kind(), Kind::kNotFound);
}

}  // namespace
}  // namespace longhaul::store
