#include "trainer/engine/cpu_decoder.hpp"

#include <ATen/Parallel.h>

#include <algorithm>
#include <cmath>

#include "lib/base/assert.hpp"
#include "trainer/kernels.hpp"
#include "trainer/serving/row_products.hpp"

namespace longhaul::trainer {
namespace {

std::vector<float> floats(std::int64_t n) {
  return std::vector<float>(static_cast<std::size_t>(n));
}

}  // namespace

CpuDecoder::CpuDecoder(const Model& model, const DecoderOptions& options)
    : model_(model),
      config_(model.config()),
      layout_(model.layout()),
      options_(options),
      most_rows_(options.most_rows + options.most_made),
      kept_width_(2 * config_.kv_width()),
      pool_(floats(config_.layers * options.pool_blocks * options.block_tokens * kept_width_)),
      cosines_(floats(config_.max_positions * config_.head_dim / 2)),
      sines_(cosines_),
      stream_(floats(most_rows_ * config_.hidden)),
      normed_(stream_),
      qkv_(floats(most_rows_ * (config_.query_width() + kept_width_))),
      attended_(floats(most_rows_ * config_.query_width())),
      gate_up_(floats(most_rows_ * 2 * config_.intermediate)),
      wide_(floats(most_rows_ * config_.intermediate)),
      more_(stream_),
      logits_(floats(options.most_made * config_.vocab)),
      rstd_(floats(most_rows_)) {
  kernels::rope_table(cosines_.data(), sines_.data(), config_.max_positions, config_.head_dim,
                      config_.rope_theta);
}

void CpuDecoder::products(const float* x, std::int64_t weight, float* out, std::int64_t rows,
                          std::int64_t width, std::int64_t columns) const {
  const RowProducts work{x, weights() + weight, out, rows, width, columns};
  at::parallel_for(0, columns, 64, [&](std::int64_t begin, std::int64_t end) {
    row_products(work, begin, end - begin);
  });
}

float* CpuDecoder::keys(std::int64_t layer, const DecodeRow& row, std::int64_t position,
                        std::int64_t head) {
  const std::int64_t block = row.blocks[static_cast<std::size_t>(position / options_.block_tokens)];
  const std::int64_t first = (layer * options_.pool_blocks + block) * 2 * config_.kv_heads + head;
  return pool_.data() + first * options_.block_tokens * config_.head_dim;
}

// Turns queries and keys to their positions, and lays keys and values into the pool.
void CpuDecoder::keep(std::int64_t layer, std::span<const DecodeRow> rows) {
  const std::int64_t width = config_.query_width() + kept_width_, hd = config_.head_dim;
  for (std::size_t r = 0; r < rows.size(); ++r) {
    float* qkv = qkv_.data() + static_cast<std::int64_t>(r) * width;
    const std::int64_t position = rows[r].position;
    kernels::rope(qkv, cosines_.data(), sines_.data(), 1,
                  {width, config_.heads + config_.kv_heads, hd, config_.max_positions, position},
                  1);
    for (std::int64_t h = 0; h < 2 * config_.kv_heads; ++h)
      std::copy_n(qkv + config_.query_width() + h * hd, hd,
                  keys(layer, rows[r], position, h) + position % options_.block_tokens * hd);
  }
}

void CpuDecoder::attend(std::int64_t layer, std::span<const DecodeRow> rows) {
  const std::int64_t hd = config_.head_dim, share = config_.heads / config_.kv_heads;
  const std::int64_t width = config_.query_width() + kept_width_, each = options_.block_tokens;
  const auto scale = static_cast<float>(1 / std::sqrt(static_cast<double>(hd)));
  const auto all = static_cast<std::int64_t>(rows.size()) * config_.heads;
  at::parallel_for(0, all, 1, [&](std::int64_t begin, std::int64_t end) {
    std::vector<float> scores;
    for (std::int64_t i = begin; i < end; ++i) {
      const std::int64_t r = i / config_.heads, h = i % config_.heads;
      const DecodeRow& row = rows[static_cast<std::size_t>(r)];
      const float* q = qkv_.data() + r * width + h * hd;
      float* out = attended_.data() + r * config_.query_width() + h * hd;
      const std::int64_t n = row.position + 1;
      scores.resize(static_cast<std::size_t>(n));
      for (std::int64_t p = 0; p < n; p += each)
        row_products({q, keys(layer, row, p, h / share), scores.data() + p, 1, hd, each}, 0,
                     std::min(each, n - p));
      float lse = 0;
      kernels::causal_softmax(scores.data(), &lse, {1, n}, row.position, scale);
      std::fill_n(out, hd, 0.0F);
      for (std::int64_t p = 0; p < n; p += each)
        add_weighted(values(layer, row, p, h / share), scores.data() + p, std::min(each, n - p), hd,
                     out);
    }
  });
}

void CpuDecoder::run(std::span<const DecodeRow> rows) {
  const auto n = static_cast<std::int64_t>(rows.size());
  const std::int64_t d = config_.hidden, f = config_.intermediate, q = config_.query_width();
  ASSERT(n > 0 && n <= most_rows_);
  for (std::int64_t r = 0; r < n; ++r) {
    const DecodeRow& row = rows[static_cast<std::size_t>(r)];
    ASSERT(row.token >= 0 && row.token < config_.vocab);
    ASSERT(row.position >= 0 && row.position < config_.max_positions);
    std::copy_n(weights() + layout_.embedding() + row.token * d, d, stream_.data() + r * d);
  }
  const auto norm = [&](std::int64_t gain) {
    kernels::rms_norm(stream_.data(), weights() + gain, normed_.data(), rstd_.data(), {n, d},
                      config_.norm_eps);
  };
  for (std::int64_t l = 0; l < config_.layers; ++l) {
    norm(layout_.attention_norm(l));
    products(normed_.data(), layout_.qkv(l), qkv_.data(), n, d, q + kept_width_);
    keep(l, rows);
    attend(l, rows);
    products(attended_.data(), layout_.out(l), more_.data(), n, q, d);
    kernels::add(more_.data(), stream_.data(), n * d);
    norm(layout_.mlp_norm(l));
    products(normed_.data(), layout_.gate_up(l), gate_up_.data(), n, d, 2 * f);
    kernels::swiglu(gate_up_.data(), wide_.data(), {n, f});
    products(wide_.data(), layout_.down(l), more_.data(), n, f, d);
    kernels::add(more_.data(), stream_.data(), n * d);
  }
  norm(layout_.final_norm());
  head(rows);
}

void CpuDecoder::head(std::span<const DecodeRow> rows) {
  const std::int64_t d = config_.hidden;
  std::int64_t makes = 0;
  for (std::size_t r = 0; r < rows.size(); ++r)
    if (rows[r].makes)
      std::copy_n(normed_.data() + static_cast<std::int64_t>(r) * d, d, more_.data() + d * makes++);
  ASSERT(makes <= options_.most_made);
  if (makes > 0) products(more_.data(), layout_.head(), logits_.data(), makes, d, config_.vocab);
  best_.resize(static_cast<std::size_t>(makes));
  for (std::int64_t i = 0; i < makes; ++i) {
    const float* const own = logits_.data() + i * config_.vocab;
    best_[static_cast<std::size_t>(i)] = std::max_element(own, own + config_.vocab) - own;
  }
}

at::Tensor CpuDecoder::logits() const {
  const auto rows = static_cast<std::int64_t>(best_.size());
  at::Tensor out = at::empty({rows, config_.vocab}, at::kFloat);
  std::copy_n(logits_.data(), rows * config_.vocab, out.data_ptr<float>());
  return out;
}

std::int64_t CpuDecoder::bytes_of_token(std::int64_t position) const {
  return 4 * (matmul_parameters(config_) + config_.layers * kept_width_ * (position + 1));
}

}  // namespace longhaul::trainer
