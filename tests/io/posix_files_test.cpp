#include "lib/io/posix_files.hpp"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>

namespace longhaul::io {
namespace {

using store::Access;
using store::FileType;
using store::Replace;
using store::TreeName;

TreeName name(const char* text) {
  return TreeName::known(text);
}

std::string slurp(const std::string& path) {
  std::ifstream in(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(in), {}};
}

// A folder `root` with a secret beside it; both ways of resolving names must pass every test.
class PosixFilesTest : public testing::TestWithParam<Resolve> {
 protected:
  void SetUp() override {
    std::string pattern = testing::TempDir() + "longhaul-files-XXXXXX";
    base_ = mkdtemp(pattern.data());
    std::filesystem::create_directory(base_ + "/root");
    std::filesystem::create_directory(base_ + "/outside");
    std::ofstream(base_ + "/outside/secret") << "canary";
    auto files = PosixFiles::at(base_ + "/root", GetParam());
    ASSERT_TRUE(files) << files.error().message();
    files_ = *std::move(files);
    ASSERT_EQ(files_->resolve(), GetParam());  // this kernel has openat2
  }
  void TearDown() override { std::filesystem::remove_all(base_); }
  void write(const char* at, std::string_view text) {
    auto file = files_->open(name(at), Access::kCreate);
    ASSERT_TRUE(file) << file.error().message();
    ASSERT_TRUE((*file)->write_at(bytes_of(text), 0));
  }
  std::string root(const char* below) const { return base_ + "/root/" + below; }

