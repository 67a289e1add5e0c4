// How a run is fed and told what to do, what it reports, and where its time is booked.
#include <fcntl.h>
#include <gtest/gtest.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <fstream>
#include <thread>

#include "tests/trainer/temporary_folder.hpp"
#include "trainer/checkpoint.hpp"
#include "trainer/control.hpp"
#include "trainer/grace.hpp"
#include "trainer/ledger.hpp"
#include "trainer/options.hpp"
#include "trainer/plan.hpp"
#include "trainer/reporter.hpp"

namespace longhaul::trainer {
namespace {

TEST(Ledger, ColumnsSumToTheWall) {
  Ledger ledger(Time(5s));
  ledger.enter(Column::kData, Time(6s));
  ledger.enter(Column::kCompute, Time(8s));
  ledger.enter(Column::kData, Time(15s));
  ledger.enter(Column::kOther, Time(16s));
  Duration sum{};
  for (std::size_t i = 0; i < kColumns; ++i) sum += ledger.spent(static_cast<Column>(i));
  EXPECT_EQ(sum, ledger.wall());
  EXPECT_EQ(ledger.wall(), 11s);
  EXPECT_EQ(ledger.spent(Column::kData), 3s);
  EXPECT_EQ(ledger.longest(Column::kData), 2s);
}

Command told(Command::Verb verb, std::string key, double value) {
  return {.id = 1, .verb = verb, .key = std::move(key), .value = value, .who = "somebody"};
}

TEST(Settings, PinOrScaleWhatTheScheduleSays) {
  using Verb = Command::Verb;
  Settings settings;
  EXPECT_EQ(settings.of("clip", 3), 3);
  const auto untouched = settings.rates(0.02, 0.003, 0.7);
  EXPECT_EQ(untouched.matrices, 0.02 * 0.7);
  EXPECT_EQ(untouched.rest, 0.003 * 0.7);
  ASSERT_TRUE(settings.change(told(Verb::kScale, "lr", 0.5)));
  ASSERT_TRUE(settings.change(told(Verb::kScale, "lr", 0.5)));  // said twice, done once
  EXPECT_EQ(settings.of("lr", 2), 1);
  EXPECT_EQ(settings.rates(2, 4, 0.5).rest, 1) << "the rest follows";
  ASSERT_TRUE(settings.change(told(Verb::kSet, "lr", 3)));
  EXPECT_EQ(settings.of("lr", 2), 3);
  EXPECT_EQ(settings.rates(2, 4, 0.5).rest, 6) << "in proportion, without the schedule";
  ASSERT_TRUE(settings.change(told(Verb::kSet, "rest_lr", 0.25)));
  EXPECT_EQ(settings.rates(2, 4, 0.5).rest, 0.25) << "until it is steered by itself";
}

TEST(Settings, ComeBackFromACheckpoint) {
  using Verb = Command::Verb;
  Settings settings, again;
  ASSERT_TRUE(settings.change(told(Verb::kSet, "lr", 1e-3)));
  ASSERT_TRUE(settings.change(told(Verb::kScale, "kappa", 0.5)));
  std::map<std::string, double> numbers = {{"pin.kappa", 9}, {"best.loss", 2}};
  settings.save(numbers);
  EXPECT_EQ(numbers, (std::map<std::string, double>{
                         {"best.loss", 2}, {"pin.lr", 1e-3}, {"scale.kappa", 0.5}}));
  again.load(numbers);
  EXPECT_EQ(again.of("lr", 7), 1e-3);
  EXPECT_EQ(again.of("kappa", 7), 3.5);
}

TEST(Settings, RefuseOtherNamesAndNonsense) {
  using Verb = Command::Verb;
  Settings settings;
  for (const auto& [name, value] : std::vector<std::pair<std::string, double>>{
           {"seed", 1}, {"", 1}, {"lr", -1}, {"lr", 0.0 / 0.0}, {"clip", 1 / 0.0}})
    EXPECT_EQ(settings.change(told(Verb::kSet, name, value)).error().kind(), Kind::kUsage) << name;
  EXPECT_EQ(settings.of("lr", 7), 7);
}

TEST(FileReporter, WritesWhatWasLoggedInOrder) {
  const TemporaryFolder folder;
  {
    const auto reporter = FileReporter::open(folder.path() / "m", 3).value();
    reporter->log(Series::kLoss, 4, 0.1);
    reporter->log(Series::kRate, 4, 2);
    reporter->log(Series::kLoss, 5, 1.0 / 0.0);
  }
  EXPECT_EQ(read_text(folder.path() / "m", 1000).value(),
            "{\"attempt\":3,\"step\":4,\"train/loss\":0.10000000000000001,\"train/lr\":2}\n"
            "{\"attempt\":3,\"step\":5,\"train/loss\":null}\n");
}

TEST(FileReporter, WritesWordsWhereTheyWereSaidAmongTheNumbers) {
  const TemporaryFolder folder;
  {
    const auto reporter = FileReporter::open(folder.path() / "m", 1).value();
    reporter->log(Series::kLoss, 4, 2);
    reporter->mark(4, "here");
    reporter->log(Series::kLoss, 5, 3);
    reporter->checkpointed(6, "c");
    reporter->resumed(6, "d");
    reporter->end("done");
    EXPECT_EQ(reporter->untold().dropped, 0U);
    EXPECT_EQ(reporter->untold().unwritten, 0U);
  }
  EXPECT_EQ(read_text(folder.path() / "m", 1000).value(),
            "{\"attempt\":1,\"step\":4,\"train/loss\":2}\n"
            "{\"attempt\":1,\"step\":4,\"event\":\"here\"}\n"
            "{\"attempt\":1,\"step\":5,\"train/loss\":3}\n"
            "{\"attempt\":1,\"step\":6,\"event\":\"checkpoint c\"}\n"
            "{\"attempt\":1,\"step\":6,\"event\":\"resumes from d\"}\n");
}

TEST(FileReporter, BeginsALineWhereTheLastOneWasCutShort) {
  const TemporaryFolder folder;
  const Path path = folder.path() / "m";
  const std::string torn = "{\"attempt\":1,\"step\":4}\n{\"attempt\":1,\"st";
  std::ofstream(path) << torn;
  for (const char* words : {"one", "two"}) FileReporter::open(path, 2).value()->mark(5, words);
  EXPECT_EQ(read_text(path, 1000).value(), torn +
                                               "\n{\"attempt\":2,\"step\":5,\"event\":\"one\"}\n"
                                               "{\"attempt\":2,\"step\":5,\"event\":\"two\"}\n");
}

// The disk takes a part of a line, and then there is room again.
TEST(FileReporter, BeginsALineBehindOneThatDidNotFit) {
  const TemporaryFolder folder;
  const Path path = folder.path() / "m";
  rlimit before{};
  ASSERT_EQ(::getrlimit(RLIMIT_FSIZE, &before), 0);
  const auto handler = ::signal(SIGXFSZ, SIG_IGN);
  {
    const auto reporter = FileReporter::open(path, 1).value();
    const rlimit small{20, before.rlim_max};
    ASSERT_EQ(::setrlimit(RLIMIT_FSIZE, &small), 0);
    reporter->mark(1, "one");
    while (reporter->untold().unwritten == 0) std::this_thread::yield();
    ASSERT_EQ(::setrlimit(RLIMIT_FSIZE, &before), 0);
    reporter->mark(2, "two");
  }
  ::signal(SIGXFSZ, handler);
  EXPECT_EQ(read_text(path, 1000).value(),
            "{\"attempt\":1,\"step\":\n{\"attempt\":1,\"step\":2,\"event\":\"two\"}\n");
}

TEST(FileReporter, KnowsOfANewerAttempt) {
  const TemporaryFolder folder;
  const auto older = FileReporter::begin({.run = folder.path(), .config = "{}"}).value();
  EXPECT_FALSE(older->superseded());
  const auto newer = FileReporter::begin({.run = folder.path(), .config = "{}"}).value();
  while (!older->superseded()) std::this_thread::yield();
  EXPECT_FALSE(newer->superseded());
}

// A pipe that is full: whoever writes to it waits.
TEST(FileReporter, NobodyWaitsForAWriteThatHangs) {
  const TemporaryFolder folder;
  const Path pipe = folder.path() / "m";
  ASSERT_EQ(::mkfifo(pipe.c_str(), 0600), 0);
  const int end = ::open(pipe.c_str(), O_RDWR | O_NONBLOCK | O_CLOEXEC);
  const std::string filling(4096, '-');
  while (::write(end, filling.data(), filling.size()) > 0) {
  }
  const std::uint64_t kMany = 3000;  // more than wait
  std::uint64_t dropped = 0;
  std::thread reader;
  std::string text;
  {
    const auto reporter = FileReporter::open(pipe, 1).value();
    for (std::uint64_t i = 0; i < kMany; ++i) reporter->mark(i, "words");
    reader = std::thread([&] {
      std::string piece(4096, '\0');
      while (text.find("the last") == std::string::npos) {
        const ssize_t got = ::read(end, piece.data(), piece.size());
        if (got > 0) text.append(piece, 0, static_cast<std::size_t>(got));
        if (got < 0) std::this_thread::yield();
      }
    });
    reporter->end("done");
    dropped = reporter->untold().dropped;
  }
  ASSERT_EQ(::fcntl(end, F_SETFL, 0), 0);
  EXPECT_GT(::write(end, "the last\n", 9), 0);
  reader.join();
  ::close(end);
  std::uint64_t told = 0;
  for (auto at = text.find("words"); at != std::string::npos; at = text.find("words", at + 1))
    ++told;
  EXPECT_GT(dropped, 0U);
  EXPECT_EQ(told + dropped, kMany);
}

TEST(FileReporter, CountsWhatAFullDiskDidNotTake) {
  const auto reporter = FileReporter::open("/dev/full", 1).value();
  reporter->mark(1, "words");
  reporter->end("done");
  EXPECT_EQ(reporter->untold().unwritten, 1U);
}

TEST(Options, SetFieldsAndNameWhatIsWrong) {
  std::uint64_t steps = 1;
  double rate = 0;
  bool json = false;
  std::string name = "a \"b\"";
  Options options;
  options.add("name", name, "");
  options.add("steps", steps, "");
  options.add("rate", rate, "");
  options.add("json", json, "");
  const auto parse = [&](std::vector<std::string> words) { return options.parse(words); };
  EXPECT_EQ(parse({"--steps", "5", "x", "--rate=0.5", "--json"}).value(),
            std::vector<std::string>{"x"});
  EXPECT_EQ(steps, 5U);
  EXPECT_EQ(rate, 0.5);
  EXPECT_TRUE(json);
  EXPECT_EQ(options.json(), R"({"name":"a \"b\"","steps":5,"rate":0.5,"json":true})");
  for (const auto& words : {std::vector<std::string>{"--steps"},
                            {"--steps", "-1"},
                            {"--steps=x"},
                            {"--json=1"},
                            {"--rate=nan"},
                            {"--speed", "1"}})
    EXPECT_EQ(parse(words).error().kind(), Kind::kUsage) << words[0];
}

TEST(Grace, IsWhatSlurmSaysOfAJobThatIsStopped) {
  const auto job = [](const std::string& state, const std::string& end) {
    return "JobId=7 JobName=EndTime=5 JobState=" + state +
           " Reason=None StartTime=900 EndTime=" + end + " Deadline=N/A PreemptTime=1000 \n";
  };
  const std::string config =
      "Configuration data as of 1000\nKillOnBadExit           = 0\n"
      "KillWait                = 30 sec\nLaunchParameters        = (null)\n";
  EXPECT_EQ(slurm_grace(job("RUNNING", "1015"), config, 1000), 15s)
      << "preempted, or near its limit";
  EXPECT_EQ(slurm_grace(job("RUNNING", "1000"), config, 1000), 30s) << "at its limit";
  EXPECT_EQ(slurm_grace(job("RUNNING", "Unknown"), config, 1000), 30s);
  EXPECT_EQ(slurm_grace(job("COMPLETING", "990"), config, 1000), 20s) << "cancelled 10 s ago";
  EXPECT_EQ(slurm_grace(job("CANCELLED", "100"), config, 1000), 0s);
  EXPECT_EQ(slurm_grace(job("COMPLETING", "Unknown"), config, 1000), 30s) << "requeued";
  EXPECT_EQ(slurm_grace(job("COMPLETING", "Unknown"), "", 1000), std::nullopt);
  EXPECT_EQ(slurm_grace(job("COMPLETING", "1"), "KillWait = -3 sec", 1000), std::nullopt);
  EXPECT_EQ(slurm_grace("slurm_load_jobs error: Invalid job id", config, 1000), std::nullopt);
  EXPECT_EQ(slurm_grace("", config, 1000), std::nullopt);
  EXPECT_EQ(slurm_grace(job("RUNNING", "99999999999999999999"), config, 1000), 30s);
}

TEST(Grace, NoCheckpointIsBegunThatTookLongerThanIsLeft) {
  const Time now(100s);
  EXPECT_EQ(too_late(now, now + 10s, 10s), std::nullopt);
  EXPECT_EQ(too_late(now, now + 10s, std::nullopt), std::nullopt) << "none was measured";
  EXPECT_EQ(too_late(now, std::nullopt, 1000s), std::nullopt) << "nobody kills it";
  EXPECT_EQ(too_late(now, now + 10s, 10'001ms),
            "the last one took 10.0 s, and 10.0 s are left until this job is killed");
  EXPECT_EQ(too_late(now, now - 1s, 1ms),
            "the last one took 0.0 s, and 0.0 s are left until this job is killed");
}

TEST(Plan, FollowsFromItsInputs) {
  const ModelConfig model = named_config("llama-1.4b").value();
  const Plan out = plan({model, 28e9, 1024, 8, accelerator("h100")->peak_flops, 0.4, 2.5, 2});
  EXPECT_NEAR(out.tokens_per_second, 8 * 989.4e12 * 0.4 / train_flops_full(model, 1024), 1);
  EXPECT_NEAR(out.seconds * out.tokens_per_second, 28e9, 1e3);
  EXPECT_NEAR(out.cost, out.seconds / 3600 * 8 * 2.5, 1e-6);
  EXPECT_NEAR(out.feed_bits_per_second, out.tokens_per_second * 16, 1e-3);
  EXPECT_EQ(out.polar_share, 0);
}

TEST(Plan, CountsWhatPolarFactorsCostAStepOfAnySize) {
  const ModelConfig model = named_config("llama-60m").value();
  PlanInputs inputs{model, 1e9, 256, 1, 1e12, 0.5};
  const double seconds_a_token = 1 / plan(inputs).tokens_per_second;
  inputs.polar_steps = 5;
  inputs.step_tokens = 1024;
  const Plan muon = plan(inputs);
  // By hand: 8 layers of 4 matrices [512, 512] and 3 of [1376, 512]; X X^T, A A, B X a step, of the
  // first two the ten of sixteen blocks of 128 rows that are not above the diagonal.
  const double square = 512.0 * 512 * 512, wide = 512.0 * 512 * 1376, half = 10.0 / 16;
  const double products = 4 * (2 * half + 1) * square + 3 * (half * (wide + square) + wide);
  const double seconds_a_step = 2 * 5 * 8 * products / (1e12 * 0.5);
  EXPECT_NEAR(1024 / muon.tokens_per_second, 1024 * seconds_a_token + seconds_a_step, 1e-9);
  EXPECT_NEAR(muon.polar_share, seconds_a_step * muon.tokens_per_second / 1024, 1e-9);
  inputs.step_tokens = 1024 * 1024;
  EXPECT_LT(plan(inputs).polar_share, 0.01);
}

}  // namespace
}  // namespace longhaul::trainer
