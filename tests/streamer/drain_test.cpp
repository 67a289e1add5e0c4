#include "streamer/drain.hpp"

#include <gtest/gtest.h>
#include <unistd.h>

#include <filesystem>

#include "lib/cli/exit_code.hpp"
#include "lib/client/mapping.hpp"
#include "lib/client/run_folder.hpp"

namespace longhaul::streamer {
namespace {

namespace fs = std::filesystem;

constexpr std::uint64_t kNobody = 999'999'999;  // beyond what Linux gives a process

// A run, and the ring of an attempt of it with one point in it, held as by the process that made
// it.
class DrainCommand : public testing::Test {
 protected:
  void SetUp() override {
    std::string pattern = testing::TempDir() + "drain-XXXXXX";
    ASSERT_NE(::mkdtemp(pattern.data()), nullptr);
    root_ = fs::canonical(pattern);
    options_.shared = root_;
    options_.wait = "0s";
    const auto run = client::RunFolder::open(root_ / "run", root_).value();
    ASSERT_EQ(run.begin_attempt(0).value(), 1U);
    const std::string folder = root_ / "run";
    const run::SharedLogOptions layout{
        .process = kNobody, .folder = folder, .rings = 1, .ring_records = 8};
    ring_ = client::Mapping::create(run.shared_path(1), run::SharedLog::bytes(layout)).value();
    run::SharedLog shared = run::SharedLog::create(ring_->bytes(), layout);
    shared.claim_ring()->push({shared.add_series("loss"), 1, WallTime{1}, 0.5});
  }
  void TearDown() override { fs::remove_all(root_); }

  fs::path root_;
  DrainOptions options_;
  std::unique_ptr<client::Mapping> ring_;
  cli::StringConsole console_;
};

TEST_F(DrainCommand, SaysWhoseMemoryIsStillHeld) {
  EXPECT_EQ(drain(console_, options_), cli::kError);
  EXPECT_EQ(console_.out_text, "");
  EXPECT_NE(console_.err_text.find("process 999999999 died, and one that it started lives"),
            std::string::npos)
      << console_.err_text;
  EXPECT_NE(console_.err_text.find(
                "end that one (`fuser` names it), then drain again; or give --wait a longer time"),
            std::string::npos);
  options_.json = true;
  EXPECT_EQ(drain(console_, options_), cli::kError);
  EXPECT_NE(console_.out_text.find("\"state\":\"held\",\"records\":0"), std::string::npos)
      << console_.out_text;
}

TEST_F(DrainCommand, SaysWhatItBroughtThenThatNothingIsLeft) {
  ring_.reset();
  EXPECT_EQ(drain(console_, options_), cli::kOk);
  EXPECT_EQ(console_.out_text,
            options_.shared + "/run attempt 1: 2 records brought into its log\n");
  console_.out_text.clear();
  EXPECT_EQ(drain(console_, options_), cli::kOk);
  EXPECT_EQ(console_.out_text, "nothing is left here\n");
}

TEST_F(DrainCommand, FailsForARunThatIsNotThereAndForItsLogThatIsNot) {
  ring_.reset();
  options_.runs = {root_ / "none"};
  EXPECT_EQ(drain(console_, options_), cli::kNotFoundError);
  EXPECT_NE(console_.err_text.find("do:  name a run's folder, the one that holds log/"),
            std::string::npos)
      << console_.err_text;
  options_.runs.clear();
  fs::remove(root_ / "run/log/000001.run");
  options_.json = true;
  EXPECT_EQ(drain(console_, options_), cli::kNotFoundError);
  EXPECT_NE(console_.out_text.find("\"state\":\"failed\",\"records\":0,\"why\":\"open "),
            std::string::npos)
      << console_.out_text;
  EXPECT_NE(console_.err_text.find("do:  drain again where the run's folder can be seen"),
            std::string::npos)
      << console_.err_text;
  options_.shared = root_ / "none";
  EXPECT_EQ(drain(console_, options_), cli::kNotFoundError);
  EXPECT_NE(console_.err_text.find("do:  name with --shared the folder"), std::string::npos)
      << console_.err_text;
  EXPECT_EQ(console_.err_text.find("longhaul sites"), std::string::npos)
      << "the laptop's lists know of no run's folder: " << console_.err_text;
}

}  // namespace
}  // namespace longhaul::streamer
