// What PosixFiles calls durable has been synced.
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <filesystem>

#include "lib/io/posix_files.hpp"
#include "tests/base/sync_calls.hpp"

namespace longhaul::io {
namespace {

using store::TreeName;

class PosixSyncs : public testing::Test {
 protected:
  void SetUp() override {
    std::string pattern = testing::TempDir() + "longhaul-syncs-XXXXXX";
    ASSERT_NE(::mkdtemp(pattern.data()), nullptr);
    root_ = std::filesystem::canonical(pattern);
    files_ = PosixFiles::at(root_).value();
    ASSERT_TRUE(files_->make_folder(TreeName::known("folder")));
    auto file = files_->open(TreeName::known("folder/file"), store::Access::kCreate).value();
    ASSERT_TRUE(file->write_at(bytes_of("content"), 0));
    sync_calls::forget();
  }
  void TearDown() override { std::filesystem::remove_all(root_); }

  std::string root_;
  std::unique_ptr<PosixFiles> files_;
};

TEST_F(PosixSyncs, AFilesBytes) {
  auto file = files_->open(TreeName::known("folder/file"), store::Access::kWrite).value();
  EXPECT_FALSE(sync_calls::has_content(root_ + "/folder/file"));
  ASSERT_TRUE(file->sync());
  EXPECT_TRUE(sync_calls::has_content(root_ + "/folder/file"));
}

TEST_F(PosixSyncs, AFoldersNames) {
  EXPECT_FALSE(sync_calls::has_name(root_ + "/folder/file"));
  ASSERT_TRUE(files_->sync_folder(TreeName::known("folder")));
  EXPECT_TRUE(sync_calls::has_name(root_ + "/folder/file"));
}

TEST_F(PosixSyncs, All) {
  EXPECT_FALSE(sync_calls::has_all_of(root_));
  ASSERT_TRUE(files_->sync_all());
  EXPECT_TRUE(sync_calls::has_all_of(root_));
}

}  // namespace
}  // namespace longhaul::io
