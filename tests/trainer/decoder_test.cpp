// Serving against the model's own forward pass, and against itself in other company.
#include <gtest/gtest.h>

#include <set>

#include "lib/base/rng.hpp"
#include "trainer/engine/serving.hpp"

namespace longhaul::trainer {
namespace {

ModelConfig grouped() {
  ModelConfig config = named_config("tiny").value();
  config.vocab = 61;
  config.layers = 3;
  config.hidden = 32;
  config.intermediate = 56;
  config.heads = 4;
  config.kv_heads = 2;
  config.head_dim = 8;
  config.init_std = 0.3;  // answers that differ
  return config;
}

TEST(Decoder, GivesTheModelsLogits) {
  Model model(grouped());
  model.init(2);
  std::vector<std::int64_t> tokens(24);
  for (std::size_t i = 0; i < tokens.size(); ++i)
    tokens[i] = static_cast<std::int64_t>(i * 17 + 5) % 61;
  const at::Tensor whole = model.logits({tokens.data(), tokens.data(), 1, 24});
  Decoder decoder(model, {.pool_blocks = 8, .block_tokens = 5, .most_rows = 7});
  const std::vector<std::uint32_t> blocks = {6, 0, 3, 7, 1};
  std::vector<DecodeRow> rows;
  for (std::int64_t first = 0, count = 1; first < 24; first += count, count = 1 + first % 7) {
    count = std::min<std::int64_t>(count, 24 - first);
    rows.clear();
    for (std::int64_t p = first; p < first + count; ++p)
      rows.push_back({tokens[static_cast<std::size_t>(p)], p, blocks, true});
    decoder.run(rows);
    for (std::int64_t i = 0; i < count; ++i)
      for (std::int64_t v = 0; v < 61; ++v)
        ASSERT_NEAR(decoder.logits(i)[v], whole[first + i][v].item<float>(), 2e-4)
            << "position " << first + i;
  }
}

std::map<std::uint64_t, std::vector<std::int64_t>> answers(const Model& model,
                                                           const std::vector<Prompt>& prompts,
                                                           const ServerOptions& options,
                                                           std::uint64_t seed) {
  Server server(model, options);
  Rng rng(seed, "company");
  std::map<std::uint64_t, std::vector<std::int64_t>> out;
  std::size_t next = 0;
  while (next < prompts.size() || server.busy()) {
    while (next < prompts.size() && (!server.busy() || rng.chance(0.4))) {
      EXPECT_TRUE(server.add(next, prompts[next]));
      ++next;
    }
    for (const Server::Made& made : server.round()) {
      out[made.request].push_back(made.token);
      EXPECT_EQ(made.last, out[made.request].size() == prompts[made.request].output);
    }
  }
  return out;
}

TEST(Server, AnswersTheSameInAnyCompany) {
  Model model(grouped());
  model.init(3);
  Rng rng(7, "prompts");
  std::vector<Prompt> prompts(24);
  for (Prompt& prompt : prompts) {
    prompt.tokens.resize(rng.between(1, 40));
    for (std::int64_t& token : prompt.tokens) token = static_cast<std::int64_t>(rng.below(61));
    prompt.output = static_cast<std::uint32_t>(rng.between(1, 30));
  }
  std::map<std::uint64_t, std::vector<std::int64_t>> alone;
  for (std::uint64_t i = 0; i < prompts.size(); ++i)
    alone[i] = answers(model, {prompts[i]}, {.most_requests = 1, .round_tokens = 64}, 1)[0];
  std::set<std::vector<std::int64_t>> different;
  for (const auto& [id, tokens] : alone) different.insert(tokens);
  ASSERT_GT(different.size(), 20U);  // they say something
  for (std::uint64_t seed = 1; seed <= 20; ++seed) {
    const auto most = static_cast<std::uint32_t>(1 + seed % 9);
    const ServerOptions options{.pool_tokens = 80 + 16 * seed,
                                .most_requests = most,
                                .round_tokens = most + static_cast<std::uint32_t>(seed % 13)};
    ASSERT_EQ(answers(model, prompts, options, seed), alone) << "seed " << seed;
  }
}

TEST(Server, RefusesWhatNeverFits) {
  Model model(grouped());
  Server server(model, {.pool_tokens = 32, .most_requests = 2, .round_tokens = 8});
  EXPECT_FALSE(server.add(1, {std::vector<std::int64_t>(30, 1), 4}));
  EXPECT_FALSE(server.add(1, {std::vector<std::int64_t>(2, 1), 5000}));
  EXPECT_FALSE(server.busy());
  EXPECT_TRUE(server.add(1, {std::vector<std::int64_t>(29, 1), 4}));
}

}  // namespace
}  // namespace longhaul::trainer
