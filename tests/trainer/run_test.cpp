// What a run keeps on disk, how it is fed and told what to do, and where its time is booked.
#include <fcntl.h>
#include <gtest/gtest.h>
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

ModelConfig small() {
  ModelConfig config = named_config("tiny").value();
  config.layers = 1;
  config.hidden = 8;
  config.intermediate = 8;
  config.heads = config.kv_heads = 2;
  config.head_dim = 4;
  return config;
}

struct RunFolder {
  TemporaryFolder folder;
  std::vector<float> weights =
      std::vector<float>(static_cast<std::size_t>(parameter_count(small())), 0.25F);
  std::vector<float> first = std::vector<float>(7, 1.5F);
  std::uint64_t attempt = claim_attempt(folder.path()).value();

  Result<> write(std::uint64_t step, std::uint64_t as = 0) {
    CheckpointNotes notes;
    notes.step = step;
    notes.next_index = step * 4;
    notes.settings = {{"data", "a \"quoted\" name"}};
    notes.numbers = {{"guard.norm", 0.1}};
    const std::vector<NamedConstFloats> state = {{"first", first}};
    return write_checkpoint(folder.path(), as == 0 ? attempt : as, small(), weights, state, notes);
  }
  std::vector<std::string> names() const {
    std::vector<std::string> out;
    const std::vector<Path> paths = list_checkpoints(folder.path()).value();
    for (const Path& path : paths) out.push_back(path.filename().native());
    return out;
  }
};

TEST(Checkpoint, ComesBackBitForBit) {
  RunFolder run;
  ASSERT_TRUE(run.write(100));
  std::vector<std::string> broken;
  const auto found = newest_valid(run.folder.path(), broken).value();
  ASSERT_TRUE(found);
  EXPECT_EQ(found->notes.step, 100U);
  EXPECT_EQ(found->notes.settings.at("data"), "a \"quoted\" name");
  EXPECT_EQ(found->notes.numbers.at("guard.norm"), 0.1);
  std::vector<float> weights(run.weights.size()), first(7);
  const std::vector<NamedFloats> state = {{"first", first}};
  ASSERT_TRUE(load_checkpoint(found->folder, small(), weights, state));
  EXPECT_EQ(weights, run.weights);
  EXPECT_EQ(first, run.first);
}

TEST(Checkpoint, OfAnotherModelOrOptimizerIsRefused) {
  RunFolder run;
  ASSERT_TRUE(run.write(1));
  const Path folder = checkpoint_path(run.folder.path(), 1);
  std::vector<float> weights(run.weights.size()), shorter(6), first(7);
  const auto kind = [&](const ModelConfig& config, const std::vector<NamedFloats>& state) {
    return load_checkpoint(folder, config, weights, state).error().kind();
  };
  ModelConfig other = small();
  other.rope_theta = 5;
  EXPECT_EQ(kind(other, {{"first", first}}), Kind::kUsage);
  EXPECT_EQ(kind(small(), {{"first", shorter}}), Kind::kMalformed);
  EXPECT_EQ(kind(small(), {{"second", first}}), Kind::kMalformed);
  EXPECT_EQ(kind(small(), {{"first", first}, {"moved", first}}), Kind::kMalformed);
}

TEST(Checkpoint, ADamagedOneIsPassedOver) {
  RunFolder run;
  ASSERT_TRUE(run.write(10));
  for (const char* file :
       {"model.safetensors", "state.safetensors", "config.json", "checkpoint.json"}) {
    ASSERT_TRUE(run.write(20));
    const Path path = checkpoint_path(run.folder.path(), 20) / file;
    const std::string bytes = read_text(path, 1 << 20).value();
    std::string changed = bytes;
    changed[changed.size() / 2] = static_cast<char>(changed[changed.size() / 2] ^ 1);
    for (const std::string& bad : {changed, bytes.substr(0, bytes.size() - 3), std::string()}) {
      std::ofstream(path, std::ios::binary) << bad;
      std::vector<std::string> broken;
      const auto found = newest_valid(run.folder.path(), broken).value();
      // A digit of the notes may be changed without their ceasing to be notes; nothing else may.
      if (std::string(file) == "checkpoint.json" && bad == changed) continue;
      ASSERT_TRUE(found);
      EXPECT_EQ(found->notes.step, 10U) << file;
      EXPECT_EQ(broken.size(), 1U);
    }
    std::ofstream(path, std::ios::binary) << bytes;
  }
}

TEST(Checkpoint, PruningKeepsTheNewestValidTheBestAndThoseNotHome) {
  RunFolder run;
  for (std::uint64_t step = 1; step <= 6; ++step) ASSERT_TRUE(run.write(step));
  std::ofstream(checkpoint_path(run.folder.path(), 1) / "pending-home");
  std::ofstream(checkpoint_path(run.folder.path(), 6) / "model.safetensors") << "torn";
  ASSERT_TRUE(prune_checkpoints(run.folder.path(), run.attempt,
                                {2, checkpoint_path(run.folder.path(), 3)}));
  EXPECT_EQ(run.names(),
            (std::vector<std::string>{"step-00000001", "step-00000003", "step-00000004",
                                      "step-00000005", "step-00000006"}));
}

TEST(Checkpoint, OfThoseNotHomeTheOldestAreGivenUp) {
  RunFolder run;
  for (std::uint64_t step = 1; step <= 6; ++step) {
    ASSERT_TRUE(run.write(step));
    if (step != 3) std::ofstream(checkpoint_path(run.folder.path(), step) / "pending-home");
  }
  const auto gone = prune_checkpoints(run.folder.path(), run.attempt, {.newest = 1, .pending = 2});
  ASSERT_TRUE(gone);
  EXPECT_EQ(*gone, (std::vector<std::uint64_t>{2, 1})) << "3 is not missed";
  EXPECT_EQ(run.names(),
            (std::vector<std::string>{"step-00000004", "step-00000005", "step-00000006"}));
}

