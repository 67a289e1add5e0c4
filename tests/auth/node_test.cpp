#include "lib/auth/node.hpp"

#include <gtest/gtest.h>
#include <unistd.h>

#include <filesystem>

#include "lib/io/posix_files.hpp"

namespace longhaul::auth {
namespace {

class NodeTest : public ::testing::Test {
 protected:
  void SetUp() override {
    folder_ = std::filesystem::temp_directory_path() / ("node-" + std::to_string(::getpid()));
    std::filesystem::create_directory(folder_);
    files_ = *io::PosixFiles::at(folder_.string());
  }
  void TearDown() override {
    files_.reset();
    std::filesystem::remove_all(folder_);
  }
  std::filesystem::path folder_;
  std::unique_ptr<io::PosixFiles> files_;
};

TEST_F(NodeTest, MakesAnIdentityOnceAndKeepsIt) {
  const Error none = load_identity(*files_).error();
  EXPECT_EQ(none.message(), "find this node's identity: there is none yet");
  EXPECT_EQ(none.advice(), "make it with `longhaul init` (or `longhaul-streamer run`, at a site)");
  const auto first = make_identity(*files_);
  EXPECT_EQ(first->made, Made::kNew);
  const auto second = make_identity(*files_);
  EXPECT_EQ(second->made, Made::kThere);
  EXPECT_EQ(first->identity.pin(), second->identity.pin());
}

TEST_F(NodeTest, AKeyThatOthersMayReadIsRefused) {
  ASSERT_TRUE(make_identity(*files_));
  const auto name = store::TreeName::known("identity.pem");
  EXPECT_EQ(files_->stat(name)->mode, 0600U);
  ASSERT_TRUE(files_->set_mode(name, 0640));
  const Error open = load_identity(*files_).error();
  EXPECT_EQ(open.message(), "use this node's identity: others may read identity.pem");
  EXPECT_EQ(open.advice(),
            "run `chmod 600` on it; if others may have read it, remove it and pair anew");
}

}  // namespace
}  // namespace longhaul::auth
