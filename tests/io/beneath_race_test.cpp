// N2: while one thread swaps a folder with a link that leads out, as fast as it can, no call may
// ever reach what lies behind the link.
#include <fcntl.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <atomic>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <thread>

#include "lib/io/posix_files.hpp"

namespace longhaul::io {
namespace {

using store::Access;
using store::TreeName;

const TreeName kTarget = TreeName::known("swap/file"), kFresh = TreeName::known("swap/new");

// Any of these may fail; none may act behind the link.
void write_somehow(PosixFiles& files, int round) {
  switch (round % 5) {
    case 0:
      (void)files.open(kFresh, Access::kOpenOrCreate);
      break;
    case 1:
      (void)files.set_attributes(kTarget, 0600, WallTime{1});
      break;
    case 2:
      (void)files.make_folder(TreeName::known("swap/folder"));
      break;
    case 3:
      (void)files.link(TreeName::known("mine"), TreeName::known("swap/linked"));
      break;
    case 4:
      (void)files.remove(kFresh);
      break;
  }
}

class BeneathRace : public testing::TestWithParam<Resolve> {};

TEST_P(BeneathRace, NothingEscapesASwappedFolder) {
  std::string pattern = testing::TempDir() + "longhaul-race-XXXXXX";
  const std::string base = mkdtemp(pattern.data());
  for (const char* folder : {"/root", "/root/swap", "/outside"})
    std::filesystem::create_directory(base + folder);
  std::ofstream(base + "/root/swap/file") << "inside";
  std::ofstream(base + "/root/mine") << "inside";
  std::ofstream(base + "/outside/file") << "canary";
  std::filesystem::permissions(base + "/outside/file", std::filesystem::perms(0640));
  std::filesystem::create_symlink(base + "/outside", base + "/root/link");
  auto files = PosixFiles::at(base + "/root", GetParam());
  ASSERT_TRUE(files);

  // A million take nine seconds of the kernel's time.
  const int flips_wanted = std::getenv("LONGHAUL_LONG") == nullptr ? 200'000 : 1'000'000;
  constexpr int kRounds = 20'000;
  std::atomic<bool> done{false};
  int flips = 0;
  std::thread flipper([&] {
    const std::string folder = base + "/root/swap", link = base + "/root/link";
    for (int i = 0; i < flips_wanted; ++i)
      if (::renameat2(AT_FDCWD, folder.c_str(), AT_FDCWD, link.c_str(), RENAME_EXCHANGE) == 0)
        ++flips;
    done = true;
  });
  int reached = 0, refused = 0;
  for (int i = 0; i < kRounds || !done; ++i) {
    auto file = (*files)->open(kTarget, Access::kRead);
    if (file) {
      ByteVector bytes(6);
      ASSERT_TRUE((*file)->read_at(bytes, 0));
      ASSERT_EQ(text_of(bytes), "inside");
      ++reached;
    } else {
      ++refused;
    }
    write_somehow(**files, i);
  }
  flipper.join();
  EXPECT_EQ(flips, flips_wanted);
  EXPECT_GT(reached, 0);
  EXPECT_GT(refused, 0) << "the race was never lost: the test shows nothing";
  std::size_t entries = 0;
  for (const auto& entry : std::filesystem::directory_iterator(base + "/outside")) {
    (void)entry;
    ++entries;
  }
  EXPECT_EQ(entries, 1U);
  EXPECT_EQ(std::filesystem::status(base + "/outside/file").permissions(),
            std::filesystem::perms(0640));
  std::filesystem::remove_all(base);
}

INSTANTIATE_TEST_SUITE_P(Resolve, BeneathRace,
                         testing::Values(Resolve::kByKernel, Resolve::kByHand),
                         [](const auto& tested) {
                           return tested.param == Resolve::kByKernel ? "ByKernel" : "ByHand";
                         });

}  // namespace
}  // namespace longhaul::io
