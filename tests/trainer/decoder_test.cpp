// Serving on the CPU against the model's own forward pass, and against itself in other company.
#include <gtest/gtest.h>

#include "tests/trainer/serving_checks.hpp"
#include "trainer/engine/cpu_decoder.hpp"

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
