// DeviceDecoder against the CPU's, on the device of the parameter.
#pragma once

#include "tests/trainer/device_checks.hpp"
#include "tests/trainer/serving_checks.hpp"
#include "trainer/engine/cpu_decoder.hpp"
#include "trainer/engine/memory_rate.hpp"

namespace longhaul::trainer {

inline std::unique_ptr<Decoder> decoder_on(const Device& device, const Model& model, bool bf16,
                                           const DecoderOptions& options, bool records = true,
                                           bool library = false) {
  auto made =
      device_decoder(model.config(), model.weights(), {device, bf16, records, library}, options);
  EXPECT_TRUE(made) << made.error().message();
  return std::move(*made);
}

// Blocks of four positions, passes of seven rows.
inline constexpr DecoderOptions kSmallPasses{
    .pool_blocks = 8, .block_tokens = 4, .most_rows = 7, .most_made = 7};

TEST_P(OnDevice, ServesTheModelsLogits) {
  for (const bool tied : {false, true}) {
    ModelConfig config = serving_config();
    config.tied = tied;
    Model model(config);
    model.init(2);
    for (const bool plain : {true, false}) {  // on a GPU without a recording, on the CPU by BLAS
      const auto decoder = decoder_on(device, model, false, kSmallPasses, !plain, plain);
      expect_logits(*decoder, model, 2e-4, 4);
      expect_logits(*decoder, model, 2e-4, 4);  // over what the first has left
    }
  }
}

// Rows of both kinds and of two requests in one round, which keep the order of their results.
TEST_P(OnDevice, ServesRowsOfPromptsAmongMadeOnes) {
  Model model(serving_config());
  model.init(4);
  CpuDecoder want(model, kSmallPasses);
  const auto got = decoder_on(device, model, false, kSmallPasses);
  const std::vector<std::uint32_t> first = {7, 2}, second = {0, 5};
  const auto rows = [&](std::vector<DecodeRow> of) {
    want.run(of);
    got->run(of);
    EXPECT_EQ(got->best(), want.best());
    EXPECT_EQ(got->logits().sizes(), want.logits().sizes());
    EXPECT_TRUE(at::allclose(got->logits(), want.logits(), 1e-4, 2e-4));
  };
  rows({{3, 0, first}, {9, 1, first}, {60, 2, first, true}, {5, 0, second}});
  rows({{8, 1, second, true}, {4, 3, first, true, true}});
  rows({{11, 4, first, true, true}, {12, 2, second}, {13, 3, second, true}, {14, 5, first, true}});
  rows({{1, 4, second}});  // nobody makes one
  EXPECT_TRUE(got->best().empty());
}

// Bit for bit, wherever among others it stands: what keeps tokens that are all but equal apart.
TEST_P(OnDevice, ServesARowTheSameBitsInAnyPlace) {
  Model model(serving_config());
  model.init(5);
  const DecoderOptions wide{.pool_blocks = 8, .block_tokens = 4, .most_rows = 21, .most_made = 21};
  const std::vector<std::uint32_t> own = {3}, others = {0, 7, 5, 1, 2, 6};
  for (const bool bf16 : {false, true}) {
    const auto decoder = decoder_on(device, model, bf16, wide);
    const auto row = [&](std::int64_t position, bool made) {
      return DecodeRow{position * 7 % 61, position, own, true, made};
    };
    // Of another request: `count` rows from that position, and then the one of interest.
    const auto behind = [&](std::int64_t first, std::int64_t count, bool made, DecodeRow last) {
      std::vector<DecodeRow> rows;
      for (std::int64_t p = first; p < first + count; ++p)
        rows.push_back({p * 5 % 61, p, others, false, made});
      rows.push_back(last);
      decoder->run(rows);
      return decoder->logits()[0].clone();
    };
    const at::Tensor first = behind(0, 0, false, row(0, false)),
                     second = behind(0, 0, false, row(1, false)),
                     made = behind(0, 0, true, row(2, true));
    for (std::int64_t count = 1; count <= 20; ++count) {
      EXPECT_TRUE(at::equal(behind(0, count, false, row(0, false)), first)) << bf16 << count;
      EXPECT_TRUE(at::equal(behind(0, count, false, row(1, false)), second)) << bf16 << count;
      EXPECT_TRUE(at::equal(behind(0, count, true, row(2, true)), made)) << bf16 << count;
    }
  }
}

// Exhausted pools too: see serving_checks.hpp. In fp32 and bf16, where ties between tokens are
// common.
TEST_P(OnDevice, AnswersTheSameInAnyCompany) {
  Model model(serving_config());
  model.init(3);
  for (const bool bf16 : {false, true})
    expect_the_same_in_any_company(
        [&](const DecoderOptions& options) { return decoder_on(device, model, bf16, options); }, 4,
        true);
}

// In fp32 the two sides' tokens are one another's, as no two logits here are as near as their bits.
TEST_P(OnDevice, AnswersAsTheCpuDoes) {
  Model model(serving_config());
  model.init(3);
  const std::vector<Prompt> prompts = some_prompts(6);
  const ServerOptions options{.pool_tokens = 160, .most_requests = 4, .round_tokens = 9};
  const auto on_device = [&](const DecoderOptions& how) {
    return decoder_on(device, model, false, how);
  };
  const auto on_cpu = [&](const DecoderOptions& how) {
    return std::make_unique<CpuDecoder>(model, how);
  };
  EXPECT_EQ(answers(on_device, prompts, options, 1), answers(on_cpu, prompts, options, 1));
}

TEST_P(OnDevice, ServesNearlyTheSameInBfloat16) {
  Model model(serving_config());
  model.init(2);
  const DecoderOptions options{
      .pool_blocks = 8, .block_tokens = 4, .most_rows = 24, .most_made = 24};
  const auto exact = decoder_on(device, model, false, options);
  const auto near = decoder_on(device, model, true, options);
  const std::vector<std::uint32_t> blocks = {6, 0, 3, 7, 1, 5};
  std::vector<DecodeRow> rows;
  for (std::int64_t p = 0; p < 24; ++p) rows.push_back({(p * 17 + 5) % 61, p, blocks, true});
  exact->run(rows);
  near->run(rows);
  const at::Tensor want = exact->logits();
  const double off = ((near->logits() - want).norm() / want.norm()).item<double>();
  EXPECT_GT(off, 1e-4);  // it is bf16
  EXPECT_LT(off, 3e-2);
}

TEST_P(OnDevice, CountsABytesShareOfAStep) {
  ModelConfig config = serving_config();
  Model model(config);
  const auto whole = decoder_on(device, model, false, kSmallPasses);
  const auto half = decoder_on(device, model, true, kSmallPasses);
  const std::int64_t gains = 7 * 32,
                     kept = 3 * 2 * 16;  // three layers' keys and values of two heads
  const std::int64_t matrices = matmul_parameters(config) - gains;
  EXPECT_EQ(whole->bytes_of_token(9), 4 * (matrices + gains + 10 * kept));
  EXPECT_EQ(half->bytes_of_token(9), 2 * matrices + 4 * gains + 2 * 10 * kept);
  EXPECT_EQ(whole->bytes_of_token(9), CpuDecoder(model, kSmallPasses).bytes_of_token(9));
  EXPECT_EQ(half->pool_bytes(), 2 * 8 * 4 * kept);
  EXPECT_GT(device_memory_rate(device).bytes_per_second, 0);
}

}  // namespace longhaul::trainer
