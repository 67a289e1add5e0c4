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
  void signal_at(Duration before_now) {
    on_log_ = [this, before_now](Series series, std::uint64_t step) {
      if (series == Series::kLoss && step == 5)
        control_->post_stop_from_signal(time_now() - before_now);
    };
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
