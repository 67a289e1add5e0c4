#include "trainer/engine/model.hpp"

#include <ATen/Parallel.h>
#include <ATen/core/grad_mode.h>

#include <algorithm>
#include <atomic>
#include <cmath>

#include "lib/base/rng.hpp"
#include "trainer/engine/gemm.hpp"
#include "trainer/engine/model_buffers.hpp"
#include "trainer/engine/zero_pages.hpp"
#include "trainer/kernels.hpp"

namespace longhaul::trainer {
namespace {

constexpr std::int64_t kModelRowsAtOnce = 64;  // a thread's least share of element-wise work

void normal(float* out, std::int64_t n, double deviation, Rng& rng) {  // Box-Muller
  for (std::int64_t i = 0; i < n; i += 2) {
    const double radius = deviation * std::sqrt(-2 * std::log(1 - rng.unit()));
    const double angle = 6.283185307179586 * rng.unit();
    out[i] = static_cast<float>(radius * std::cos(angle));
    if (i + 1 < n) out[i + 1] = static_cast<float>(radius * std::sin(angle));
  }
}

}  // namespace

Model::Model(const ModelConfig& config)
    : config_(config),
      layout_(config),
      weights_(at::zeros({layout_.size()}, at::kFloat)),
      gradients_(zero_pages(layout_.size())),
      read_(weights_.data_ptr<float>()),
      reading_(weights_) {}
Model::~Model() = default;

void Model::init(std::uint64_t seed) {
  draw_weights(config_, layout_, seed,
               {weights_.data_ptr<float>(), static_cast<std::size_t>(weights_.numel())});
}

void draw_weights(const ModelConfig& config, const ParameterLayout& layout, std::uint64_t seed,
                  std::span<float> weights) {
  const double narrow = 1.0 / std::sqrt(2.0 * static_cast<double>(config.layers));
  const auto draw = [&](const Parameter& parameter) {
    float* at = weights.data() + parameter.offset;
    if (parameter.role == Role::kGain) {
      std::fill(at, at + parameter.count(), 1.0F);
      return;
    }
    const bool onto_stream = parameter.name.find("o_proj") != std::string::npos ||
                             parameter.name.find("down_proj") != std::string::npos;
    Rng rng(seed, "init." + parameter.name);
    normal(at, parameter.count(), config.init_std * (onto_stream ? narrow : 1), rng);
  };
  // Each has a stream of numbers of its own, so who draws it when is the same. One after another,
  // as threads come free: they differ in size by thousands.
  std::atomic<std::size_t> next = 0;
  at::parallel_for(0, at::get_num_threads(), 1, [&](std::int64_t, std::int64_t) {
    for (std::size_t i = next++; i < layout.all().size(); i = next++) draw(layout.all()[i]);
  });
}

void Model::read_weights_from(const at::Tensor& weights) {
  ASSERT(weights.numel() == layout_.size() && weights.is_contiguous());
  reading_ = weights;
  read_ = reading_.data_ptr<float>();
}

bool Model::reserve(std::int64_t samples, std::int64_t sequence) {
  ASSERT(samples > 0 && sequence > 0);
  if (buffers_ && buffers_->rows == samples * sequence && buffers_->positions == sequence)
    return false;
  buffers_ = std::make_unique<Buffers>(config_, samples, sequence);
  return true;
}

void Model::prepare(std::int64_t samples, std::int64_t sequence) {
  if (reserve(samples, sequence)) buffers_->touch();
}

std::int64_t Model::activation_bytes() const {
  return buffers_ ? buffers_->bytes : 0;
}

void Model::forward(const Batch& batch) {
  reserve(batch.samples, batch.sequence);
  Buffers& b = *buffers_;
  const std::int64_t d = config_.hidden;
  const float* table = weight(layout_.embedding());
  float* out = b.stream(0);
  for (std::int64_t r = 0; r < b.rows; ++r) {
    ASSERT(batch.tokens[r] >= 0 && batch.tokens[r] < config_.vocab);
    std::copy_n(table + batch.tokens[r] * d, d, out + r * d);
  }
  for (std::int64_t l = 0; l < config_.layers; ++l) {
    attend(l, batch);
    mlp(l, batch);
  }
  b.over_rows(kModelRowsAtOnce, [&](std::int64_t first, std::int64_t count) {
    kernels::rms_norm(b.stream(config_.layers) + first * d, weight(layout_.final_norm()),
                      b.normed.at(first * d), b.final_rstd.at(first), {count, d}, config_.norm_eps);
  });
}

void Model::mlp(std::int64_t layer, const Batch&) {
  Buffers& b = *buffers_;
  const std::int64_t d = config_.hidden, f = config_.intermediate;
  b.over_rows(kModelRowsAtOnce, [&](std::int64_t first, std::int64_t count) {
    kernels::rms_norm(b.middle(layer) + first * d, weight(layout_.mlp_norm(layer)),
                      b.normed.at(first * d), b.mlp_rstd.at(layer * b.rows + first), {count, d},
                      config_.norm_eps);
  });
  multiply_transposed(Matrix(b.gate_up(layer), b.rows, 2 * f), Matrix(b.normed.at(0), b.rows, d),
                      Matrix(weight(layout_.gate_up(layer)), 2 * f, d), Into::kReplace, products_);
  b.over_rows(kModelRowsAtOnce, [&](std::int64_t first, std::int64_t count) {
    kernels::swiglu(b.gate_up(layer) + first * 2 * f, b.wide.at(first * f), {count, f});
  });
  std::copy_n(b.middle(layer), b.rows * d, b.stream(layer + 1));
  multiply_transposed(Matrix(b.stream(layer + 1), b.rows, d), Matrix(b.wide.at(0), b.rows, f),
                      Matrix(weight(layout_.down(layer)), d, f), Into::kAdd, products_);
}

void Model::mlp_backward(std::int64_t layer, const Batch&) {
  Buffers& b = *buffers_;
  const std::int64_t d = config_.hidden, f = config_.intermediate;
  const Matrix back(b.back.at(0), b.rows, d);  // d loss / d output of the layer
  b.over_rows(kModelRowsAtOnce, [&](std::int64_t first, std::int64_t count) {
    kernels::swiglu(b.gate_up(layer) + first * 2 * f, b.wide.at(first * f), {count, f});
    kernels::rms_norm_again(b.middle(layer) + first * d, weight(layout_.mlp_norm(layer)),
                            b.mlp_rstd.at(layer * b.rows + first), b.normed.at(first * d),
                            {count, d});
  });
  const Matrix wide(b.wide.at(0), b.rows, f);
  multiply_left_transposed(Matrix(gradient(layout_.down(layer)), d, f), back, wide, Into::kAdd,
                           products_);
  multiply(wide, back, Matrix(weight(layout_.down(layer)), d, f), Into::kReplace, products_);
  b.over_rows(kModelRowsAtOnce, [&](std::int64_t first, std::int64_t count) {
    kernels::swiglu_backward(b.wide.at(first * f), b.gate_up(layer) + first * 2 * f, {count, f});
  });
  const Matrix gate_up(b.gate_up(layer), b.rows, 2 * f), normed(b.normed.at(0), b.rows, d);
  multiply_left_transposed(Matrix(gradient(layout_.gate_up(layer)), 2 * f, d), gate_up, normed,
                           Into::kAdd, products_);
  multiply(normed, gate_up, Matrix(weight(layout_.gate_up(layer)), 2 * f, d), Into::kReplace,
           products_);
  b.norm_backward(b.middle(layer), weight(layout_.mlp_norm(layer)), b.mlp_rstd.at(layer * b.rows),
                  gradient(layout_.mlp_norm(layer)));
}

double Model::head(const Batch& batch, float scale) {
  Buffers& b = *buffers_;
  const std::int64_t d = config_.hidden, v = config_.vocab;
  const Matrix table(weight(layout_.head()), v, d);
  const std::int64_t threads = at::get_num_threads();
  double sum = 0;
  for (std::int64_t at = 0; at < b.rows; at += b.head_rows) {
    const std::int64_t n = std::min(b.head_rows, b.rows - at);
    const Matrix logits(b.logits.at(0), n, v), rows(b.normed.at(at * d), n, d);
    multiply_transposed(logits, rows, table, Into::kReplace, products_);
    // Losses by fixed pieces, added in order: the sum does not depend on the threads.
    const std::int64_t pieces = (n + kModelRowsAtOnce - 1) / kModelRowsAtOnce;
    std::vector<double> losses(static_cast<std::size_t>(pieces));
    at::parallel_for(0, pieces, std::max<std::int64_t>(1, (pieces + threads - 1) / threads),
                     [&](std::int64_t begin, std::int64_t end) {
                       for (std::int64_t p = begin; p < end; ++p) {
                         const std::int64_t first = p * kModelRowsAtOnce;
                         losses[static_cast<std::size_t>(p)] = kernels::cross_entropy(
                             b.logits.at(first * v), batch.targets + at + first,
                             {std::min(kModelRowsAtOnce, n - first), v}, scale);
                       }
                     });
    for (const double loss : losses) sum += loss;
    if (scale == 0) continue;
    multiply_left_transposed(Matrix(gradient(layout_.head()), v, d), logits, rows, Into::kAdd,
                             products_);
    multiply(rows, logits, table, Into::kReplace, products_);  // normed becomes its own gradient
  }
  return sum;
}

void Model::embed_backward(const Batch& batch) {
  const std::int64_t d = config_.hidden;
  float* table = gradient(layout_.embedding());
  // By columns: two rows may be the same token's, no two threads share a column.
  at::parallel_for(0, d, std::max<std::int64_t>(16, d / at::get_num_threads()),
                   [&](std::int64_t begin, std::int64_t end) {
                     for (std::int64_t r = 0; r < batch.rows(); ++r)
                       kernels::add(buffers_->back.at(r * d + begin),
                                    table + batch.tokens[r] * d + begin, end - begin);
                   });
}

double Model::train(const Batch& batch, float scale, const Final& final) {
  ASSERT(scale != 0);
  const at::NoGradGuard no_grad;
  const auto say = [&](std::int64_t begin, std::int64_t end) {
    if (final) final(begin, end - begin);
  };
  forward(batch);
  const double loss = head(batch, scale);
  // A tied head's gradient is the embedding's, and final with it.
  if (!config_.tied) say(layout_.head(), layout_.attention_norm(0));
  Buffers& b = *buffers_;
  std::fill_n(b.back.at(0), b.rows * config_.hidden, 0.0F);
  b.norm_backward(b.stream(config_.layers), weight(layout_.final_norm()), b.final_rstd.at(0),
                  gradient(layout_.final_norm()));
  for (std::int64_t l = config_.layers; l-- > 0;) {
    mlp_backward(l, batch);
    say(layout_.down(l), layout_.down(l + 1));
    say(layout_.gate_up(l), layout_.gate_up(l + 1));
    attend_backward(l, batch);
    say(layout_.qkv(l), layout_.qkv(l + 1));
  }
  embed_backward(batch);
  say(layout_.embedding(), config_.tied ? layout_.attention_norm(0) : layout_.head());
  say(layout_.attention_norm(0), layout_.size());  // all gains
  return loss;
}

double Model::loss(const Batch& batch) {
  const at::NoGradGuard no_grad;
  forward(batch);
  return head(batch, 0);
}

at::Tensor Model::logits(const Batch& batch) {
  const at::NoGradGuard no_grad;
  forward(batch);
  at::Tensor out = at::empty({batch.rows(), config_.vocab}, at::kFloat);
  multiply_transposed(Matrix(out.data_ptr<float>(), batch.rows(), config_.vocab),
                      Matrix(buffers_->normed.at(0), batch.rows(), config_.hidden),
                      Matrix(weight(layout_.head()), config_.vocab, config_.hidden), Into::kReplace,
                      products_);
  return out;
}

}  // namespace longhaul::trainer
