#include "trainer/engine/eval_set.hpp"

#include <gtest/gtest.h>

#include <cmath>
#include <numeric>

#include "tests/trainer/temporary_folder.hpp"

namespace longhaul::trainer {
namespace {

ModelConfig shape_of_eval() {
  ModelConfig config = named_config("tiny").value();
  config.vocab = 50;
  config.layers = 1;
  config.hidden = config.intermediate = 16;
  config.heads = config.kv_heads = 2;
  config.head_dim = 8;
  return config;
}

std::vector<Token> squares(std::size_t count) {
  std::vector<Token> tokens(count);
  for (std::size_t i = 0; i < count; ++i) tokens[i] = static_cast<Token>(i * i % 50);
  return tokens;
}

class ShardFile {  // of so many tokens
 public:
  explicit ShardFile(std::size_t count) : path_(folder_.path() / "some.bin") {
    auto writer = ShardWriter::create(path_, 50);
    EXPECT_TRUE(writer && writer->append(squares(count)) && writer->finish());
  }
  const Path& path() const { return path_; }

 private:
  TemporaryFolder folder_;
  Path path_;
};

TrainOptions asked(std::uint64_t batch, std::uint64_t sequence) {
  TrainOptions out;
  out.batch = batch;
  out.sequence = sequence;
  out.eval_batches = 1000;
  return out;
}

TEST(EvalSet, AUniformModelIsAsPerplexedAsItsVocabularyIsLarge) {
  Model model(shape_of_eval());  // of zeros: all logits are 0
  const ShardFile shard(100);
  const auto set = EvalSet::open_all(shard.path(), shape_of_eval(), asked(4, 8));
  ASSERT_TRUE(set) << set.error().message();
  EXPECT_NEAR(std::exp(set->loss(model)), 50, 1e-4);
  const auto text = EvalSet::of_tokens(squares(30), "x", shape_of_eval(), asked(2, 8));
  ASSERT_TRUE(text) << text.error().message();
  EXPECT_NEAR(std::exp(text->loss(model)), 50, 1e-4);
}

TEST(EvalSet, CountsTheSameTokensForAnyBatch) {
  Model model(shape_of_eval());
  model.init(1);
  const ShardFile shard(100);  // 12 samples of 8
  std::vector<double> losses;
  for (const std::uint64_t batch : {1U, 5U, 12U, 64U}) {
    const auto set = EvalSet::open_all(shard.path(), shape_of_eval(), asked(batch, 8));
    ASSERT_TRUE(set) << set.error().message();
    EXPECT_EQ(set->tokens(), 96U) << batch;
    losses.push_back(set->loss(model));
    EXPECT_NEAR(losses.back(), losses.front(), 1e-6) << batch;
  }
  TrainOptions few = asked(5, 8);
  few.eval_batches = 2;
  EXPECT_EQ(EvalSet::open_all(shard.path(), shape_of_eval(), few)->tokens(), 80U);
}

TEST(EvalSet, OfARunHasWholeBatches) {
  const ShardFile shard(100);
  EXPECT_EQ(EvalSet::open(shard.path(), shape_of_eval(), asked(5, 8))->tokens(), 80U);
  const auto none = EvalSet::open(shard.path(), shape_of_eval(), asked(13, 8));
  ASSERT_FALSE(none);
  EXPECT_EQ(none.error().why(), "it holds 12 samples, less than one batch of 13");
  EXPECT_EQ(none.error().advice(), "take a smaller --batch or --sequence, or more text");
}

// Each token but the first, also those of the last, shorter sample.
TEST(EvalSet, ForetellsAWholeText) {
  Model model(shape_of_eval());
  model.init(1);
  for (const std::size_t count : {2U, 8U, 9U, 10U, 41U}) {
    const std::vector<Token> tokens = squares(count);
    const auto set = EvalSet::of_tokens(tokens, "x", shape_of_eval(), asked(3, 8));
    ASSERT_TRUE(set) << set.error().message();
    EXPECT_EQ(set->tokens(), count - 1);
    double sum = 0;
    const std::vector<std::int64_t> ids(tokens.begin(), tokens.end());
    for (std::size_t at = 0; at + 1 < count; at += 8) {
      const auto here = static_cast<std::int64_t>(std::min<std::size_t>(8, count - 1 - at));
      sum += model.loss({ids.data() + at, ids.data() + at + 1, 1, here});
    }
    EXPECT_NEAR(set->loss(model), sum / static_cast<double>(count - 1), 1e-6) << count;
  }
  const auto one = EvalSet::of_tokens(squares(1), "x", shape_of_eval(), asked(3, 8)).error();
  EXPECT_EQ(one.why(), "it holds less than two tokens");
  EXPECT_EQ(one.advice(), "the first token is not foretold: give a longer text");
  const auto over =
      EvalSet::of_tokens(std::vector<Token>{1, 60}, "x", shape_of_eval(), asked(3, 8));
  ASSERT_FALSE(over);
  EXPECT_EQ(over.error().why(), "its tokens go up to id 60, the model's vocabulary ends at 50");
  EXPECT_EQ(over.error().advice(), "give the model's own tokenizer as --tokenizer");
}

}  // namespace
}  // namespace longhaul::trainer
