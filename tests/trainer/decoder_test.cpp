// Serving on the CPU against the model's own forward pass, and against itself in other company.
#include <gtest/gtest.h>

#include <chrono>
#include <cmath>

#include "tests/trainer/serving_checks.hpp"
#include "trainer/engine/cpu_decoder.hpp"
#include "trainer/engine/serve_options.hpp"

namespace longhaul::trainer {
namespace {

TEST(CpuDecoder, GivesTheModelsLogits) {
  Model model(serving_config());
  model.init(2);
  CpuDecoder decoder(model, {.pool_blocks = 8, .block_tokens = 5, .most_rows = 7, .most_made = 7});
  expect_logits(decoder, model, 2e-4, 5);
}

TEST(CpuDecoder, AnswersTheSameInAnyCompany) {
  Model model(serving_config());
  model.init(3);
  expect_the_same_in_any_company(
      [&](const DecoderOptions& options) { return std::make_unique<CpuDecoder>(model, options); },
      20, false);
}

TEST(Arrivals, ArePoissonsAtTheRateAskedFor) {
  ServeOptions options;
  options.rate = 8;
  options.requests = 20'000;
  options.spread = 0.5;
  options.prompt = 100;
  options.output = 40;
  const std::vector<Arrival> arrivals = arrivals_of(options), same = arrivals_of(options);
  options.model.seed += 1;
  const std::vector<Arrival> others = arrivals_of(options);
  ASSERT_EQ(arrivals.size(), 20'000U);
  double sum = 0, squares = 0;
  for (std::size_t i = 0; i < arrivals.size(); ++i) {
    EXPECT_EQ(arrivals[i].at, same[i].at);
    EXPECT_GE(arrivals[i].prompt, 50U);
    EXPECT_LE(arrivals[i].prompt, 150U);
    EXPECT_GE(arrivals[i].output, 20U);
    EXPECT_LE(arrivals[i].output, 60U);
    if (i == 0) continue;
    const double gap = std::chrono::duration<double>(arrivals[i].at - arrivals[i - 1].at).count();
    sum += gap;
    squares += gap * gap;
  }
  const double mean = sum / 19'999, deviation = std::sqrt(squares / 19'999 - mean * mean);
  EXPECT_NEAR(mean, 1.0 / 8, 0.03 / 8);
  EXPECT_NEAR(deviation, mean, 0.03 / 8) << "as far apart as exponential gaps are";
  EXPECT_NE(others[1].at, arrivals[1].at);
}

TEST(Server, RefusesWhatNeverFits) {
  Model model(serving_config());
  const ServerOptions options{.pool_tokens = 32, .most_requests = 2, .round_tokens = 8};
  CpuDecoder decoder(model, decoder_options(options));
  Server server(decoder, options);
  EXPECT_FALSE(server.add(1, {std::vector<std::int64_t>(30, 1), 4}));
  EXPECT_FALSE(server.add(1, {std::vector<std::int64_t>(2, 1), 5000}));
  EXPECT_FALSE(server.busy());
  EXPECT_TRUE(server.add(1, {std::vector<std::int64_t>(29, 1), 4}));
}

}  // namespace
}  // namespace longhaul::trainer
