// Checkpoints: what comes back, what is passed over, kept and given up, and who may write.
#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <fstream>
#include <iterator>
#include <thread>

#include "tests/trainer/small_disk.hpp"
#include "tests/trainer/temporary_folder.hpp"
#include "trainer/checkpoint.hpp"

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

  Result<> write(std::uint64_t step, std::uint64_t as = 0, double norm = 0.1) {
    CheckpointNotes notes;
    notes.step = step;
    notes.next_index = step * 4;
    notes.settings = {{"data", "a \"quoted\" name"}};
    notes.numbers = {{"guard.norm", norm}};
    const std::vector<NamedConstFloats> state = {{"first", first}};
    return write_checkpoint(folder.path(), as == 0 ? attempt : as, small(), weights, state, notes);
  }
  std::vector<std::string> names() const {
    std::vector<std::string> out;
    const std::vector<Path> paths = list_checkpoints(folder.path()).value();
    for (const Path& path : paths) out.push_back(path.filename().native());
    return out;
  }
  void wait_for_a_laptop(std::uint64_t step) const {
    std::ofstream(checkpoint_path(folder.path(), step) / "pending-home");
  }
};

// By a writer, with what it keeps; what became of it.
CheckpointWriter::Outcome written(RunFolder& run, std::uint64_t step, std::size_t keep,
                                  std::optional<std::uint64_t> best = std::nullopt,
                                  bool better = false) {
  CheckpointWriter writer(run.folder.path(), run.attempt, small(), keep);
  CheckpointNotes notes;
  notes.step = step;
  writer.begin({run.weights, {{"first", run.first}}}, notes, best, better);
  writer.wait();
  return writer.outcomes().at(0);
}

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
  EXPECT_EQ(gone->deleted, 3U);
  EXPECT_EQ(gone->given_up, (std::vector<std::uint64_t>{2, 1})) << "3 is not missed";
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

TEST(CheckpointWriter, KeepsTheBestOnTheDiskWhileABetterOneDoesNotFit) {
  RunFolder run;
  for (const std::uint64_t step : {4U, 18U, 20U}) ASSERT_TRUE(run.write(step));
  SmallDisk disk(3);
  const auto refused = written(run, 22, 2, 4, true);
  ASSERT_TRUE(refused.error);
  EXPECT_EQ(refused.error->kind(), Kind::kNoSpace);
  EXPECT_EQ(run.names(),
            (std::vector<std::string>{"step-00000004", "step-00000018", "step-00000020"}));
  disk.hold(4);
  EXPECT_FALSE(written(run, 24, 2, 4).error);
  EXPECT_EQ(run.names(),
            (std::vector<std::string>{"step-00000004", "step-00000020", "step-00000024"}));
  EXPECT_FALSE(written(run, 26, 2, 4, true).error);
  EXPECT_EQ(run.names(), (std::vector<std::string>{"step-00000024", "step-00000026"}));
}

TEST(CheckpointWriter, TakesTheRoomOfWhatIsToGoBeforeThatOfOnesThatWait) {
  RunFolder run;
  for (std::uint64_t step = 1; step <= 4; ++step) ASSERT_TRUE(run.write(step));
  run.wait_for_a_laptop(2);
  const SmallDisk disk(4);  // full, by what an earlier attempt was to keep
  const auto outcome = written(run, 5, 1);
  EXPECT_FALSE(outcome.error) << outcome.error->message();
  EXPECT_TRUE(outcome.given_up.empty());
  EXPECT_EQ(run.names(), (std::vector<std::string>{"step-00000002", "step-00000005"}));
}

TEST(CheckpointWriter, TakesTheRoomOfWhatIsToGoWhereNoneWait) {
  RunFolder run;
  for (std::uint64_t step = 1; step <= 3; ++step) ASSERT_TRUE(run.write(step));
  const SmallDisk disk(2);
  const auto outcome = written(run, 4, 1);
  EXPECT_FALSE(outcome.error) << outcome.error->message();
  EXPECT_EQ(run.names(), std::vector<std::string>{"step-00000004"});
}

TEST(CheckpointWriter, GivesUpOnesThatWaitOneAfterTheOther) {
  RunFolder run;
  for (std::uint64_t step = 1; step <= 4; ++step) {
    ASSERT_TRUE(run.write(step));
    if (step < 4) run.wait_for_a_laptop(step);
  }
  const SmallDisk disk(3);
  const auto outcome = written(run, 5, 1);
  EXPECT_FALSE(outcome.error) << outcome.error->message();
  EXPECT_EQ(outcome.given_up, (std::vector<std::uint64_t>{1, 2}));
  EXPECT_EQ(run.names(), (std::vector<std::string>{"step-00000003", "step-00000005"}));
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

// As that of an attempt that was overtaken when it gave the checkpoint its name, and had other
// rules.
TEST(Checkpoint, ThatOfAnotherAttemptIsNotTakenForOnesOwn) {
  RunFolder run;
  ASSERT_TRUE(run.write(20));
  const Path folder = checkpoint_path(run.folder.path(), 20);
  ASSERT_EQ(claim_attempt(run.folder.path()).value(), 2U);
  run.weights.assign(run.weights.size(), 0.75F);
  ASSERT_TRUE(run.write(20, 2, 0.1 + 1e-16));
  std::vector<float> weights(run.weights.size()), first(7);
  ASSERT_TRUE(
      load_checkpoint(folder, small(), weights, std::vector<NamedFloats>{{"first", first}}));
  EXPECT_EQ(weights, run.weights);
  EXPECT_TRUE(verify_checkpoint(folder));
  EXPECT_EQ(std::distance(std::filesystem::directory_iterator(folder.parent_path()), {}), 1);
}

TEST(Checkpoint, ThatOfAnotherAttemptIsReplacedWhereNamesCannotBeSwapped) {
  RunFolder run;
  ASSERT_TRUE(run.write(20));
  SmallDisk disk(2);
  disk.swap_no_names();
  ASSERT_TRUE(run.write(20, 0, 0.2));
  const Path folder = checkpoint_path(run.folder.path(), 20);
  EXPECT_EQ(verify_checkpoint(folder).value().numbers.at("guard.norm"), 0.2);
  EXPECT_EQ(std::distance(std::filesystem::directory_iterator(folder.parent_path()), {}), 1);
}

TEST(Checkpoint, ThatOfAnotherAttemptStaysUntilOnesOwnIsThere) {
  RunFolder run;
  ASSERT_TRUE(run.write(20));
  const Path folder = checkpoint_path(run.folder.path(), 20);
  const SmallDisk disk(1);
  EXPECT_EQ(run.write(20, 0, 0.2).error().kind(), Kind::kNoSpace);
  EXPECT_EQ(verify_checkpoint(folder).value().numbers.at("guard.norm"), 0.1);
}

TEST(Checkpoint, TheSameOneIsNotWrittenAgain) {
  RunFolder run;
  ASSERT_TRUE(run.write(20));
  const Path folder = checkpoint_path(run.folder.path(), 20);
  run.wait_for_a_laptop(20);
  ASSERT_TRUE(run.write(20));
  EXPECT_TRUE(std::filesystem::exists(folder / "pending-home"));
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

}  // namespace
}  // namespace longhaul::trainer