  std::string base_;
  std::unique_ptr<PosixFiles> files_;
};

TEST_P(PosixFilesTest, ReadsWhatItWrote) {
  ASSERT_TRUE(store::make_folders(*files_, name("a/b")));
  write("a/b/file", "hello");
  auto file = files_->open(name("a/b/file"), Access::kRead);
  ASSERT_TRUE(file);
  ByteVector got(10);
  EXPECT_EQ(*(*file)->read_at(got, 1), 4U);
  EXPECT_EQ(text_of(Bytes(got).first(4)), "ello");
  EXPECT_EQ((*file)->stat()->size, 5U);
  EXPECT_EQ(files_->open(name("a/b/file"), Access::kCreate).error().kind(), Kind::kExists);
  EXPECT_EQ(files_->open(name("a/none"), Access::kRead).error().kind(), Kind::kNotFound);
}

TEST_P(PosixFilesTest, FollowsNoLinkAnywhere) {
  std::filesystem::create_symlink("../outside", root("dir"));
  std::filesystem::create_symlink("../outside/secret", root("file"));
  std::filesystem::create_symlink("/proc/self/root", root("magic"));
  std::filesystem::create_directory(root("in"));
  std::filesystem::create_symlink("in", root("inner"));  // not even to inside
  std::ofstream(root("in/x")) << "x";
  for (const char* at : {"dir/secret", "file", "magic/etc/passwd", "inner/x"}) {
    EXPECT_FALSE(files_->open(name(at), Access::kRead)) << at;
    EXPECT_FALSE(files_->open(name(at), Access::kWrite)) << at;
    EXPECT_FALSE(files_->set_mode(name(at), 0777)) << at;
    EXPECT_FALSE(files_->set_attributes(name(at), 0777, WallTime{5})) << at;
  }
  for (const char* at : {"dir/new", "inner/new", "magic/tmp/new"}) {
    EXPECT_FALSE(files_->open(name(at), Access::kCreate)) << at;
    EXPECT_FALSE(files_->open(name(at), Access::kOpenOrCreate)) << at;
    EXPECT_FALSE(files_->make_folder(name(at))) << at;
    EXPECT_FALSE(files_->make_link("x", name(at))) << at;
    EXPECT_FALSE(files_->rename(name("in/x"), name(at), Replace::kYes)) << at;
    EXPECT_FALSE(files_->link(name("in/x"), name(at))) << at;
    EXPECT_FALSE(files_->reflink(name("in/x"), name(at))) << at;
    EXPECT_FALSE(files_->lock(name(at))) << at;
  }
  for (const char* at : {"dir/secret", "inner/x"}) {
    EXPECT_FALSE(files_->stat(name(at))) << at;
    EXPECT_FALSE(files_->remove(name(at))) << at;
    EXPECT_FALSE(files_->rename(name(at), name("stolen"), Replace::kYes)) << at;
    EXPECT_FALSE(files_->link(name(at), name("stolen"))) << at;
  }
  EXPECT_FALSE(files_->open_folder(name("dir")));
  EXPECT_FALSE(files_->sync_folder(name("dir")));
  EXPECT_FALSE(files_->read_link(name("dir/secret")));
  EXPECT_EQ(files_->stat(name("dir"))->type, FileType::kLink);  // of the link itself
  EXPECT_EQ(*files_->read_link(name("dir")), "../outside");
  EXPECT_EQ(slurp(base_ + "/outside/secret"), "canary");
  struct stat raw {};
  ::stat((base_ + "/outside/secret").c_str(), &raw);
  EXPECT_NE(raw.st_mode & 0777U, 0777U);
}

TEST_P(PosixFilesTest, OpensOnlyRegularFiles) {
  ASSERT_EQ(::mkfifo(root("fifo").c_str(), 0600), 0);
  const Error fifo = files_->open(name("fifo"), Access::kRead).error();
  EXPECT_EQ(fifo.kind(), Kind::kUnsupported);
  EXPECT_EQ(fifo.why(), "it is not a regular file");
  std::filesystem::create_directory(root("dir"));
  EXPECT_FALSE(files_->open(name("dir"), Access::kRead));
  EXPECT_EQ(files_->stat(name("fifo"))->type, FileType::kOther);
}

TEST_P(PosixFilesTest, ListsInBoundedSteps) {
  for (int i = 0; i < 25; ++i) write(("f" + std::to_string(i)).c_str(), "x");
  auto folder = files_->open_folder(TreeName());
  ASSERT_TRUE(folder);
  std::size_t seen = 0;
  for (;;) {
    auto found = (*folder)->next(10);
    ASSERT_TRUE(found);
    ASSERT_LE(found->size(), 10U);
    if (found->empty()) break;
    for (const auto& entry : *found) EXPECT_EQ(entry.stat.size, 1U) << entry.name;
    seen += found->size();
  }
  EXPECT_EQ(seen, 25U);
}

TEST_P(PosixFilesTest, RenamesOverAndNotOver) {
  write("a", "a");
  write("b", "b");
  EXPECT_EQ(files_->rename(name("a"), name("b"), Replace::kNo).error().kind(), Kind::kExists);
  EXPECT_TRUE(files_->rename(name("a"), name("b"), Replace::kYes));
  EXPECT_EQ(slurp(root("b")), "a");
  EXPECT_FALSE(files_->stat(name("a")));
}

TEST_P(PosixFilesTest, KeepsModeTimeLinksAndHoles) {
  write("f", "x");
  ASSERT_TRUE(files_->set_attributes(name("f"), 0400, WallTime{-1'500'000'000}));
  auto stat = files_->stat(name("f"));
  EXPECT_EQ(stat->mode, 0400U);
  EXPECT_EQ(stat->mtime.ns, -1'500'000'000);
  ASSERT_TRUE(files_->link(name("f"), name("g")));
  for (const std::uint32_t mode : {0U, 0640U}) {  // to one that nobody may read, and from there
    ASSERT_TRUE(files_->set_attributes(name("f"), mode, WallTime{7}));
    EXPECT_EQ(files_->stat(name("f"))->mode, mode);
    EXPECT_EQ(files_->stat(name("f"))->mtime.ns, 7);
  }
  EXPECT_EQ(files_->stat(name("g"))->links, 2U);
  EXPECT_EQ(files_->stat(name("g"))->inode, stat->inode);

  auto sparse = files_->open(name("sparse"), Access::kCreate);
  ASSERT_TRUE((*sparse)->resize(8U << 20));
  ASSERT_TRUE((*sparse)->write_at(bytes_of("data"), 4U << 20));
  auto data = (*sparse)->next_data(0);
  ASSERT_TRUE(data);
  ASSERT_TRUE(data->has_value());
  EXPECT_EQ((*data)->offset, 4U << 20);
  EXPECT_FALSE((*sparse)->next_data((*data)->end())->has_value());
}

TEST_P(PosixFilesTest, ReflinksOrSaysItCannot) {
  write("f", "content");
  auto copied = files_->reflink(name("f"), name("copy"));
  if (copied) {
    EXPECT_EQ(slurp(root("copy")), "content");
  } else {
    EXPECT_EQ(copied.error().kind(), Kind::kUnsupported);
    EXPECT_FALSE(std::filesystem::exists(root("copy")));  // no empty file is left
  }
}

TEST_P(PosixFilesTest, AFileSystemWithoutReflinksIsAskedOnce) {
  write("f", "content");
  ASSERT_TRUE(files_->make_folder(name("to")));
  if (files_->reflink(name("f"), name("to/copy"))) GTEST_SKIP() << "this one has reflinks";
  // A file made and removed would change the time of its folder.
  ASSERT_TRUE(files_->set_attributes(name("to"), 0755, WallTime{1'000'000'000}));
  EXPECT_EQ(files_->reflink(name("f"), name("to/copy")).error().kind(), Kind::kUnsupported);
  EXPECT_EQ(files_->stat(name("to"))->mtime.ns, 1'000'000'000);
}

TEST_P(PosixFilesTest, SyncsAndCountsSpace) {
  write("f", "x");
  EXPECT_TRUE(files_->sync_folder(TreeName()));
  EXPECT_TRUE(files_->sync_all());
  EXPECT_GT(files_->free_space()->bytes, 0U);
  EXPECT_FALSE(files_->boot_id().empty());
}

TEST_P(PosixFilesTest, RefusesASecondHolderOfALock) {  // S6
  auto lock = files_->lock(name("lock"));
  ASSERT_TRUE(lock);
  auto other = PosixFiles::at(base_ + "/root", GetParam());
  const Error held = (*other)->lock(name("lock")).error();
  EXPECT_EQ(held.kind(), Kind::kBusy);
  EXPECT_EQ(held.why(), "another process holds it");
  lock->reset();
  EXPECT_TRUE((*other)->lock(name("lock")));
}

TEST_P(PosixFilesTest, ALockWhoseHolderRemovesItsFileHasOneHolderAtATime) {
  std::atomic<int> holders{0}, taken{0}, most{0};
  const auto hammer = [&] {
    auto files = PosixFiles::at(base_ + "/root", GetParam());
    for (int i = 0; i < 2000; ++i) {
      auto lock = (*files)->lock(name("lock"));
      if (!lock) continue;
      most = std::max(most.load(), ++holders);
      ++taken;
      --holders;
      ASSERT_TRUE((*files)->remove(name("lock")));  // while it is held
    }
  };
  std::vector<std::thread> threads;
  for (int i = 0; i < 4; ++i) threads.emplace_back(hammer);
  for (auto& thread : threads) thread.join();
  EXPECT_EQ(most, 1);
  EXPECT_GT(taken, 0);
}

TEST_P(PosixFilesTest, RemovesReadOnlyTreesButNothingBehindLinks) {
  ASSERT_TRUE(store::make_folders(*files_, name("t/a/b")));
  write("t/a/b/f", "x");
  std::filesystem::create_symlink(base_ + "/outside", root("t/out"));
  ASSERT_TRUE(files_->set_mode(name("t/a/b"), 0500));
  ASSERT_TRUE(store::remove_tree(*files_, name("t")));
  EXPECT_FALSE(std::filesystem::exists(root("t")));
  EXPECT_EQ(slurp(base_ + "/outside/secret"), "canary");
  EXPECT_TRUE(store::remove_tree(*files_, name("t")));
}

TEST_P(PosixFilesTest, ReplacesAWholeFileAtOnce) {
  ASSERT_TRUE(store::write_whole(*files_, name("w"), bytes_of("one")));
  ASSERT_TRUE(store::write_whole(*files_, name("w"), bytes_of("two")));
  EXPECT_EQ(text_of(*store::read_whole(*files_, name("w"), 10)), "two");
  EXPECT_EQ(store::read_whole(*files_, name("w"), 2).error().kind(), Kind::kLimit);
  EXPECT_FALSE(std::filesystem::exists(root("w.new")));
}

INSTANTIATE_TEST_SUITE_P(Resolve, PosixFilesTest,
                         testing::Values(Resolve::kByKernel, Resolve::kByHand),
                         [](const auto& tested) {
                           return tested.param == Resolve::kByKernel ? "ByKernel" : "ByHand";
                         });

}  // namespace
}  // namespace longhaul::io
