#include "lib/store/timed_files.hpp"

#include <gtest/gtest.h>

#include "tests/sim/crash_files.hpp"

namespace longhaul::store {
namespace {

thread_local Duration t_now{};
Duration tick() {  // each look at the clock takes a second
  return t_now += 1s;
}

struct TimedFilesTest : testing::Test {
  std::shared_ptr<sim::CrashFiles> disk = std::make_shared<sim::CrashFiles>();
  StageClock stages{&tick};
  TimedFiles files{disk, stages};
  static TreeName name(const char* text) { return TreeName::known(text); }
  std::int64_t spent(WorkStage stage) { return stages.at(stage).spent / 1s; }
};

TEST_F(TimedFilesTest, TellsReadingWritingAndSyncingApart) {
  ASSERT_TRUE(files.make_folder(name("d")));
  auto file = files.open(name("d/f"), Access::kCreate);
  ASSERT_TRUE(file);
  ASSERT_TRUE((*file)->write_at(bytes_of("four"), 0));
  EXPECT_EQ(spent(WorkStage::kWrite), 3);
  EXPECT_EQ(spent(WorkStage::kRead), 0);
  ASSERT_TRUE((*file)->sync());
  ASSERT_TRUE(files.sync_folder(name("d")));
  ASSERT_TRUE(files.sync_all());
  EXPECT_EQ(spent(WorkStage::kSync), 3);
  ByteVector bytes(4);
  const auto opened = files.open(name("d/f"), Access::kRead);
  ASSERT_TRUE(opened);
  EXPECT_EQ(*(*opened)->read_at(bytes, 0), 4U);
  EXPECT_EQ(files.stat(name("d/f"))->size, 4U);
  EXPECT_EQ(spent(WorkStage::kRead), 3);
  EXPECT_EQ(spent(WorkStage::kWrite), 3);
}

TEST_F(TimedFilesTest, WhatItSyncsIsSynced) {
  ASSERT_TRUE(files.make_folder(name("d")));
  auto file = files.open(name("d/f"), Access::kCreate);
  ASSERT_TRUE(file);
  const std::uint64_t before = disk->syncs();
  ASSERT_TRUE((*file)->sync());
  EXPECT_EQ(disk->syncs(), before + 1);
  ASSERT_TRUE(files.sync_folder(name("d")));
  EXPECT_EQ(disk->syncs(), before + 2);
  ASSERT_TRUE(files.sync_all());
  EXPECT_EQ(disk->syncs(), before + 3);
}

TEST_F(TimedFilesTest, IsTheSameDisk) {
  ASSERT_TRUE(files.make_folder(name("d")));
  ASSERT_TRUE(files.open(name("d/f"), Access::kCreate));
  ASSERT_TRUE(files.rename(name("d/f"), name("d/g"), Replace::kNo));
  ASSERT_TRUE(files.link(name("d/g"), name("d/h")));
  ASSERT_TRUE(files.make_link("g", name("d/l")));
  ASSERT_TRUE(files.set_attributes(name("d/g"), 0600, WallTime{5}));
  EXPECT_EQ(disk->stat(name("d/h"))->mode, 0600U);
  EXPECT_EQ(*files.read_link(name("d/l")), "g");
  EXPECT_EQ(files.open(name("d/f"), Access::kRead).error().kind(), Kind::kNotFound);
  const auto folder = files.open_folder(name("d"));
  ASSERT_TRUE(folder);
  EXPECT_EQ((*folder)->next(10)->size(), 3U);
  ASSERT_TRUE(files.remove(name("d/l")));
  EXPECT_EQ(disk->stat(name("d/l")).error().kind(), Kind::kNotFound);
}

}  // namespace
}  // namespace longhaul::store
