#include "lib/client/leftovers.hpp"

#include <sys/wait.h>

#include <csignal>
#include <thread>

#include "lib/base/rng.hpp"
#include "tests/client/run_fixture.hpp"

namespace longhaul::client {
namespace {

class Leftovers : public Client {
 protected:
  void SetUp() override {
    Client::SetUp();
    fs::create_directory(root_ / "shm2");
  }
  // Of the same run, as if on another node.
  ReporterOptions elsewhere() const {
    ReporterOptions other = options();
    other.shared = root_ / "shm2";
    return other;
  }
  LeftoverOptions here() const { return {.shared = root_ / "shm"}; }
  std::vector<Leftover> drain(const LeftoverOptions& options) const {
    auto found = drain_leftovers(options);
    EXPECT_TRUE(found) << found.error().message();
    return found ? *std::move(found) : std::vector<Leftover>();
  }
  // A program that logs steps from 1 on and is killed once it has logged `enough` and `meanwhile`
  // has been done; how many it had.
  template <class Meanwhile>
  std::uint64_t killed_after(std::uint64_t enough, Meanwhile meanwhile) const {
    int pipe[2];
    EXPECT_EQ(::pipe(pipe), 0);
    const pid_t child = ::fork();
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
    while (accepted<enough&& ::read(pipe[0], &accepted, sizeof accepted)> 0) {
    }
    meanwhile();
    ::kill(child, SIGKILL);
    int status = 0;
    ::waitpid(child, &status, 0);
    EXPECT_TRUE(WIFSIGNALED(status)) << "the child ended by itself";
    for (std::uint64_t more = 0; ::read(pipe[0], &more, sizeof more) > 0;) accepted = more;
    ::close(pipe[0]);
    return accepted;
  }
  std::uint64_t killed_after(std::uint64_t enough) const {
    return killed_after(enough, [] {});
  }
  void expect_each_once(int attempt, std::uint64_t at_least) const {
    const Log log = this->log(attempt);
    EXPECT_EQ(log.dropped, 0U);
    ASSERT_GE(log.points.size(), at_least);
    for (std::size_t i = 0; i < log.points.size(); ++i) ASSERT_EQ(log.points[i].step, i + 1);
  }
};

// P7: a job killed on one node goes on at another, which cannot see what the first has in memory.
TEST_F(Leftovers, P7OfAJobThatGoesOnElsewhereLoseAndDoubleNoPoint) {
  Rng rng(7, "leftovers");
  std::uint64_t brought = 0;
  for (int round = 1; round <= 6; ++round) {
    const std::uint64_t accepted = killed_after(500 + rng.below(20'000));
    auto next = Reporter::open(elsewhere()).value();
    const auto loss = next->series("loss");
    for (std::uint64_t step = 1; step <= 50; ++step) next->log(loss, step, 2.0);
    const auto found = drain(here());
    ASSERT_EQ(found.size(), 1U);
    EXPECT_EQ(found[0].state, LeftoverState::kDrained) << found[0].error.message();
    EXPECT_EQ(found[0].attempt, static_cast<std::uint32_t>(2 * round - 1));
    EXPECT_EQ(found[0].run, fs::canonical(root_ / "run").string());
    brought += found[0].records;
    expect_each_once(2 * round - 1, accepted);
    EXPECT_TRUE(drain(here()).empty()) << "what is drained is gone from memory";
    next->close("done");
    expect_each_once(2 * round, 50);
  }
  EXPECT_GT(brought, 0U) << "there was nothing to bring";
  EXPECT_EQ(leftovers(), 0U);
}

TEST_F(Leftovers, NothingIsTakenWhileTheProcessLives) {
  auto reporter = Reporter::open(options()).value();
  const auto loss = reporter->series("loss");
  for (std::uint64_t step = 1; step <= 20'000; ++step) {
    reporter->log(loss, step, 1.0);
    if (step % 5'000 != 0) continue;
    const auto found = drain(here());
    ASSERT_EQ(found.size(), 1U);
    EXPECT_EQ(found[0].state, LeftoverState::kAtWork);
    EXPECT_EQ(found[0].process, static_cast<std::uint64_t>(::getpid()));
  }
  reporter->close("done");
  expect_each_once(1, 20'000);
}

TEST_F(Leftovers, ManyAtOnceTakeEachPointOnce) {
  for (int round = 1; round <= 4; ++round) {
    const std::uint64_t accepted = killed_after(5'000);
    const std::uint64_t had = log(round).next;
    std::atomic<std::uint64_t> brought{0};
    std::vector<std::thread> threads;
    for (int i = 0; i < 4; ++i) {
      threads.emplace_back([&] {
        LeftoverOptions patient = here();
        patient.wait = 60s;
        for (const Leftover& one : drain(patient)) brought += one.records;
      });
    }
    for (std::thread& thread : threads) thread.join();
    expect_each_once(round, accepted);
    EXPECT_EQ(had + brought, log(round).next);
    EXPECT_EQ(leftovers(), 0U);
  }
}

// Workers that a training program forked outlive it for a while, and might write where it wrote.
TEST_F(Leftovers, AreHeldWhileAProcessThatTheDeadOneForkedLives) {
  int pipe[2];
  ASSERT_EQ(::pipe(pipe), 0);
  const pid_t child = ::fork();
  if (child == 0) {
    auto reporter = Reporter::open(options()).value();
    const pid_t worker = ::fork();
    if (worker == 0) {
      for (;;) ::pause();
    }
    reporter->log(reporter->series("loss"), 1, 1.0);
    (void)!::write(pipe[1], &worker, sizeof worker);
    for (;;) ::pause();
  }
  pid_t worker = 0;
  ASSERT_EQ(::read(pipe[0], &worker, sizeof worker), static_cast<ssize_t>(sizeof worker));
  ::close(pipe[0]);
  ::close(pipe[1]);
  ::kill(child, SIGKILL);
  ::waitpid(child, nullptr, 0);
  auto found = drain(here());
  ASSERT_EQ(found.size(), 1U);
  EXPECT_EQ(found[0].state, LeftoverState::kHeld);
  ::kill(worker, SIGKILL);
  LeftoverOptions patient = here();
  patient.wait = 60s;
  found = drain(patient);
  ASSERT_EQ(found.size(), 1U);
  EXPECT_EQ(found[0].state, LeftoverState::kDrained);
  expect_each_once(1, 1);
}

// Superseded and not yet ended, or outlived by a worker, when the next attempt began.
TEST_F(Leftovers, OfAnAttemptThatDiesAfterTheNextBeganAreBroughtByThat) {
  std::unique_ptr<Reporter> next;
  const std::uint64_t accepted =
      killed_after(2'000, [&] { next = Reporter::open(options()).value(); });
  for (int i = 0; i < 6000 && leftovers() > 1; ++i) ::poll(nullptr, 0, 10);
  EXPECT_EQ(leftovers(), 1U) << "its own";
  expect_each_once(1, accepted);
  next->close("done");
  EXPECT_EQ(leftovers(), 0U);
}

TEST_F(Leftovers, OfARunThatWasRemovedDoNotGoIntoTheOneBegunUnderItsName) {
  killed_after(1'000);
  fs::remove_all(root_ / "run");
  auto other = Reporter::open(elsewhere()).value();
  ASSERT_EQ(other->attempt(), 1U);
  const auto loss = other->series("loss");
  for (std::uint64_t step = 1; step <= 500; ++step) {
    other->log(loss, step, 2.0);
    if (step != 250) continue;
    for (int i = 0; i < 6000 && log(1).points.empty(); ++i) ::poll(nullptr, 0, 10);
    const auto found = drain(here());
    ASSERT_EQ(found.size(), 1U);
    EXPECT_EQ(found[0].state, LeftoverState::kFailed);
    EXPECT_EQ(found[0].error.kind(), Kind::kExists);
    EXPECT_EQ(found[0].error.why(), "the log is of another run, begun under the same name");
  }
  other->close("done");
  expect_each_once(1, 500);
  EXPECT_EQ(log(1).points.size(), 500U);
  EXPECT_EQ(leftovers(), 1U);
  fs::remove_all(root_ / "run");
  const auto found = drain(here());
  ASSERT_EQ(found.size(), 1U);
  EXPECT_EQ(found[0].error.kind(), Kind::kNotFound);
  EXPECT_FALSE(fs::exists(root_ / "run")) << "nothing is made where nothing is";
}

TEST_F(Leftovers, OfTheRunsThatAreNamedAlone) {
  killed_after(100);
  fs::create_directory(root_ / "other");
  LeftoverOptions named = here();
  named.runs = {root_ / "other"};
  EXPECT_TRUE(drain(named).empty());
  named.runs = {root_ / "none"};
  EXPECT_EQ(drain_leftovers(named).error().kind(), Kind::kNotFound);
  fs::create_symlink(root_ / "run", root_ / "by-another-way");
  named.runs = {root_ / "by-another-way"};
  const auto found = drain(named);
  ASSERT_EQ(found.size(), 1U);
  EXPECT_EQ(found[0].state, LeftoverState::kDrained);
}

// Of a program linked with a longhaul that wrote no folder into its ring.
TEST_F(Leftovers, ThatDoNotSayWhoseTheyAreWaitForSomebodyWhoDoes) {
  const RunFolder run = RunFolder::open(root_ / "run", root_ / "shm").value();
  ASSERT_EQ(run.begin_attempt(0).value(), 1U);
  const run::SharedLogOptions layout{.process = 999'999'999, .rings = 1, .ring_records = 8};
  {
    const auto ring = Mapping::create(run.shared_path(1), run::SharedLog::bytes(layout)).value();
    run::SharedLog shared = run::SharedLog::create(ring->bytes(), layout);
    shared.claim_ring()->push({shared.add_series("loss"), 1, WallTime{1}, 0.5});
  }
  auto found = drain(here());
  ASSERT_EQ(found.size(), 1U);
  EXPECT_EQ(found[0].error.kind(), Kind::kUnsupported);
  EXPECT_EQ(found[0].error.why(), "it does not say of which run it is");
  EXPECT_EQ(found[0].error.advice(), "name the run's folder");
  LeftoverOptions named = here();
  named.runs = {root_ / "run"};
  found = drain(named);
  ASSERT_EQ(found.size(), 1U);
  EXPECT_EQ(found[0].state, LeftoverState::kDrained);
  expect_each_once(1, 1);
}

TEST_F(Leftovers, ThatSomebodyElseMadeUpAreNotRead) {
  if (::geteuid() != 0) GTEST_SKIP() << "only root can make a file of another user";
  killed_after(100);
  const fs::path ring = fs::directory_iterator(root_ / "shm")->path();
  ASSERT_EQ(::chown(ring.c_str(), 65'534, 65'534), 0);
  const std::uint64_t had = log(1).next;
  const auto found = drain(here());
  ASSERT_EQ(found.size(), 1U);
  EXPECT_EQ(found[0].error.kind(), Kind::kPermission);
  EXPECT_EQ(found[0].error.why(), "it belongs to another user");
  EXPECT_EQ(found[0].run, "");
  auto next = Reporter::open(options());  // nor by the next attempt
  ASSERT_TRUE(next);
  (*next)->close("done");
  EXPECT_EQ(log(1).next, had);
}

TEST_F(Leftovers, ThatAreNoRingsAreSaidAndLeftAlone) {
  const std::string ours = "longhaul-" + std::to_string(::getuid()) + "-";
  std::ofstream(root_ / "shm" / (ours + "0123456789abcdef-1")) << std::string(8'192, 'x');
  std::ofstream(root_ / "shm" / (ours + "0123456789abcdef-2"));  // begun, and killed at once
  killed_after(100);
  for (const auto& entry :
       fs::directory_iterator(root_ / "shm")) {  // one of another name than its run's
    if (entry.path().filename().string().starts_with(ours + "0123")) continue;
    fs::rename(entry.path(), root_ / "shm" / (ours + "fedcba9876543210-1"));
    break;
  }
  const auto found = drain(here());
  ASSERT_EQ(found.size(), 2U);
  EXPECT_EQ(found[0].error.kind(), Kind::kMalformed);
  EXPECT_EQ(found[1].error.kind(), Kind::kMalformed);
  EXPECT_EQ(found[1].error.why(),
            "its name is not that of attempt 1 of " + fs::canonical(root_ / "run").string());
  EXPECT_EQ(leftovers(), 3U);
}

}  // namespace
}  // namespace longhaul::client
