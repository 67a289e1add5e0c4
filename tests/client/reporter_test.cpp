#include "lib/client/reporter.hpp"

#include <fcntl.h>
#include <sys/resource.h>
#include <sys/wait.h>

#include <algorithm>
#include <barrier>
#include <csignal>
#include <numeric>
#include <thread>

#include "lib/base/rng.hpp"
#include "lib/client/longhaul.h"
#include "lib/client/run_folder.hpp"
#include "tests/client/run_fixture.hpp"

extern "C" std::uint64_t plain_c_run(const char* folder, const char* shared);

namespace longhaul::client {
namespace {

using run::EventKind;

TEST_F(Client, CarriesThePointsOfAllThreadsIntoTheLog) {
  auto reporter = Reporter::open(options()).value();
  EXPECT_EQ(reporter->attempt(), 1U);
  const auto loss = reporter->series("loss"), speed = reporter->series("speed");
  EXPECT_EQ(reporter->series("loss"), loss);
  std::vector<std::thread> threads;
  for (const auto series : {loss, speed}) {
    threads.emplace_back([&reporter, series] {
      for (std::uint64_t step = 0; step < 5000; ++step) reporter->log(series, step, 0.25);
    });
  }
  for (std::thread& thread : threads) thread.join();
  reporter->event(EventKind::kCheckpoint, 4999, "step-4999");
  reporter->close("done");
  const Log log = this->log(1);
  EXPECT_TRUE(log.started && log.ended);
  EXPECT_EQ(log.points.size(), 10'000U);
  EXPECT_EQ(log.times.size(), 10'000U) << "none twice";
  ASSERT_EQ(log.events.size(), 1U);
  EXPECT_EQ(log.events[0].text, "step-4999");
  EXPECT_EQ(leftovers(), 0U) << "a run that ended leaves no ring behind";
}

TEST_F(Client, MoreThreadsThanRingsAreCountedNotServed) {
  ReporterOptions one = options();
  one.threads = 1;
  auto reporter = Reporter::open(one).value();
  const auto loss = reporter->series("loss");
  reporter->log(loss, 1, 1);
  std::thread([&] { reporter->log(loss, 2, 1); }).join();
  EXPECT_EQ(reporter->counts().dropped, 1U);
  reporter->close("done");
  EXPECT_EQ(log(1).points.size(), 1U);
  EXPECT_EQ(log(1).dropped, 1U);
}

TEST_F(Client, AttemptsThatBeginAtOnceGetANumberEach) {
  constexpr std::size_t kThreads = 8, kEach = 50;
  const RunFolder folder = RunFolder::open(root_ / "run", root_ / "shm").value();
  std::barrier<> begin(kThreads);
  std::vector<std::uint32_t> numbers(kThreads * kEach);
  std::vector<std::thread> threads;
  for (std::size_t thread = 0; thread < kThreads; ++thread)
    threads.emplace_back([&, thread] {
      begin.arrive_and_wait();
      for (std::size_t i = 0; i < kEach; ++i)
        numbers[thread * kEach + i] = folder.begin_attempt(0).value_or(0);
    });
  for (std::thread& thread : threads) thread.join();
  std::sort(numbers.begin(), numbers.end());
  std::vector<std::uint32_t> each_once(numbers.size());
  std::iota(each_once.begin(), each_once.end(), 1U);
  EXPECT_EQ(numbers, each_once);
}

// P7: whatever moment a kill -9 hits, every point that log() had taken in is in the log, once.
TEST_F(Client, P7KillingTheTrainingProcessLosesAndDoublesNoPoint) {
  Rng rng(7, "kill");
  for (int round = 1; round <= 8; ++round) {
    int pipe[2];
    ASSERT_EQ(::pipe(pipe), 0);
    const pid_t child = ::fork();
    ASSERT_GE(child, 0);
    if (child == 0) {
      auto reporter = Reporter::open(options());
      if (!reporter) ::_exit(1);
      const auto loss = (*reporter)->series("loss");
      for (std::uint64_t step = 1;; ++step) {
        (*reporter)->log(loss, step, 1.0);
        if (step % 100 == 0 && ::write(pipe[1], &step, sizeof step) != sizeof step) ::_exit(1);
        if (step % 1000 == 0) ::usleep(200);
      }
    }
    ::close(pipe[1]);
    std::uint64_t accepted = 0;
    const std::uint64_t enough = 500 + rng.below(30'000);
    while (accepted<enough&& ::read(pipe[0], &accepted, sizeof accepted)> 0) {
    }
    ::kill(child, SIGKILL);
    int status = 0;
    ::waitpid(child, &status, 0);
    for (std::uint64_t more = 0; ::read(pipe[0], &more, sizeof more) > 0;) accepted = more;
    ::close(pipe[0]);
    ASSERT_TRUE(WIFSIGNALED(status)) << "the child ended by itself";
    {
      auto next = Reporter::open(options()).value();  // saves what was left
      EXPECT_EQ(next->attempt(), static_cast<std::uint32_t>(2 * round));
      next->close("done");
    }
    const Log log = this->log(2 * round - 1);
    EXPECT_FALSE(log.ended);
    EXPECT_EQ(log.dropped, 0U);
    ASSERT_GE(log.points.size(), accepted) << "round " << round;
    for (std::size_t i = 0; i < log.points.size(); ++i) ASSERT_EQ(log.points[i].step, i + 1);
  }
  EXPECT_EQ(leftovers(), 0U);
}

TEST_F(Client, ARunWhoseFolderWasDeletedAfterAKillMayBeginAnew) {
  const pid_t child = ::fork();
  if (child == 0) {
    auto reporter = Reporter::open(options()).value();
    reporter->log(reporter->series("loss"), 1, 0.5);
    ::kill(::getpid(), SIGKILL);
  }
  int status = 0;
  ::waitpid(child, &status, 0);
  ASSERT_EQ(leftovers(), 1U);
  fs::remove_all(root_ / "run");
  auto reporter = Reporter::open(options());
  ASSERT_TRUE(reporter) << reporter.error().message();
  EXPECT_EQ((*reporter)->attempt(), 1U);
  (*reporter)->close("done");
  EXPECT_TRUE(log(1).points.empty());
  EXPECT_EQ(leftovers(), 0U);
}

TEST_F(Client, CommandsAreDoneOnceAndSettingsOutliveARestart) {
  auto first = Reporter::open(options()).value();
  run::Command command = run::parse_command("lr=0.01").value();
  command.id = 0xABC;
  command.who = wire::Text<255>("ada");
  send(command);
  const auto found = wait_for_command(*first, 7);
  ASSERT_TRUE(found.has_value());
  EXPECT_EQ(found->value, 0.01);
  EXPECT_EQ(found->who, "ada");
  first->done(*found, 8, EventKind::kApplied, "");
  first->close("done");
  send(command);  // again, as after a lost answer
  ASSERT_EQ(log(1).events.size(), 1U);
  EXPECT_EQ(log(1).events[0].step, 8U);
  EXPECT_EQ(log(1).events[0].text, "lr=0.01");

  auto second = Reporter::open(options()).value();
  const auto again = second->poll(100);
  ASSERT_TRUE(again.has_value()) << "a setting in force comes first after a restart";
  EXPECT_EQ(again->id, command.id);
  EXPECT_EQ(run::shown(*again), "lr=0.01");
  second->done(*again, 100, EventKind::kApplied, "");
  for (int i = 0; i < 6000 && fs::exists(root_ / "run/control/0000000000000abc.cmd"); ++i)
    ::poll(nullptr, 0, 10);
  EXPECT_FALSE(fs::exists(root_ / "run/control/0000000000000abc.cmd"));
  EXPECT_FALSE(second->poll(101).has_value()) << "the command itself is not done again";
  second->close("done");

  ReporterOptions forgetful = options();
  forgetful.forget_controls = true;
  auto third = Reporter::open(forgetful).value();
  EXPECT_FALSE(third->poll(1).has_value());
  third->close("done");
}

TEST_F(Client, ACommandThatCameTooLateIsSaidToHaveExpired) {
  auto reporter = Reporter::open(options()).value();
  run::Command command = run::parse_command("stop").value();
  command.id = 5;
  command.expires = WallTime{1};  // in 1970
  send(command);
  for (int i = 0; i < 6000 && fs::exists(root_ / "run/control/0000000000000005.cmd"); ++i)
    ::poll(nullptr, 0, 10);
  EXPECT_FALSE(reporter->poll(3).has_value());
  reporter->close("done");
  ASSERT_EQ(log(1).events.size(), 1U);
  EXPECT_EQ(log(1).events[0].kind, EventKind::kExpired);
  EXPECT_EQ(log(1).events[0].id, 5U);
}

TEST_F(Client, AnOlderAttemptLearnsThatItWasSuperseded) {
  auto older = Reporter::open(options()).value();
  auto newer = Reporter::open(options()).value();
  EXPECT_EQ(newer->attempt(), 2U);
  for (int i = 0; i < 6000 && !older->superseded(); ++i) ::poll(nullptr, 0, 10);
  EXPECT_TRUE(older->superseded());
  EXPECT_FALSE(newer->superseded());
  older->log(older->series("loss"), 1, 1);
  older->close("superseded");
  newer->close("done");
  EXPECT_EQ(log(1).points.size(), 1U) << "its own log is still its own";
}

TEST_F(Client, AFullDiskStopsTheLogAndNotTheTraining) {
  const pid_t child = ::fork();
  ASSERT_GE(child, 0);
  if (child == 0) {  // a limit on file sizes acts like a full disk, in this process alone
    ::signal(SIGXFSZ, SIG_IGN);
    auto reporter = Reporter::open(options());
    if (!reporter) ::_exit(1);
    const auto loss = (*reporter)->series("loss");
    (*reporter)->log(loss, 0, 1);
    for (int i = 0; i < 6000 && (*reporter)->counts().logged < 3; ++i) ::poll(nullptr, 0, 10);
    const rlimit tight{400, RLIM_INFINITY};
    ::setrlimit(RLIMIT_FSIZE, &tight);
    for (std::uint64_t step = 1; step <= 200'000; ++step) (*reporter)->log(loss, step, 1);
    for (int i = 0; i < 6000 && (*reporter)->counts().failed_writes == 0; ++i)
      ::poll(nullptr, 0, 10);
    const Counts full = (*reporter)->counts();
    if (full.failed_writes == 0 || full.last_errno != EFBIG) ::_exit(2);
    const rlimit loose{RLIM_INFINITY, RLIM_INFINITY};
    ::setrlimit(RLIMIT_FSIZE, &loose);
    for (int i = 0; i < 6000 && (*reporter)->counts().logged < 1000; ++i) ::poll(nullptr, 0, 10);
    (*reporter)->close("done");
    ::_exit(0);
  }
  int status = 0;
  ::waitpid(child, &status, 0);
  ASSERT_EQ(status, 0) << WEXITSTATUS(status);
  const Log log = this->log(1);
  EXPECT_TRUE(log.ended);
  EXPECT_GT(log.dropped, 0U) << "more was logged than a ring holds";
  EXPECT_EQ(log.times.size(), log.points.size()) << "none twice";
  EXPECT_GE(log.points.size() + log.dropped, 200'001U);
  EXPECT_EQ(log.points.back().step, 200'000U) << "the newest is there";
}

TEST_F(Client, SaysWhatIsWrongWithAFolder) {
  std::ofstream(root_ / "file") << "x";
  ReporterOptions wrong = options();
  wrong.folder = root_ / "file" / "run";
  const auto none = Reporter::open(wrong);
  ASSERT_FALSE(none.has_value());
  EXPECT_NE(none.error().message().find("file"), std::string::npos) << none.error().message();
}

TEST_F(Client, ServesPlainC) {
  EXPECT_EQ(plain_c_run((root_ / "run").c_str(), (root_ / "shm").c_str()), 1U);
  const Log log = this->log(1);
  EXPECT_EQ(log.points.size(), 10U);
  ASSERT_EQ(log.events.size(), 1U);
  EXPECT_EQ(log.events[0].text, "the end");
  // A rank without a log needs no ifs.
  longhaul_log(nullptr, 0, 0, 0);
  longhaul_mark(nullptr, 0, "x");
  longhaul_close(nullptr, "x");
  EXPECT_EQ(longhaul_poll(nullptr, 0, nullptr), 0);
  char why[100];
  EXPECT_EQ(longhaul_open(nullptr, why, sizeof why), nullptr);
  EXPECT_NE(std::string(why).find("size"), std::string::npos);
}

}  // namespace
}  // namespace longhaul::client
