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

}  // namespace
}  // namespace longhaul::trainer
