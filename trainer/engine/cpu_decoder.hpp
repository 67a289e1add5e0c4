// CpuDecoder: fp32 on the CPU by at::get_num_threads() threads. Products are row_products(),
// attention goes over a request's positions in order: a row's bits are its own.
#pragma once

#include "trainer/engine/decoder.hpp"

namespace longhaul::trainer {

class CpuDecoder final : public Decoder {
 public:
  // Reads the model's weights as they are at each round; the model outlives it.
  CpuDecoder(const Model& model, const DecoderOptions& options);
  const ModelConfig& config() const override { return config_; }
  const std::string& device() const override { return name_; }
  void run(std::span<const DecodeRow> rows) override;
  const std::vector<std::int64_t>& best() const override { return best_; }
  at::Tensor logits() const override;
  std::int64_t pool_bytes() const override { return static_cast<std::int64_t>(pool_.size()) * 4; }
  std::int64_t bytes_of_token(std::int64_t position) const override;

 private:
  void products(const float* x, std::int64_t weight, float* out, std::int64_t rows,
                std::int64_t width, std::int64_t columns) const;
  void keep(std::int64_t layer, std::span<const DecodeRow> rows);
  void attend(std::int64_t layer, std::span<const DecodeRow> rows);
  void head(std::span<const DecodeRow> rows);
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
  std::string name_ = "cpu";
  std::int64_t most_rows_;   // of both kinds
  std::int64_t kept_width_;  // keys and values of a position in a layer
  std::vector<float> pool_;  // [layers, blocks, 2 kv_heads, block_tokens, head_dim]
  std::vector<float> cosines_, sines_;
  std::vector<float> stream_, normed_, qkv_, attended_, gate_up_, wide_, more_, logits_, rstd_;
  std::vector<std::int64_t> best_;
};

}  // namespace longhaul::trainer
