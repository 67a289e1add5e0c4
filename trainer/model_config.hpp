// ModelConfig: the shape of a LLaMA-style decoder, under the names and limits of Hugging Face's
// config.json. Counting parameters and FLOPs is arithmetic on it; no tensor is made here. Pure.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "lib/base/result.hpp"

namespace longhaul::trainer {

struct ModelConfig {
  std::int64_t vocab = 256;
  std::int64_t hidden = 128;
  std::int64_t intermediate = 352;
  std::int64_t layers = 5;
  std::int64_t heads = 4;
  std::int64_t kv_heads = 4;  // fewer than heads: grouped queries
  std::int64_t head_dim = 32;
  std::int64_t max_positions = 2048;
  double norm_eps = 1e-6;
  double rope_theta = 10000;
  bool tied = false;  // the head is the embedding
  double init_std = 0.02;

  bool operator==(const ModelConfig&) const = default;
  std::int64_t query_width() const { return heads * head_dim; }
  std::int64_t kv_width() const { return kv_heads * head_dim; }
};

// tiny (bytes, 1.07 M), llama-60m, -130m, -350m, -1b (GaLore's suite, vocabulary 32000);
// llama-124m: the 130m's body with GPT-2's padded vocabulary 50304 and a tied head, which is the
// size of GPT-2's smallest, 123.6 M; llama-1.4b: the 1b's body with that vocabulary, its
// intermediate size 5461 padded to 5464, a multiple of 8, for matrix units. kNotFound names them
// all.
Result<ModelConfig> named_config(std::string_view name);
const std::vector<std::string_view>& config_names();

// Refuses what cannot be built: zero sizes, heads that kv heads do not divide, odd head
// dimensions, absurd sizes.
Result<> check(const ModelConfig& config);
// From config.json. Both spellings of RoPE are read ("rope_theta" at the top with "rope_scaling"
// null, and "rope_parameters": {"rope_type", "rope_theta"}); a RoPE type other than "default", or
// anything in these objects that it does not have, biases, another activation or architecture are
// kUnsupported: silently ignoring them would give a model that runs and is wrong.
Result<ModelConfig> parse_hf_config(std::string_view json);
// What parse_hf_config reads as the same config, to the last bit.
std::string to_hf_config(const ModelConfig& config, std::string_view dtype);

std::int64_t parameter_count(const ModelConfig& config);
// Without the input embedding's look-up, which multiplies nothing.
std::int64_t matmul_parameters(const ModelConfig& config);
// FLOP a trained token costs (forward and backward, no recomputation).
// full: 6 N + 12 L H Q T (PaLM, appendix B); causal: attention's masked half left out (llm.c).
double train_flops_full(const ModelConfig& config, std::int64_t sequence);
double train_flops_causal(const ModelConfig& config, std::int64_t sequence);

}  // namespace longhaul::trainer
