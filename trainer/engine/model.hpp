// Model: a LLaMA decoder (RMSNorm, RoPE, SwiGLU, grouped queries, tied or untied head) with its
// backward pass written out: no tape, activations in buffers made once. A layer keeps its input,
// its rotated q, k, v, attention's output and log-sums, the middle of the residual stream and the
// gate and up projections; norms, SwiGLU and attention's probabilities are computed again. The
// head, the loss and both their gradients are made for a few hundred tokens at a time, so logits
// never exist as a whole. fp32 on the CPU, the layers' products in bf16 if asked for; the training
// thread.
//
// Shapes: B samples of T tokens, N = B T rows, D hidden, F intermediate, V vocabulary.
#pragma once

#include <ATen/ATen.h>

#include <functional>
#include <memory>
#include <span>

#include "trainer/engine/gemm.hpp"
#include "trainer/parameters.hpp"

namespace longhaul::trainer {

struct Batch {
  const std::int64_t* tokens;   // [B, T], ids below the vocabulary
  const std::int64_t* targets;  // [B, T]
  std::int64_t samples, sequence;
  std::int64_t rows() const { return samples * sequence; }
};

// Normal with deviation init_std for matrices (o and down divided by sqrt(2 layers), as GPT-2), 1
// for gains. The same weights for a seed whatever the threads.
void draw_weights(const ModelConfig& config, const ParameterLayout& layout, std::uint64_t seed,
                  std::span<float> weights);

class Model {
 public:
  // Weights are zero until init() or a load. Memory for activations is made by prepare() or at the
  // first batch, and again for one of another shape.
  explicit Model(const ModelConfig& config);
  ~Model();
  Model(const Model&) = delete;
  Model& operator=(const Model&) = delete;

  const ModelConfig& config() const { return config_; }
  const ParameterLayout& layout() const { return layout_; }
  void init(std::uint64_t seed);  // draw_weights()

  // Makes and touches the memory for activations of such batches [B, T].
  void prepare(std::int64_t samples, std::int64_t sequence);

  // How layers and head multiply by weights from now on, forwards and back. Weights, gradients,
  // activations, norms, RoPE, attention's inner products, softmax and loss are fp32 either way.
  void use_products(Products products) { products_ = products; }

  // Flat [layout().size()] fp32. The forward pass reads weights, the backward pass adds to
  // gradients, which take memory once they were written (zero_pages.hpp).
  const at::Tensor& weights() const { return weights_; }
  const at::Tensor& gradients() const { return gradients_; }
  // Reads another buffer from now on (the accelerated method's extrapolated point), or the own one.
  void read_weights_from(const at::Tensor& weights);

  // Told, during the backward pass, of gradients [offset, offset + count) that are final; each
  // once. The weights of that range are not read any more.
  using Final = std::function<void(std::int64_t offset, std::int64_t count)>;
  // Adds scale * d(sum of the tokens' losses)/d(weights) to gradients() and returns the sum of the
  // losses, in nats. scale = 1 / (tokens of the step) gives the mean's gradient.
  double train(const Batch& batch, float scale, const Final& final = {});
  double loss(const Batch& batch);        // the sum alone
  at::Tensor logits(const Batch& batch);  // [N, V]; targets are not looked at
  std::int64_t activation_bytes() const;

 private:
  struct Buffers;
  bool reserve(std::int64_t samples, std::int64_t sequence);  // whether it was made anew
  void forward(const Batch& batch);
  void attend(std::int64_t layer, const Batch& batch);
  void mlp(std::int64_t layer, const Batch& batch);
  void attend_backward(std::int64_t layer, const Batch& batch);
  void heads_backward(std::int64_t layer, const Batch& batch);
  void mlp_backward(std::int64_t layer, const Batch& batch);
  double head(const Batch& batch, float scale);
  void embed_backward(const Batch& batch);
  float* weight(std::int64_t offset) const { return read_ + offset; }
  float* gradient(std::int64_t offset) const { return gradients_.data_ptr<float>() + offset; }

  ModelConfig config_;
  ParameterLayout layout_;
  Products products_ = Products::kFloat;
  at::Tensor weights_, gradients_;
  float* read_;  // weights_, or what read_weights_from() named
  at::Tensor reading_;
  std::unique_ptr<Buffers> buffers_;
};

}  // namespace longhaul::trainer
