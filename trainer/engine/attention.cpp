// Attention's half of the model: norm, q k v, RoPE, causal softmax(q k^T / sqrt(head_dim)) v, and
// back. A thread takes a head of a sample; queries go in blocks, each against the keys up to its
// own end only, so that the masked half costs a quarter at most. Probabilities are not kept: with
// the log-sum they cost one product to make again (Dao 2022).
#include <cmath>

#include "trainer/engine/gemm.hpp"
#include "trainer/engine/model_buffers.hpp"

namespace longhaul::trainer {
namespace {

constexpr std::int64_t kRowsAtOnce = 64;

}  // namespace

Model::Buffers::Buffers(const ModelConfig& c, std::int64_t samples, std::int64_t sequence)
    : rows(samples * sequence),
      positions(sequence),
      hidden(c.hidden),
      heads(c.heads),
      query_width(c.query_width()),
      qkv_width(c.query_width() + 2 * c.kv_width()),
      wide_width(c.intermediate),
      head_rows(std::min(std::max<std::int64_t>(kLogitFloats / c.vocab, 64), rows)),
      streams((c.layers + 1) * rows * hidden),
      middles(c.layers * rows * hidden),
      qkvs(c.layers * rows * qkv_width),
      outs(c.layers * rows * query_width),
      lses(c.layers * rows * heads),
      gates(c.layers * rows * 2 * wide_width),
      attention_rstd(c.layers * rows),
      mlp_rstd(c.layers * rows),
      final_rstd(rows),
      normed(rows * hidden),
      wide(rows * wide_width),
      back(rows * hidden),
      qkv_back(rows * qkv_width),
      out_back(rows * query_width),
      delta(rows * heads),
      logits(head_rows * c.vocab),
      gain_parts(kGainPieces * hidden),
      scores(2 * std::min(kQueryBlock, sequence) * sequence * at::get_num_threads()),
      scores_each(2 * std::min(kQueryBlock, sequence) * sequence),
      cosines(sequence * c.head_dim / 2),
      sines(sequence * c.head_dim / 2),
      bytes(cosines.bytes() + sines.bytes()) {
  for (const Floats* floats : written()) bytes += floats->bytes();
  kernels::rope_table(cosines.at(0), sines.at(0), sequence, c.head_dim, c.rope_theta);
}

std::array<const Floats*, 18> Model::Buffers::written() const {
  return {&streams,        &middles,  &qkvs,       &outs,   &lses,       &gates,
          &attention_rstd, &mlp_rstd, &final_rstd, &normed, &wide,       &back,
          &qkv_back,       &out_back, &delta,      &logits, &gain_parts, &scores};
}

void Model::Buffers::touch() const {
  for (const Floats* floats : written()) floats->touch();
}

void Model::Buffers::norm_backward(const float* x, const float* gain, const float* rstd,
                                   float* gain_gradient) const {
  // The gain's gradient in a fixed number of pieces, added in order: the same bits for any threads.
  const std::int64_t piece = (rows + kGainPieces - 1) / kGainPieces;
  std::fill_n(gain_parts.at(0), kGainPieces * hidden, 0.0F);
  at::parallel_for(0, kGainPieces, 1, [&](std::int64_t begin, std::int64_t end) {
    for (std::int64_t p = begin; p < end; ++p) {
      const std::int64_t first = std::min(p * piece, rows), n = std::min(piece, rows - first);
      kernels::rms_norm_backward(normed.at(first * hidden), x + first * hidden, gain, rstd + first,
                                 back.at(first * hidden), gain_parts.at(p * hidden), {n, hidden});
    }
  });
  for (std::int64_t p = 0; p < kGainPieces; ++p)
    kernels::add(gain_parts.at(p * hidden), gain_gradient, hidden);
}

void Model::attend(std::int64_t layer, const Batch& batch) {
  Buffers& b = *buffers_;
  const std::int64_t d = config_.hidden, w = b.qkv_width, hd = config_.head_dim, t = b.positions;
  b.over_rows(kRowsAtOnce, [&](std::int64_t first, std::int64_t count) {
    kernels::rms_norm(b.stream(layer) + first * d, weight(layout_.attention_norm(layer)),
                      b.normed.at(first * d), b.attention_rstd.at(layer * b.rows + first),
                      {count, d}, config_.norm_eps);
  });
  multiply_transposed(Matrix(b.qkv(layer), b.rows, w), Matrix(b.normed.at(0), b.rows, d),
                      Matrix(weight(layout_.qkv(layer)), w, d), Into::kReplace, products_);
  b.over_rows(kRowsAtOnce, [&](std::int64_t first, std::int64_t count) {
    kernels::rope(b.qkv(layer) + first * w, b.cosines.at(0), b.sines.at(0), count,
                  {w, config_.heads + config_.kv_heads, hd, t, first}, 1);
  });
  const float scale = static_cast<float>(1 / std::sqrt(static_cast<double>(hd)));
  const std::int64_t share = config_.heads / config_.kv_heads;
  at::parallel_for(0, batch.samples * b.heads, 1, [&](std::int64_t begin, std::int64_t end) {
    float* scores = b.scores.at(at::get_thread_num() * b.scores_each);
    for (std::int64_t i = begin; i < end; ++i) {
      const std::int64_t sample = i / b.heads, h = i % b.heads;
      const Matrix all = Matrix(b.qkv(layer), b.rows, w).row_range(sample * t, t);
      const Matrix q = all.column_range(h * hd, hd);
      const Matrix k = all.column_range((config_.heads + h / share) * hd, hd);
      const Matrix v = all.column_range((config_.heads + config_.kv_heads + h / share) * hd, hd);
      const Matrix out = Matrix(b.attended(layer), b.rows, b.query_width)
                             .row_range(sample * t, t)
                             .column_range(h * hd, hd);
      float* lse = b.lse(layer) + i * t;
      for (std::int64_t at = 0; at < t; at += kQueryBlock) {
        const std::int64_t n = std::min(kQueryBlock, t - at), keys = at + n;
        const Matrix p(scores, n, keys);
        multiply_transposed(p, q.row_range(at, n), k.row_range(0, keys), Into::kReplace);
        kernels::causal_softmax(scores, lse + at, {n, keys}, at, scale);
        multiply(out.row_range(at, n), p, v.row_range(0, keys), Into::kReplace);
      }
    }
  });
  std::copy_n(b.stream(layer), b.rows * d, b.middle(layer));
  multiply_transposed(Matrix(b.middle(layer), b.rows, d),
                      Matrix(b.attended(layer), b.rows, b.query_width),
                      Matrix(weight(layout_.out(layer)), d, b.query_width), Into::kAdd, products_);
}

// From out_back = d loss / d (heads' outputs) to qkv_back = d loss / d (rotated q, k, v).
void Model::heads_backward(std::int64_t layer, const Batch& batch) {
  Buffers& b = *buffers_;
  const std::int64_t w = b.qkv_width, hd = config_.head_dim, t = b.positions;
  const float scale = static_cast<float>(1 / std::sqrt(static_cast<double>(hd)));
  const std::int64_t share = config_.heads / config_.kv_heads;
  std::fill_n(b.qkv_back.at(0), b.rows * w, 0.0F);
  // By key-value head, so that queries that share one never add to it from two threads.
  at::parallel_for(
      0, batch.samples * config_.kv_heads, 1, [&](std::int64_t begin, std::int64_t end) {
        float* scores = b.scores.at(at::get_thread_num() * b.scores_each);
        float* dscores = scores + b.scores_each / 2;
        for (std::int64_t i = begin * share; i < end * share; ++i) {
          const std::int64_t sample = i / b.heads, h = i % b.heads;
          const auto columns = [&](float* data, std::int64_t width, std::int64_t head) {
            return Matrix(data, b.rows, width).row_range(sample * t, t).column_range(head * hd, hd);
          };
          const std::int64_t kh = config_.heads + h / share, vh = kh + config_.kv_heads;
          const Matrix q = columns(b.qkv(layer), w, h), k = columns(b.qkv(layer), w, kh),
                       v = columns(b.qkv(layer), w, vh), dq = columns(b.qkv_back.at(0), w, h),
                       dk = columns(b.qkv_back.at(0), w, kh), dv = columns(b.qkv_back.at(0), w, vh),
                       out = columns(b.attended(layer), b.query_width, h),
                       dout = columns(b.out_back.at(0), b.query_width, h);
          float* delta = b.delta.at(i * t);
          for (std::int64_t r = 0; r < t; ++r)
            delta[r] = static_cast<float>(
                kernels::dot(dout.data + r * dout.stride, out.data + r * out.stride, hd));
          for (std::int64_t at = 0; at < t; at += kQueryBlock) {
            const std::int64_t n = std::min(kQueryBlock, t - at), keys = at + n;
            const Matrix p(scores, n, keys), dp(dscores, n, keys), rows = dout.row_range(at, n);
            multiply_transposed(p, q.row_range(at, n), k.row_range(0, keys), Into::kReplace);
            kernels::causal_softmax_again(scores, b.lse(layer) + i * t + at, {n, keys}, at, scale);
            multiply_left_transposed(dv.row_range(0, keys), p, rows, Into::kAdd);
            multiply_transposed(dp, rows, v.row_range(0, keys), Into::kReplace);
            kernels::softmax_backward(scores, delta + at, dscores, {n, keys}, scale);
            multiply(dq.row_range(at, n), dp, k.row_range(0, keys), Into::kReplace);
            multiply_left_transposed(dk.row_range(0, keys), dp, q.row_range(at, n), Into::kAdd);
          }
        }
      });
  b.over_rows(kRowsAtOnce, [&](std::int64_t first, std::int64_t count) {
    kernels::rope(b.qkv_back.at(first * w), b.cosines.at(0), b.sines.at(0), count,
                  {w, config_.heads + config_.kv_heads, hd, t, first}, -1);
  });
}

void Model::attend_backward(std::int64_t layer, const Batch& batch) {
  Buffers& b = *buffers_;
  const std::int64_t d = config_.hidden, w = b.qkv_width;
  const Matrix back(b.back.at(0), b.rows, d);
  multiply_left_transposed(Matrix(gradient(layout_.out(layer)), d, b.query_width), back,
                           Matrix(b.attended(layer), b.rows, b.query_width), Into::kAdd, products_);
  multiply(Matrix(b.out_back.at(0), b.rows, b.query_width), back,
           Matrix(weight(layout_.out(layer)), d, b.query_width), Into::kReplace, products_);
  heads_backward(layer, batch);
  b.over_rows(kRowsAtOnce, [&](std::int64_t first, std::int64_t count) {
    kernels::rms_norm_again(b.stream(layer) + first * d, weight(layout_.attention_norm(layer)),
                            b.attention_rstd.at(layer * b.rows + first), b.normed.at(first * d),
                            {count, d});
  });
  const Matrix qkv_back(b.qkv_back.at(0), b.rows, w), normed(b.normed.at(0), b.rows, d);
  multiply_left_transposed(Matrix(gradient(layout_.qkv(layer)), w, d), qkv_back, normed, Into::kAdd,
                           products_);
  multiply(normed, qkv_back, Matrix(weight(layout_.qkv(layer)), w, d), Into::kReplace, products_);
  b.norm_backward(b.stream(layer), weight(layout_.attention_norm(layer)),
                  b.attention_rstd.at(layer * b.rows), gradient(layout_.attention_norm(layer)));
}

}  // namespace longhaul::trainer
