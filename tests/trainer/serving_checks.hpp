// What every Decoder must hold to, whichever side it is of.
#pragma once

#include <gtest/gtest.h>

#include <functional>
#include <map>
#include <memory>
#include <set>
#include <vector>

#include "lib/base/rng.hpp"
#include "trainer/engine/serving.hpp"

namespace longhaul::trainer {

inline ModelConfig serving_config() {
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

// A prompt in parts of one to seven positions, in blocks of no order: every position's logits are
// the model's own. The later half is run as if it had been made there.
inline void expect_logits(Decoder& decoder, Model& model, double tolerance,
                          std::int64_t block_tokens) {
  std::vector<std::int64_t> tokens(24);
  for (std::size_t i = 0; i < tokens.size(); ++i)
    tokens[i] = static_cast<std::int64_t>(i * 17 + 5) % 61;
  const at::Tensor whole = model.logits({tokens.data(), tokens.data(), 1, 24}).clone();
  std::vector<std::uint32_t> blocks = {6, 0, 3, 7, 1, 5, 2};
  blocks.resize(static_cast<std::size_t>((24 + block_tokens - 1) / block_tokens));
  std::vector<DecodeRow> rows;
  for (std::int64_t first = 0, count = 1; first < 24; first += count, count = 1 + first % 7) {
    count = std::min<std::int64_t>(count, 24 - first);
    rows.clear();
    for (std::int64_t p = first; p < first + count; ++p)
      rows.push_back({tokens[static_cast<std::size_t>(p)], p, blocks, true, first >= 12});
    decoder.run(rows);
    const at::Tensor logits = decoder.logits();
    ASSERT_EQ(logits.size(0), count);
    ASSERT_EQ(decoder.best().size(), rows.size());
    for (std::int64_t i = 0; i < count; ++i) {
      const at::Tensor want = whole[first + i], off = (logits[i] - want).abs().max();
      ASSERT_LT(off.item<double>(), tolerance) << "position " << first + i;
      ASSERT_EQ(logits[i].argmax().item<std::int64_t>(), decoder.best()[std::size_t(i)]);
    }
  }
}

using MakeDecoder = std::function<std::unique_ptr<Decoder>(const DecoderOptions&)>;
using Answers = std::map<std::uint64_t, std::vector<std::int64_t>>;

// Requests join at random, and leave when they have all their tokens.
inline Answers answers(const MakeDecoder& make, const std::vector<Prompt>& prompts,
                       const ServerOptions& options, std::uint64_t seed) {
  const auto decoder = make(decoder_options(options));
  Server server(*decoder, options);
  Rng rng(seed, "company");
  Answers out;
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

inline std::vector<Prompt> some_prompts(std::size_t count) {
  Rng rng(7, "prompts");
  std::vector<Prompt> prompts(count);
  for (Prompt& prompt : prompts) {
    prompt.tokens.resize(rng.between(1, 40));
    for (std::int64_t& token : prompt.tokens) token = static_cast<std::int64_t>(rng.below(61));
    prompt.output = static_cast<std::uint32_t>(rng.between(1, 30));
  }
  return prompts;
}

// Pools of 96 positions and more, where two requests at once hardly fit: most wait until others
// have left, and get their blocks. `bound`: all have one size of round, which is part of what a
// device's answer is.
inline void expect_the_same_in_any_company(const MakeDecoder& make, std::uint64_t seeds,
                                           bool bound) {
  const std::vector<Prompt> prompts = some_prompts(24);
  const ServerOptions quiet{.most_requests = bound ? 5U : 1U, .round_tokens = bound ? 12U : 64U};
  Answers alone;
  for (std::uint64_t i = 0; i < prompts.size(); ++i)
    alone[i] = answers(make, {prompts[i]}, quiet, 1)[0];
  std::set<std::vector<std::int64_t>> different;
  for (const auto& [id, tokens] : alone) different.insert(tokens);
  ASSERT_GT(different.size(), 20U);  // they say something
  for (std::uint64_t seed = 1; seed <= seeds; ++seed) {
    const auto most = static_cast<std::uint32_t>(1 + seed % 9);
    ServerOptions options{.pool_tokens = 80 + 16 * seed,
                          .most_requests = most,
                          .round_tokens = most + static_cast<std::uint32_t>(seed % 13)};
    if (bound) {
      options.most_requests = quiet.most_requests;
      options.round_tokens = quiet.round_tokens;
    }
    ASSERT_EQ(answers(make, prompts, options, seed), alone) << "seed " << seed;
  }
}

}  // namespace longhaul::trainer
