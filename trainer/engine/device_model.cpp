#include "trainer/engine/device_model.hpp"

#include <c10/core/GradMode.h>
#include <torch/csrc/api/include/torch/version.h>
#include <torch/csrc/autograd/autograd.h>

#include <algorithm>

#include "trainer/cuda/layers.hpp"
#include "trainer/cuda/loss.hpp"
#include "trainer/cuda/norm.hpp"
#include "trainer/cuda/steps.hpp"
#include "trainer/engine/device_elements.hpp"

namespace longhaul::trainer {
namespace {

at::Tensor causal_attention(const at::Tensor& q, const at::Tensor& k, const at::Tensor& v) {
#if TORCH_VERSION_MAJOR >= 2
  return at::scaled_dot_product_attention(q, k, v, {}, 0.0, /*is_causal=*/true);
#else
  return std::get<0>(at::_scaled_dot_product_attention(q, k, v, {}, 0.0,
                                                       /*need_attn_weights=*/false,
                                                       /*is_causal=*/true));
#endif
}

}  // namespace

template <class T>
DeviceModel<T>::DeviceModel(const ModelConfig& config, const Device& device)
    : config_(config), layout_(config), device_(device), ring_(device_) {
  const at::TensorOptions floats = at::TensorOptions(at::kFloat).device(device_.place());
  weights_ = at::zeros({layout_.size()}, floats);
  gradients_ = at::zeros({layout_.size()}, floats);
  reading_ = at::zeros({layout_.size()}, floats.dtype(kElementType<T>));
  gains_ = at::zeros({gain_count()}, floats);
  loss_ = at::zeros({}, floats.dtype(at::kDouble));
}

template <class T>
void DeviceModel<T>::load(const at::Tensor& weights) {
  ASSERT(weights.numel() == layout_.size());
  const at::NoGradGuard no_grad;
  weights_.copy_(weights);
  device_.go(cuda::WorkingCopy<T>{data_of<float>(weights_), nullptr, data_of<T>(reading_),
                                  layout_.size(), 0});
  gains_.copy_(weights_.narrow(0, first_gain(), gain_count()));
  kappa_ = 0;
}

template <class T>
at::Tensor DeviceModel<T>::empty(at::IntArrayRef shape) const {
  return at::empty(shape, reading_.options());
}
template <class T>
at::Tensor DeviceModel<T>::floats(at::IntArrayRef shape) const {
  return at::empty(shape, weights_.options());
}
template <class T>
at::Tensor DeviceModel<T>::matrix(std::int64_t offset, std::int64_t rows,
                                  std::int64_t columns) const {
  return reading_.narrow(0, offset, rows * columns).view({rows, columns});
}
template <class T>
const float* DeviceModel<T>::gain(std::int64_t offset) const {
  return data_of<float>(gains_) + (offset - first_gain());
}
template <class T>
float* DeviceModel<T>::gradient(std::int64_t offset) const {
  return data_of<float>(gradients_) + offset;
}
template <class T>
void DeviceModel<T>::add_gradient(std::int64_t offset, const at::Tensor& product) const {
  const at::Tensor whole = product.contiguous();
  device_.go(cuda::GradientSum<T>{data_of<T>(whole), gradient(offset), whole.numel()});
}

template <class T>
typename DeviceModel<T>::Normed DeviceModel<T>::norm(const at::Tensor& x, const at::Tensor& added,
                                                     std::int64_t gain_offset) const {
  const std::int64_t rows = x.size(0), width = x.size(1);
  Normed out{added.defined() ? empty({rows, width}) : x, empty({rows, width}), floats({rows})};
  device_.go(cuda::RmsNorm<T>{data_of<T>(x), added.defined() ? data_of<T>(added) : nullptr,
                              data_of<T>(out.stream), gain(gain_offset), data_of<T>(out.normed),
                              data_of<float>(out.rstd), rows, width,
                              static_cast<float>(config_.norm_eps)});
  return out;
}

template <class T>
at::Tensor DeviceModel<T>::norm_again(const at::Tensor& x, const at::Tensor& rstd,
                                      std::int64_t gain_offset) const {
  at::Tensor out = empty({x.size(0), x.size(1)});
  device_.go(cuda::RmsNormAgain<T>{data_of<T>(x), gain(gain_offset), data_of<float>(rstd),
                                   data_of<T>(out), x.size(0), x.size(1)});
  return out;
}

template <class T>
void DeviceModel<T>::norm_backward(const at::Tensor& dy, const at::Tensor& x,
                                   const at::Tensor& rstd, std::int64_t gain_offset,
                                   const at::Tensor& back) const {
  const std::int64_t rows = x.size(0), width = x.size(1);
  const at::Tensor parts = floats({std::min(rows, cuda::kGainStrips), width});
  device_.go(cuda::RmsNormBackward<T>{data_of<T>(dy), data_of<T>(x), gain(gain_offset),
                                      data_of<float>(rstd), data_of<T>(back), data_of<float>(parts),
                                      rows, width});
  device_.go(cuda::SumOfParts{data_of<float>(parts), gradient(gain_offset), parts.size(0), width});
}

template <class T>
void DeviceModel<T>::make_tables(std::int64_t positions) {
  if (cosines_.defined() && cosines_.size(0) == positions) return;
  at::Tensor cosines = at::empty({positions, config_.head_dim / 2}, at::kFloat),
             sines = at::empty_like(cosines);
  kernels::rope_table(data_of<float>(cosines), data_of<float>(sines), positions, config_.head_dim,
                      config_.rope_theta);
  cosines_ = cosines.to(device_.place());
  sines_ = sines.to(device_.place());
}

template <class T>
void DeviceModel<T>::rotate(const at::Tensor& qkv, std::int64_t positions, int direction) const {
  device_.go(cuda::Rope<T>{data_of<T>(qkv), data_of<float>(cosines_), data_of<float>(sines_),
                           qkv.size(0), qkv.size(1),
                           static_cast<int>(config_.heads + config_.kv_heads),
                           static_cast<int>(config_.head_dim), positions, direction});
}

// From rotated q, k, v to the heads' outputs, side by side. Where gradients are recorded, q, k and
// v are the leaves.
template <class T>
at::Tensor DeviceModel<T>::attend(const Heads& heads, const Batch& batch) const {
  const std::int64_t b = batch.samples, t = batch.sequence, hd = config_.head_dim;
  const std::int64_t pairs = config_.kv_heads, share = config_.heads / pairs;
  const auto by_head = [&](const at::Tensor& part) {  // [b, heads, t, hd]
    return part.view({b, t, part.size(1) / hd, hd}).transpose(1, 2);
  };
  const auto shared = [&](const at::Tensor& of_pairs) {  // a query head's own view of its k or v
    if (share == 1) return of_pairs;
    return of_pairs.unsqueeze(2)
        .expand({b, pairs, share, t, hd})
        .reshape({b, config_.heads, t, hd});
  };
  return causal_attention(by_head(heads[0]), shared(by_head(heads[1])), shared(by_head(heads[2])))
      .transpose(1, 2)
      .reshape({b * t, config_.query_width()});
}

template <class T>
at::Tensor DeviceModel<T>::swiglu(const at::Tensor& gate_up) const {
  const std::int64_t rows = gate_up.size(0), width = config_.intermediate;
  at::Tensor out = empty({rows, width});
  device_.go(cuda::Swiglu<T>{data_of<T>(gate_up), data_of<T>(out), rows, width});
  return out;
}

// The final norm's: the stream, normed, and rstd.
template <class T>
typename DeviceModel<T>::Normed DeviceModel<T>::forward(const at::Tensor& tokens,
                                                        const Batch& batch, bool keeps) {
  const std::int64_t d = config_.hidden, f = config_.intermediate, q = config_.query_width(),
                     kv = config_.kv_width(), w = q + 2 * kv;
  make_tables(batch.sequence);
  kept_.assign(static_cast<std::size_t>(keeps ? config_.layers : 0), {});
  at::Tensor stream = matrix(layout_.embedding(), config_.vocab, d).index_select(0, tokens);
  at::Tensor added;  // what the next norm adds to the stream
  for (std::int64_t l = 0; l < config_.layers; ++l) {
    Kept kept;
    const Normed first = norm(stream, added, layout_.attention_norm(l));
    kept.input = first.stream;
    kept.attention_rstd = first.rstd;
    const at::Tensor qkv = at::mm(first.normed, matrix(layout_.qkv(l), w, d).t());
    rotate(qkv, batch.sequence, 1);
    kept.heads = {qkv.narrow(1, 0, q), qkv.narrow(1, q, kv), qkv.narrow(1, q + kv, kv)};
    {
      const at::AutoGradMode record(keeps);
      if (keeps)
        for (const at::Tensor& leaf : kept.heads) leaf.requires_grad_();
      kept.attended = attend(kept.heads, batch);
    }
    const Normed second = norm(
        first.stream, at::mm(kept.attended, matrix(layout_.out(l), d, q).t()), layout_.mlp_norm(l));
    kept.middle = second.stream;
    kept.mlp_rstd = second.rstd;
    kept.gate_up = at::mm(second.normed, matrix(layout_.gate_up(l), 2 * f, d).t());
    added = at::mm(swiglu(kept.gate_up), matrix(layout_.down(l), d, f).t());
    stream = second.stream;
    if (keeps) kept_[static_cast<std::size_t>(l)] = std::move(kept);
  }
  return norm(stream, added, layout_.final_norm());
}

// Adds the losses up; with a scale, also the head's gradient, and normed becomes its own.
template <class T>
void DeviceModel<T>::head(const at::Tensor& normed, const at::Tensor& targets, float scale) {
  const std::int64_t rows = normed.size(0), v = config_.vocab, d = config_.hidden;
  const std::int64_t at_once = std::min(rows, std::max<std::int64_t>(logits_at_once_ / v, 1));
  const at::Tensor table = matrix(layout_.head(), v, d);
  for (std::int64_t first = 0; first < rows; first += at_once) {
    const std::int64_t n = std::min(at_once, rows - first);
    at::Tensor part = normed.narrow(0, first, n);
    const at::Tensor logits = at::mm(part, table.t()), losses = floats({n});
    device_.go(cuda::CrossEntropy<T>{data_of<T>(logits), targets.data_ptr<std::int64_t>() + first,
                                     data_of<float>(losses), n, v, scale});
    loss_.add_(losses.sum(at::kDouble));
    if (scale == 0) continue;
    add_gradient(layout_.head(), at::mm(logits.t(), part));
    part.copy_(at::mm(logits, table));
  }
}

template <class T>
void DeviceModel<T>::mlp_backward(std::int64_t layer, const at::Tensor& back) {
  Kept& kept = kept_[static_cast<std::size_t>(layer)];
  const std::int64_t d = config_.hidden, f = config_.intermediate;
  add_gradient(layout_.down(layer), at::mm(back.t(), swiglu(kept.gate_up)));
  const at::Tensor dwide = at::mm(back, matrix(layout_.down(layer), d, f));
  device_.go(cuda::SwigluBackward<T>{data_of<T>(dwide), data_of<T>(kept.gate_up), back.size(0), f});
  const at::Tensor normed = norm_again(kept.middle, kept.mlp_rstd, layout_.mlp_norm(layer));
  add_gradient(layout_.gate_up(layer), at::mm(kept.gate_up.t(), normed));
  norm_backward(at::mm(kept.gate_up, matrix(layout_.gate_up(layer), 2 * f, d)), kept.middle,
                kept.mlp_rstd, layout_.mlp_norm(layer), back);
}

template <class T>
void DeviceModel<T>::attention_backward(std::int64_t layer, const Batch& batch,
                                        const at::Tensor& back) {
  Kept& kept = kept_[static_cast<std::size_t>(layer)];
  const std::int64_t d = config_.hidden, q = config_.query_width(), w = q + 2 * config_.kv_width();
  add_gradient(layout_.out(layer), at::mm(back.t(), kept.attended));
  const at::Tensor dout = at::mm(back, matrix(layout_.out(layer), d, q));
  const auto back_of =
      torch::autograd::grad({kept.attended}, {kept.heads.begin(), kept.heads.end()}, {dout});
  const at::Tensor dqkv = at::cat({back_of[0], back_of[1], back_of[2]}, 1);
  rotate(dqkv, batch.sequence, -1);
  const at::Tensor normed =
      norm_again(kept.input, kept.attention_rstd, layout_.attention_norm(layer));
  add_gradient(layout_.qkv(layer), at::mm(dqkv.t(), normed));
  norm_backward(at::mm(dqkv, matrix(layout_.qkv(layer), w, d)), kept.input, kept.attention_rstd,
                layout_.attention_norm(layer), back);
}

template <class T>
void DeviceModel<T>::train(const Batch& batch, float scale, const Model::Final& final) {
  ASSERT(scale != 0);
  const at::NoGradGuard no_grad;
  const auto say = [&](std::int64_t begin, std::int64_t end) {
    if (final) final(begin, end - begin);
  };
  const at::Tensor ids = ring_.send(batch.tokens, batch.targets, batch.rows());
  const Normed last = forward(ids[0], batch, true);
  head(last.normed, ids[1], scale);
  if (!config_.tied) say(layout_.head(), first_gain());
  const at::Tensor back = at::zeros_like(last.stream);
  norm_backward(last.normed, last.stream, last.rstd, layout_.final_norm(), back);
  for (std::int64_t l = config_.layers; l-- > 0;) {
    mlp_backward(l, back);
    say(layout_.down(l), layout_.down(l + 1));
    say(layout_.gate_up(l), layout_.gate_up(l + 1));
    attention_backward(l, batch, back);
    say(layout_.qkv(l), layout_.qkv(l + 1));
    kept_[static_cast<std::size_t>(l)] = {};
  }
  // By sorted tokens, so without two additions that race for a row.
  add_gradient(layout_.embedding(),
               at::embedding_dense_backward(back, ids[0], config_.vocab, -1, false));
  say(layout_.embedding(), config_.tied ? first_gain() : layout_.head());
  say(first_gain(), layout_.size());  // all gains
}

template <class T>
void DeviceModel<T>::evaluate(const Batch& batch) {
  const at::NoGradGuard no_grad;
  const at::Tensor ids = ring_.send(batch.tokens, batch.targets, batch.rows());
  head(forward(ids[0], batch, false).normed, ids[1], 0);
}

template <class T>
double DeviceModel<T>::take_loss() {
  const double out = loss_.item<double>();
  loss_.zero_();
  return out;
}

template <class T>
void DeviceModel<T>::move_loss(const at::Tensor& to) {
  const at::NoGradGuard no_grad;
  to.copy_(loss_.view({1}));
  loss_.zero_();
}

template class DeviceModel<float>;
template class DeviceModel<cuda::Bfloat16>;

}  // namespace longhaul::trainer
