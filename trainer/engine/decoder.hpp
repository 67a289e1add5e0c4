// Decoder: a model's forward pass for a few positions of many requests at once, their keys and
// values in one pool made at the start. A request's numbers do not depend on who else is served,
// nor on how its prompt was cut: products are row_products(), attention goes over a request's
// positions in order. fp32 on the CPU; one thread calls, at::get_num_threads() work.
#pragma once

#include <span>
#include <vector>

#include "trainer/engine/model.hpp"

namespace longhaul::trainer {

struct DecodeRow {
  std::int64_t token = 0, position = 0;
  std::span<const std::uint32_t> blocks{};  // of its request's positions
  bool makes = false;                       // its logits are wanted
};
struct DecoderOptions {
  std::int64_t pool_blocks = 256, block_tokens = 16, most_rows = 64;
};

class Decoder {
 public:
  // Reads the model's weights as they are at each round; the model outlives it.
  Decoder(const Model& model, const DecoderOptions& options);
  // Rows of a request in the order of its positions; earlier ones were run before or are among
  // them.
  void run(std::span<const DecodeRow> rows);
  // Of the i-th row that makes a token, after run(): [vocab].
  const float* logits(std::int64_t i) const { return logits_.data() + i * config_.vocab; }
  std::int64_t best(std::int64_t i) const;  // the first token with the largest
  std::int64_t pool_bytes() const { return static_cast<std::int64_t>(pool_.size()) * 4; }
  // Read for a token at `position`: weights and its keys and values.
  std::int64_t bytes_of_token(std::int64_t position) const;

 private:
  void products(const float* x, std::int64_t weight, float* out, std::int64_t rows,
                std::int64_t width, std::int64_t columns) const;
  void keep(std::int64_t layer, std::span<const DecodeRow> rows);
  void attend(std::int64_t layer, std::span<const DecodeRow> rows);
  // Keys, then values, of a key-value head in the block that has `position`: [block_tokens,
  // head_dim].
  float* keys(std::int64_t layer, const DecodeRow& row, std::int64_t position, std::int64_t head);
  float* values(std::int64_t layer, const DecodeRow& row, std::int64_t position,
                std::int64_t head) {
    return keys(layer, row, position, config_.kv_heads + head);
  }
  const float* weights() const { return model_.weights().data_ptr<float>(); }

  const Model& model_;
  const ModelConfig& config_;
  const ParameterLayout& layout_;
  DecoderOptions options_;
  std::int64_t kept_width_;  // keys and values of a position in a layer
  std::vector<float> pool_;  // [layers, blocks, 2 kv_heads, block_tokens, head_dim]
  std::vector<float> cosines_, sines_;
  std::vector<float> stream_, normed_, qkv_, attended_, gate_up_, wide_, more_, logits_, rstd_;
};

}  // namespace longhaul::trainer
