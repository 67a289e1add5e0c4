// What costs a run no bit: a stop, a damaged checkpoint, an update that is refused.
#include <utility>

#include "tests/trainer/small_train.hpp"

namespace longhaul::trainer {
namespace {

class SameBits : public SmallTrain {
 protected:
  static constexpr const char* kFiles[] = {"model.safetensors", "state.safetensors"};

  SameBits() { options_.grace = 600; }
  std::string bytes_of(const Path& run, std::uint64_t step, const char* file) const {
    return read_text(checkpoint_path(run, step) / file, 1 << 26).value();
  }
  void expect_same(const Path& a, std::uint64_t step_of_a, const Path& b, std::uint64_t step_of_b) {
    for (const char* file : kFiles)  // not EXPECT_EQ, which would print them
      EXPECT_TRUE(bytes_of(a, step_of_a, file) == bytes_of(b, step_of_b, file)) << file;
  }
  void stop_after(std::uint64_t steps) {
    on_log_ = [this, steps](Series series, std::uint64_t step) {
      if (series == Series::kLoss && step + 1 == steps) control_->post_stop_from_signal(time_now());
    };
  }
};

TEST_F(SameBits, OfAResumedRunAndOneThatWentStraightOnForEveryRule) {
  options_.steps = 6;
  struct Rules {
    const char* optimizer;
    double kappa;
  };
  // What is transported is kept of the rest too where that takes the sign rule.
  constexpr Rules kRules[] = {{"adamw", -1}, {"muon", -1},        {"normuon", -1},
                              {"scion", -1}, {"transported", -1}, {"scion", 0.5}};
  for (const auto& [optimizer, kappa] : kRules) {
    for (const char* dtype : {"fp32", "bf16"}) {
      const std::string name = std::string(optimizer) + (kappa < 0 ? "-" : "-transported-") + dtype;
      SCOPED_TRACE(name);
      options_.optimizer = optimizer;
      options_.kappa = kappa;
      options_.dtype = dtype;
      options_.resume = "no";
      const Path straight = folder_.path() / (name + "-straight");
      options_.run = straight;
      on_log_ = {};
      ASSERT_TRUE(train());
      options_.run = folder_.path() / (name + "-halves");
      stop_after(3);
      ASSERT_EQ(train().value().steps, 3U);
      on_log_ = {};
      options_.resume = "auto";
      const TrainSummary second = train().value();
      ASSERT_EQ(second.first_step, 3U);
      ASSERT_EQ(second.steps, 6U);
      expect_same(options_.run, 6, straight, 6);
      for (const char* file : kFiles)
        EXPECT_FALSE(bytes_of(options_.run, 3, file) == bytes_of(straight, 6, file)) << file;
    }
  }
}

TEST_F(SameBits, OfARunWhoseNewestCheckpointIsDamaged) {
  options_.checkpoint_every = 2;
  options_.keep = 9;
  std::vector<double> losses;
  on_value_ = [&](Series series, double value) {
    if (series == Series::kLoss) losses.push_back(value);
  };
  ASSERT_TRUE(train());
  const std::vector<double> straight = std::exchange(losses, {});
  ASSERT_EQ(straight.size(), 8U);
  const Path kept = folder_.path() / "kept";
  std::filesystem::copy(options_.run, kept, std::filesystem::copy_options::recursive);
  options_.resume = "auto";
  for (const char* file : kFiles) {
    const Path path = checkpoint_path(options_.run, 8) / file;
    std::string bytes = read_text(path, 1 << 26).value();
    bytes.back() = static_cast<char>(bytes.back() ^ 1);
    std::ofstream(path, std::ios::binary) << bytes;
    console_.err_text.clear();
    losses.clear();
    const TrainSummary summary = train().value();
    EXPECT_EQ(summary.first_step, 6U);
    EXPECT_EQ(summary.steps, 8U);
    EXPECT_TRUE(said("passed over: ")) << console_.err_text;
    EXPECT_TRUE(said("step-00000008: " + std::string(file) + " is not what was written"))
        << console_.err_text;
    EXPECT_TRUE(said("resumes at step 6\n")) << console_.err_text;
    EXPECT_EQ(losses, std::vector<double>(straight.begin() + 6, straight.end()));
    EXPECT_TRUE(verify_checkpoint(checkpoint_path(options_.run, 8))) << "it is written anew";
    expect_same(options_.run, 8, kept, 8);
  }
}

// Text of many letters, whose gradients are small, and in two steps of one letter alone, whose are
// not: in one before the guard judges, and in one after. In order: each file is a block.
class SpikeGuard : public SameBits {
 protected:
  static constexpr std::uint64_t kEarly = 10, kLate = 22, kSteps = 26;

