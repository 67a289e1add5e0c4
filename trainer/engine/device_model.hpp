// DeviceModel: the LLaMA decoder of model.hpp on a Device. LibTorch makes the matrix products and
// attention (flash attention, where it has that), trainer/cuda's works all between them. T is what
// activations and the weights of a forward pass are: cuda::Bfloat16, or float. The master weights,
// gradients, gains, norms' sums and losses are fp32. As in model.hpp a layer keeps its input, q, k,
// v, attention's output, the middle of the residual stream, gate and up; the rest is made again,
// and the head works on a chunk of rows at a time. The training thread.
#pragma once

#include <array>
#include <vector>

#include "trainer/engine/device.hpp"
#include "trainer/engine/model.hpp"

namespace longhaul::trainer {

template <class T>
class DeviceModel {
 public:
  DeviceModel(const ModelConfig& config, const Device& device);  // weights are zero
  const ModelConfig& config() const { return config_; }
  const ParameterLayout& layout() const { return layout_; }
  const Device& device() const { return device_; }

  // Flat [layout().size()] fp32 on the device, as Model's. Who writes weights writes the reading,
  // too: what forward and backward passes read is [size] of T, gains apart as fp32
  // [gain_count()], and is the weights or, of the accelerated method, the extrapolated point.
  const at::Tensor& weights() const { return weights_; }
  const at::Tensor& gradients() const { return gradients_; }
  const at::Tensor& reading() const { return reading_; }
  const at::Tensor& gains() const { return gains_; }
  float kappa() const { return kappa_; }  // that the reading was written with; 0: the weights
  void reading_is_at(float kappa) { kappa_ = kappa; }
  std::int64_t first_gain() const { return layout_.attention_norm(0); }
  std::int64_t gain_count() const { return layout_.size() - first_gain(); }
  // Logits that exist at once; a chunk of the head's has one row at least.
  void limit_logits(std::int64_t elements) { logits_at_once_ = elements; }
  void load(const at::Tensor& weights);  // flat fp32, of any place; the reading follows

  // Adds scale * d(sum of the tokens' losses)/d(weights) to gradients(), and the losses to what
  // take_loss() returns. Neither waits for the GPU. `final` as Model's: of what is final once all
  // that was asked for so far is done.
  void train(const Batch& batch, float scale, const Model::Final& final = {});
  void evaluate(const Batch& batch);
  double take_loss();                    // waits; the sum since the last call, in nats
  void move_loss(const at::Tensor& to);  // the same without waiting: to fp64 [1] on the device

 private:
  using Heads = std::array<at::Tensor, 3>;  // q, k, v of a layer's heads: parts of one matrix
  struct Kept {                             // of a layer, from forward to backward
    at::Tensor input, attention_rstd, attended, middle, mlp_rstd, gate_up;
    Heads heads;
  };
  struct Normed {
    at::Tensor stream, normed, rstd;
  };
  at::Tensor empty(at::IntArrayRef shape) const;
  at::Tensor floats(at::IntArrayRef shape) const;
  at::Tensor matrix(std::int64_t offset, std::int64_t rows, std::int64_t columns) const;
  const float* gain(std::int64_t offset) const;
  float* gradient(std::int64_t offset) const;
  void add_gradient(std::int64_t offset, const at::Tensor& product) const;
  Normed norm(const at::Tensor& x, const at::Tensor& added, std::int64_t gain_offset) const;
  at::Tensor norm_again(const at::Tensor& x, const at::Tensor& rstd,
                        std::int64_t gain_offset) const;
  void norm_backward(const at::Tensor& dy, const at::Tensor& x, const at::Tensor& rstd,
                     std::int64_t gain_offset, const at::Tensor& back) const;
  void rotate(const at::Tensor& qkv, std::int64_t positions, int direction) const;
  at::Tensor attend(const Heads& heads, const Batch& batch) const;
  at::Tensor swiglu(const at::Tensor& gate_up) const;
  Normed forward(const at::Tensor& tokens, const Batch& batch, bool keeps);
  void head(const at::Tensor& normed, const at::Tensor& targets, float scale);
  void mlp_backward(std::int64_t layer, const at::Tensor& back);
  void attention_backward(std::int64_t layer, const Batch& batch, const at::Tensor& back);
  void make_tables(std::int64_t positions);

  ModelConfig config_;
  ParameterLayout layout_;
  const Device device_;
  BatchRing ring_;
  at::Tensor weights_, gradients_, reading_, gains_;
  at::Tensor cosines_, sines_;  // [positions, head_dim / 2]
  at::Tensor loss_;             // fp64, on the device
  float kappa_ = 0;
  std::vector<Kept> kept_;
  std::int64_t logits_at_once_ = 128 << 20;  // 256 MiB of bf16: 2,668 rows of 50,304
};

}  // namespace longhaul::trainer
