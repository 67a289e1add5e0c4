// Which checkpoint a run holds to be the best evaluated.
#include "tests/trainer/small_disk.hpp"
#include "tests/trainer/small_train.hpp"

namespace longhaul::trainer {
namespace {

class BestEvaluated : public SmallTrain {
 protected:
  BestEvaluated() {
    options_.eval_data = options_.data;
    options_.eval_every = 8;
    options_.eval_batches = 1;
    options_.checkpoint_every = 2;
    options_.keep = 1;
    options_.steps = 24;
    options_.grace = 600;
  }
  // The best step that the notes of the newest checkpoint name.
  double noted() const {
    const Path newest = list_checkpoints(options_.run).value().back();
    return read_notes(newest).value().numbers.at("best.step");
  }
};

TEST_F(BestEvaluated, IsOneThatWasWritten) {
  std::optional<SmallDisk> full;
  bool fills = false;
  on_log_ = [&](Series series, std::uint64_t step) {
    if (fills && series == Series::kEvalLoss && step == 15) full.emplace(0);
    if (marks_with("step-00000016") > 0) full.reset();  // it was told that it does not fit
    if (series == Series::kLoss && step == 21) control_->post_stop_from_signal(time_now());
  };
  ASSERT_TRUE(train());
  ASSERT_EQ(checkpoints(), (std::vector<std::string>{"step-00000016", "step-00000022"}))
      << "the later evaluation is the better one";
  EXPECT_EQ(noted(), 16);
  options_.run = folder_.path() / "filled";
  fills = true;
  ASSERT_TRUE(train());
  EXPECT_EQ(checkpoints(), (std::vector<std::string>{"step-00000008", "step-00000022"}));
  EXPECT_EQ(noted(), 8);
}

}  // namespace
}  // namespace longhaul::trainer
