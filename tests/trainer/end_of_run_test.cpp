// How a run ends that is told to, in the midst of a step.
#include "tests/trainer/small_train.hpp"

namespace longhaul::trainer {
namespace {

// A run whose every second step is followed by an evaluation and a checkpoint, and that gets a
// signal in the midst of such a step, the sixth.
class EndOfRun : public SmallTrain {
 protected:
  EndOfRun() {
    options_.eval_data = options_.data;
    options_.eval_every = options_.checkpoint_every = 2;
    options_.eval_batches = 1;
    options_.keep = 9;
  }
  void signal_at(Duration before_now, std::uint64_t in_step = 5) {
    on_log_ = [this, before_now, in_step](Series series, std::uint64_t step) {
      if (series == Series::kLoss && step == in_step)
        control_->post_stop_from_signal(time_now() - before_now);
    };
  }
  Result<TrainSummary> go_on() {
    on_log_ = {};
    options_.resume = "auto";
    return train();
  }
};

TEST_F(EndOfRun, NothingIsBegunThatWasDueOnceItIsToldToStop) {
  options_.grace = 50;
  signal_at(100s);
  const auto ended = train();
  ASSERT_FALSE(ended);
  EXPECT_EQ(ended.error().kind(), Kind::kPartial);
  EXPECT_NE(ended.error().message().find("its last checkpoint was not begun"), std::string::npos);
  EXPECT_EQ(checkpoints(), (std::vector<std::string>{"step-00000002", "step-00000004"}));
  EXPECT_EQ(evaluated_, (std::vector<std::uint64_t>{1, 3}));
}

TEST_F(EndOfRun, ItIsSavedOnceWhereThereIsTime) {
  options_.grace = 600;
  signal_at(0s);
  const auto ended = train();
  ASSERT_TRUE(ended) << ended.error().message();
  EXPECT_EQ(ended->steps, 6U);
  EXPECT_TRUE(ended->stopped);
  EXPECT_EQ(checkpoints(),
            (std::vector<std::string>{"step-00000002", "step-00000004", "step-00000006"}));
  EXPECT_EQ(evaluated_, (std::vector<std::uint64_t>{1, 3}));
}

TEST_F(EndOfRun, AnEvaluationThatWasLeftOutIsMadeUpFor) {
  options_.grace = 600;
  signal_at(0s);
  ASSERT_TRUE(train());
  ASSERT_EQ(evaluated_, (std::vector<std::uint64_t>{1, 3}));
  ASSERT_TRUE(go_on());
  EXPECT_EQ(evaluated_, (std::vector<std::uint64_t>{1, 3, 5, 7}));
  ASSERT_TRUE(go_on());
  EXPECT_EQ(evaluated_, (std::vector<std::uint64_t>{1, 3, 5, 7})) << "once";
}

TEST_F(EndOfRun, TheLastEvaluationToo) {
  options_.grace = 600;
  signal_at(0s, 7);
  const auto ended = train();
  ASSERT_TRUE(ended) << ended.error().message();
  EXPECT_EQ(ended->steps, 8U);
  EXPECT_TRUE(ended->stopped) << "there is something left to do";
  ASSERT_EQ(evaluated_, (std::vector<std::uint64_t>{1, 3, 5}));
  const auto again = go_on();
  ASSERT_TRUE(again) << again.error().message();
  EXPECT_FALSE(again->stopped);
  EXPECT_EQ(again->first_step, 8U);
  EXPECT_EQ(evaluated_, (std::vector<std::uint64_t>{1, 3, 5, 7}));
}

TEST_F(EndOfRun, OneMadeUpForIsThatOfTheSameWeights) {
  std::vector<double> whole, resumed;
  const auto note = [](std::vector<double>& losses) {
    return [&losses](Series series, double value) {
      if (series == Series::kEvalLoss) losses.push_back(value);
    };
  };
  options_.optimizer = "transported";  // trains at other weights than it evaluates
  options_.grace = 600;
  on_value_ = note(whole);
  ASSERT_TRUE(train());
  options_.run = folder_.path() / "stopped";
  on_value_ = note(resumed);
  signal_at(0s);
  ASSERT_TRUE(train());
  ASSERT_TRUE(go_on());
  EXPECT_EQ(resumed, whole);
}

TEST_F(EndOfRun, OneMadeUpForMayBeTheBest) {
  options_.grace = 600;
  options_.keep = 1;
  options_.eval_every = 6;
  signal_at(0s);
  ASSERT_TRUE(train());
  options_.resume = "auto";
  signal_at(0s, 6);
  ASSERT_TRUE(train());
  EXPECT_EQ(evaluated_, (std::vector<std::uint64_t>{5}));
  EXPECT_EQ(checkpoints(), (std::vector<std::string>{"step-00000006", "step-00000007"}));
}

TEST_F(EndOfRun, OneMadeUpForInARunOfItsOwnIsSavedThere) {
  options_.grace = 600;
  options_.eval_every = 6;
  signal_at(0s);
  ASSERT_TRUE(train());
  options_.resume = checkpoint_path(options_.run, 6).native();
  options_.run = folder_.path() / "fork";
  options_.keep = 1;
  signal_at(0s, 6);
  ASSERT_TRUE(train());
  EXPECT_EQ(checkpoints(), (std::vector<std::string>{"step-00000006", "step-00000007"}));
}

TEST_F(EndOfRun, NothingIsMadeUpForThatAnOlderVersionDidNotNote) {
  options_.grace = 600;
  signal_at(0s);
  ASSERT_TRUE(train());
  const Path notes = checkpoint_path(options_.run, 6) / "checkpoint.json";
  std::string text = read_text(notes, 1 << 20).value();
  const auto at = text.find("\"eval.step\"");
  ASSERT_NE(at, std::string::npos);
  text.replace(at, 11, "\"other.key\"");
  std::ofstream(notes) << text;
  ASSERT_TRUE(go_on());
  EXPECT_EQ(evaluated_, (std::vector<std::uint64_t>{1, 3, 7}));
}

class Summary : public SmallTrain {
 protected:
  bool both_say(const TrainSummary& summary, const std::string& text, const std::string& json) {
    return to_text(summary, false).find(text) != std::string::npos &&
           to_text(summary, true).find(json) != std::string::npos;
  }
};
constexpr const char* kAtY = "are taken at the extrapolated point W + kappa Delta";

TEST_F(Summary, SaysThatLossesAreThoseAtTheExtrapolatedPoint) {
  options_.optimizer = "transported";
  const TrainSummary summary = train().value();
  EXPECT_TRUE(
      both_say(summary, "are those at the extrapolated point", "\"loss_at\":\"extrapolated\""))
      << to_text(summary, true);
  EXPECT_EQ(marks_with(kAtY), 1U);
}

TEST_F(Summary, SaysThatLossesAreThoseAtTheWeights) {
  for (const auto& [optimizer, kappa] : {std::pair("transported", 0.0), std::pair("muon", -1.0)}) {
    options_.optimizer = optimizer;
    options_.kappa = kappa;
    options_.run = folder_.path() / optimizer;
    const TrainSummary summary = train().value();
    EXPECT_TRUE(both_say(summary, "loss ", "\"loss_at\":\"weights\"")) << to_text(summary, true);
    EXPECT_EQ(to_text(summary, false).find("extrapolated"), std::string::npos);
  }
  EXPECT_EQ(marks_with(kAtY), 0U);
}

TEST_F(Summary, SaysWhatWasNotReported) {
  const std::string none = to_text(train().value(), false) + to_text(TrainSummary(), true);
  EXPECT_EQ(none.find("dropped"), std::string::npos) << none;
  options_.run = folder_.path() / "another";
  untold_ = {3, 1};
  EXPECT_TRUE(both_say(train().value(),
                       "not all was reported: 3 numbers or marks dropped, 1 writes",
                       ",\"reports_dropped\":3,\"reports_unwritten\":1}"));
}

}  // namespace
}  // namespace longhaul::trainer