TEST(CheckpointWriter, KeepsOnlySoManyForALaptopThatDoesNotCome) {
  RunFolder run;
  CheckpointWriter writer(run.folder.path(), run.attempt, small(), 1);
  const std::vector<NamedConstFloats> state = {{"first", run.first}};
  std::vector<std::uint64_t> gone;
  for (std::uint64_t step = 1; step <= kMostPending + 3; ++step) {
    CheckpointNotes notes;
    notes.step = step;
    writer.begin({run.weights, state}, notes, std::nullopt);
    writer.wait();
    for (const auto& outcome : writer.outcomes())
      gone.insert(gone.end(), outcome.given_up.begin(), outcome.given_up.end());
    std::ofstream(checkpoint_path(run.folder.path(), step) / "pending-home");
  }
  EXPECT_EQ(gone, (std::vector<std::uint64_t>{1, 2}));
  EXPECT_EQ(run.names().size(), kMostPending + 1);
}

TEST(Checkpoint, AnOlderAttemptDoesNotWrite) {
  RunFolder run;
  EXPECT_EQ(run.attempt, 1U);
  EXPECT_EQ(claim_attempt(run.folder.path()).value(), 2U);
  EXPECT_EQ(run.write(1).error().kind(), Kind::kBusy);
  EXPECT_TRUE(run.names().empty());
  EXPECT_TRUE(run.write(1, 2));
}

TEST(Checkpoint, AnAttemptThatANewerOneOvertakesWhileItWritesGivesItNoName) {
  RunFolder run;
  ASSERT_TRUE(run.write(1));
  const std::vector<NamedConstFloats> state = {{"first", run.first}};
  CheckpointNotes notes;
  notes.step = 2;
  const auto overtake = [&] { EXPECT_EQ(claim_attempt(run.folder.path()).value(), 2U); };
  const auto done =
      write_checkpoint(run.folder.path(), 1, small(), run.weights, state, notes, overtake);
  ASSERT_FALSE(done);
  EXPECT_EQ(done.error().kind(), Kind::kBusy);
  EXPECT_NE(done.error().message().find("a newer attempt of this run is at work"),
            std::string::npos);
  EXPECT_EQ(run.names(), std::vector<std::string>{"step-00000001"});
  std::error_code none;
  EXPECT_FALSE(
      std::filesystem::exists(run.folder.path() / "checkpoints" / ".step-00000002.1", none));
}

TEST(Checkpoint, AnOlderAttemptDeletesNothing) {
  RunFolder run;
  for (std::uint64_t step = 1; step <= 3; ++step) ASSERT_TRUE(run.write(step));
  ASSERT_TRUE(claim_attempt(run.folder.path()));
  EXPECT_EQ(prune_checkpoints(run.folder.path(), 1, {.newest = 1}).error().kind(), Kind::kBusy);
  EXPECT_EQ(run.names().size(), 3U) << "the newer one may be reading any of them";
  EXPECT_TRUE(prune_checkpoints(run.folder.path(), 2, {.newest = 1}));
  EXPECT_EQ(run.names(), std::vector<std::string>{"step-00000003"});
}

TEST(Checkpoint, NotesAreReadWithoutAllOfItsFiles) {
  RunFolder run;
  EXPECT_FALSE(newest_noted(run.folder.path()).value());
  for (std::uint64_t step = 1; step <= 3; ++step) ASSERT_TRUE(run.write(step));
  std::ofstream(checkpoint_path(run.folder.path(), 2) / "model.safetensors") << "torn";
  std::ofstream(checkpoint_path(run.folder.path(), 3) / "checkpoint.json") << "torn";
  const auto found = newest_noted(run.folder.path()).value();
  ASSERT_TRUE(found);
  EXPECT_EQ(found->notes.step, 2U);
}

TEST(Checkpoint, RemovesWhatKilledAttemptsLeftUnfinished) {
  RunFolder run;
  const Path folder = run.folder.path() / "checkpoints";
  for (const char* name :
       {".step-00000004.1", ".step-00000007.2", ".step-00000007.x", ".other.1"}) {
    std::filesystem::create_directories(folder / name);
    std::ofstream(folder / name / "model.safetensors") << "half";
  }
  ASSERT_TRUE(run.write(9));
  std::vector<std::string> names;
  for (const auto& entry : std::filesystem::directory_iterator(folder))
    names.push_back(entry.path().filename().native());
  std::sort(names.begin(), names.end());
  EXPECT_EQ(names, (std::vector<std::string>{".other.1", ".step-00000007.2", ".step-00000007.x",
                                             "step-00000009"}))
      << "that of a newer attempt stays";
}

TEST(CheckpointWriter, WritesBehindAndTellsTheOutcome) {
  RunFolder run;
  CheckpointWriter writer(run.folder.path(), run.attempt, small(), 1);
  const std::vector<NamedConstFloats> state = {{"first", run.first}};
  for (std::uint64_t step = 1; step <= 3; ++step) {
    CheckpointNotes notes;
    notes.step = step;
    writer.begin({run.weights, state}, notes, std::nullopt);
  }
  writer.wait();
  const auto outcomes = writer.outcomes();
  ASSERT_EQ(outcomes.size(), 3U);
  for (const auto& outcome : outcomes) EXPECT_FALSE(outcome.error);
  EXPECT_EQ(run.names(), std::vector<std::string>{"step-00000003"});
}

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
