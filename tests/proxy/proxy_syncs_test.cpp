// What the laptop keeps beside the trees is durable when it says so.
#include <gtest/gtest.h>
#include <unistd.h>

#include <filesystem>

#include "proxy/files.hpp"
#include "proxy/tensorboard.hpp"
#include "tests/base/sync_calls.hpp"

namespace longhaul::proxy {
namespace {

class ProxySyncs : public testing::Test {
 protected:
  void SetUp() override {
    std::string pattern = testing::TempDir() + "longhaul-proxy-syncs-XXXXXX";
    ASSERT_NE(::mkdtemp(pattern.data()), nullptr);
    root_ = std::filesystem::canonical(pattern);
    sync_calls::forget();
  }
  void TearDown() override { std::filesystem::remove_all(root_); }

  std::string root_;
};

TEST_F(ProxySyncs, TheNameOfEachFolderItMakes) {
  ASSERT_TRUE(private_folder(root_ + "/state/longhaul/sites"));
  for (const char* made : {"/state", "/state/longhaul", "/state/longhaul/sites"})
    EXPECT_TRUE(sync_calls::has_name(root_ + made)) << made;
}

// The places say how many bytes of the event file were written: never more than are durable.
TEST_F(ProxySyncs, TheEventFileBeforeThePlacesThatNameItsBytes) {
  const auto events = EventFolder::open(root_ + "/events", "here/a").value();
  feed::Took took;
  took.attempt = 1;
  took.next = 3;
  const run::SeriesId loss(0);
  took.entries.push_back({0, run::Start{1, WallTime{5'000'000'000}, 7, {"gpu"}, {"{}"}}});
  took.entries.push_back({1, run::NameSeries{loss, {"loss"}}});
  took.points.push_back({loss, 1, WallTime{1}, 0.5});
  ASSERT_TRUE(events->take(took));
  ASSERT_TRUE(events->sync());
  std::size_t files = 0;
  for (const auto& file : std::filesystem::directory_iterator(root_ + "/events")) {
    if (file.path().filename().string().find("tfevents") == std::string::npos) continue;
    EXPECT_TRUE(sync_calls::has_content(file.path()));
    ++files;
  }
  EXPECT_EQ(files, 1U);
}

}  // namespace
}  // namespace longhaul::proxy
