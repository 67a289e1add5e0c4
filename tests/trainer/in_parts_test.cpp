// Steps in parts, during the backward pass, against steps of the whole gradient.
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>

#include "trainer/engine/optimizer.hpp"
#include "trainer/plan.hpp"

namespace longhaul::trainer {
namespace {

constexpr std::int64_t kPartSamples = 3, kPartSequence = 10, kPartVocab = 31;

ModelConfig shape_of(bool tied) {
  ModelConfig config = named_config("tiny").value();
  config.vocab = kPartVocab;
  config.layers = 3;
  config.hidden = 16;
  config.intermediate = 24;
  config.heads = 4;
  config.kv_heads = 2;
  config.head_dim = 4;
  config.tied = tied;
  return config;
}

struct Training {
  Model model;
  Optimizer optimizer;
  std::vector<std::int64_t> ids;
  Training(bool tied, const OptimizerConfig& config)
      : model(shape_of(tied)), optimizer((model.init(5), model), config) {
    for (std::int64_t i = 0; i <= kPartSamples * kPartSequence; ++i)
      ids.push_back(i * i % kPartVocab);
  }
  void train(const Model::Final& final = {}) {
    optimizer.extrapolate(2);
    model.train({ids.data(), ids.data() + 1, kPartSamples, kPartSequence}, 0.1F, final);
  }
};

OptimizerConfig rule_of(const char* name) {
  OptimizerConfig config = optimizer_preset(name).value();
  config.decay = 0.1;
  config.noise_scale = 1e-3;
  return config;
}

TEST(StepInParts, GivesTheBitsOfAWholeStep) {
  for (const bool tied : {false, true})
    for (const char* name : {"adamw", "muon", "normuon", "scion", "transported"}) {
      Training whole(tied, rule_of(name)), parts(tied, rule_of(name));
      for (std::uint64_t step = 0; step < 3; ++step) {
        whole.model.gradients().zero_();
        whole.train();
        const StepReport one = whole.optimizer.step({.step = step, .factor = 0.7});
        parts.optimizer.begin({.step = step, .factor = 0.7});
        parts.train([&](auto offset, auto count) { parts.optimizer.consume(offset, count); });
        const StepReport other = parts.optimizer.end();
        EXPECT_TRUE(other.applied);
        EXPECT_NEAR(other.gradient_norm / one.gradient_norm, 1, 1e-6);  // sums of other pieces
        EXPECT_EQ(parts.model.gradients().count_nonzero().item<std::int64_t>(), 0);
        ASSERT_TRUE(at::equal(whole.model.weights(), parts.model.weights())) << name << step;
      }
      for (std::size_t i = 0; i < whole.optimizer.state().size(); ++i)
        EXPECT_TRUE(at::equal(whole.optimizer.state()[i].second, parts.optimizer.state()[i].second))
            << name;
    }
}

TEST(StepInParts, HoldsTheGradientsThatThePlanNames) {
  for (const bool tied : {false, true}) {
    Training parts(tied, optimizer_preset("muon").value());
    const std::int64_t planned = memory({.model = shape_of(tied), .consumed = true}).gradients / 4;
    std::int64_t most = 0;
    parts.optimizer.begin({});
    parts.train([&](auto offset, auto count) {
      most = std::max(most, parts.model.gradients().count_nonzero().item<std::int64_t>());
      parts.optimizer.consume(offset, count);
    });
    EXPECT_TRUE(parts.optimizer.end().applied);
    EXPECT_LE(most, planned);
    EXPECT_GT(most, planned * 9 / 10);
    EXPECT_LT(planned, parts.model.layout().size() / 2);
  }
}

TEST(StepInParts, RefusesAllThatFollowsANumberThatIsNone) {
  Training parts(false, optimizer_preset("muon").value());
  const ParameterLayout& layout = parts.model.layout();
  const at::Tensor before = parts.model.weights().clone();
  const std::int64_t matrices = layout.matrix_size(), rest = layout.size() - matrices;
  parts.optimizer.begin({});
  parts.model.gradients().fill_(0.1);
  parts.model.gradients()[layout.final_norm()] = std::nan("");
  parts.optimizer.consume(matrices, rest);
  parts.optimizer.consume(0, matrices);
  const StepReport untouched = parts.optimizer.end();
  EXPECT_FALSE(untouched.applied);
  EXPECT_FALSE(untouched.partly);
  EXPECT_TRUE(at::equal(parts.model.weights(), before));
  EXPECT_EQ(parts.model.gradients().count_nonzero().item<std::int64_t>(), 0);

  parts.optimizer.begin({});
  parts.model.gradients().fill_(0.1);
  parts.model.gradients()[3] = std::nan("");
  parts.optimizer.consume(matrices, rest);
  parts.optimizer.consume(0, matrices);
  const StepReport half = parts.optimizer.end();
  EXPECT_FALSE(half.applied);
  EXPECT_TRUE(half.partly);
  EXPECT_TRUE(
      at::equal(parts.model.weights().narrow(0, 0, matrices), before.narrow(0, 0, matrices)));
  EXPECT_FALSE(
      at::equal(parts.model.weights().narrow(0, matrices, rest), before.narrow(0, matrices, rest)));
}

}  // namespace
}  // namespace longhaul::trainer
