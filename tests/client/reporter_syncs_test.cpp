// What the run log was told is durable: once a second, when a run ends, and when the log of a
// killed attempt is completed.
#include <gtest/gtest.h>
#include <poll.h>
#include <sys/wait.h>
#include <unistd.h>

#include <csignal>
#include <filesystem>

#include "lib/client/reporter.hpp"
#include "tests/base/sync_calls.hpp"

namespace longhaul::client {
namespace {

class ReporterSyncs : public testing::Test {
 protected:
  void SetUp() override {
    std::string pattern = testing::TempDir() + "client-syncs-XXXXXX";
    ASSERT_NE(::mkdtemp(pattern.data()), nullptr);
    root_ = std::filesystem::canonical(pattern);
    std::filesystem::create_directory(root_ + "/shm");
    sync_calls::forget();
  }
  void TearDown() override { std::filesystem::remove_all(root_); }

  std::unique_ptr<Reporter> open() const {
    return Reporter::open({.folder = root_ + "/run", .shared = root_ + "/shm"}).value();
  }
  std::string log(int attempt) const {
    return root_ + "/run/log/00000" + std::to_string(attempt) + ".run";
  }

  std::string root_;
};

TEST_F(ReporterSyncs, WhileTheRunIsUnderWay) {
  const auto reporter = open();
  reporter->log(reporter->series("loss"), 1, 0.5);
  while (reporter->counts().logged < 3) ::poll(nullptr, 0, 10);  // start, name, point
  // The limit on the test's time is all that bounds this.
  while (!sync_calls::has_content(log(1))) ::poll(nullptr, 0, 10);
}

TEST_F(ReporterSyncs, TheNamesOfTheLogAndItsFolders) {
  const auto reporter = open();
  for (const std::string& path :
       {root_ + "/run", root_ + "/run/log", root_ + "/run/control", log(1)})
    EXPECT_TRUE(sync_calls::has_name(path)) << path;
  reporter->close("done");
}

TEST_F(ReporterSyncs, WhenTheRunEnds) {
  const auto reporter = open();
  reporter->log(reporter->series("loss"), 1, 0.5);
  reporter->close("done");
  EXPECT_TRUE(sync_calls::has_content(log(1)));
}

TEST_F(ReporterSyncs, WhenAKilledAttemptsLogIsCompleted) {
  const pid_t child = ::fork();
  ASSERT_GE(child, 0);
  if (child == 0) {
    const auto reporter = open();
    const auto loss = reporter->series("loss");
    for (std::uint64_t step = 0; step < 1000; ++step) reporter->log(loss, step, 0.5);
    ::kill(::getpid(), SIGKILL);
  }
  int status = 0;
  ::waitpid(child, &status, 0);
  ASSERT_TRUE(WIFSIGNALED(status));
  open()->close("done");
  EXPECT_TRUE(sync_calls::has_content(log(1)));
}

}  // namespace
}  // namespace longhaul::client