  SpikeGuard() {
    options_.data = folder_.path() / "shards";
    std::filesystem::create_directory(options_.data);
    add_shard("a", kEarly, false);
    add_shard("b", 1, true);
    add_shard("c", kLate - kEarly - 1, false);
    add_shard("d", 1, true);
    add_shard("e", kSteps - kLate - 1, false);
    options_.order = "upload";
    options_.window = 1;
    options_.spike = 2;
    options_.steps = kSteps;
    options_.checkpoint_every = 1;
    options_.keep = 99;
    on_value_ = [this](Series series, double value) {
      if (series == Series::kGradientNorm) norms_.push_back(value);
    };
    on_log_ = [this](Series series, std::uint64_t step) {
      if (series == Series::kSkipped) skipped_.push_back(step);
    };
  }
  void add_shard(const char* name, std::uint64_t steps, bool one_letter) const {
    const std::uint64_t tokens = steps * options_.batch * options_.sequence + 1;
    std::string text;
    for (std::uint64_t i = 0; i < tokens; ++i)
      text += {static_cast<char>(one_letter ? 'A' : 'a' + i * i % 23), '\0'};
    std::ofstream(options_.data / (std::string(name) + ".u16"), std::ios::binary) << text;
  }
  double average(std::uint64_t steps_done) const {
    const Path folder = checkpoint_path(options_.run, steps_done);
    return read_notes(folder).value().numbers.at("guard.norm");
  }
  bool same_weights(std::uint64_t a, std::uint64_t b) const {
    return bytes_of(options_.run, a, kFiles[0]) == bytes_of(options_.run, b, kFiles[0]);
  }

  std::vector<double> norms_;           // of each step
  std::vector<std::uint64_t> skipped_;  // steps
};

TEST_F(SpikeGuard, RefusesAStepThatThenMovesNothing) {
  const TrainSummary summary = train().value();
  ASSERT_EQ(norms_.size(), kSteps);
  ASSERT_GT(norms_[kEarly], options_.spike * average(kEarly)) << "it would be one, later";
  ASSERT_GT(norms_[kLate], options_.spike * average(kLate));
  EXPECT_EQ(skipped_, std::vector<std::uint64_t>{kLate});
  EXPECT_EQ(summary.refused, 1U);
  EXPECT_EQ(marks_with("update refused: "), 1U);
  EXPECT_EQ(summary.steps, kSteps) << "it goes on";
  expect_same(options_.run, kLate, options_.run, kLate + 1);
  EXPECT_EQ(average(kLate), average(kLate + 1));
  for (const std::uint64_t step : {kEarly, kLate - 1, kLate + 1}) {
    EXPECT_FALSE(same_weights(step, step + 1)) << step;
    EXPECT_NE(average(step), average(step + 1)) << step;
  }
}

TEST_F(SpikeGuard, RefusesTheSameStepAfterAResume) {
  options_.checkpoint_every = 0;
  ASSERT_TRUE(train());
  const Path straight = std::exchange(options_.run, folder_.path() / "halves");
  stop_after(kLate);
  ASSERT_EQ(train().value().steps, kLate);
  on_log_ = {};
  options_.resume = "auto";
  const TrainSummary second = train().value();
  EXPECT_EQ(second.first_step, kLate);
  EXPECT_EQ(second.refused, 1U);
  expect_same(options_.run, kSteps, straight, kSteps);
}

TEST_F(SpikeGuard, IsNotThereUnlessAskedFor) {
  options_.spike = 0;
  options_.steps = kLate + 1;
  options_.checkpoint_every = kLate;
  EXPECT_EQ(train().value().refused, 0U);
  EXPECT_TRUE(skipped_.empty());
  EXPECT_FALSE(same_weights(kLate, kLate + 1));
}

TEST_F(SpikeGuard, EndsARunOfNothingButSpikesBeforeThem) {
  constexpr std::uint64_t kInARow = 20;
  add_shard("d", kInARow + 5, true);
  options_.steps = kLate + kInARow + 5;
  options_.checkpoint_every = kLate;
  const auto ended = train();
  ASSERT_FALSE(ended);
  EXPECT_EQ(ended.error().kind(), Kind::kIntegrity);
  EXPECT_NE(ended.error().message().find("20 updates in a row were refused"), std::string::npos)
      << ended.error().message();
  EXPECT_EQ(marks_with("update refused: "), kInARow);
  expect_same(options_.run, kLate, options_.run, kLate + kInARow);
}

}  // namespace
}  // namespace longhaul::trainer
