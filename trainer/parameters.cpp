#include "trainer/parameters.hpp"

#include <fmt/format.h>

#include <algorithm>

namespace longhaul::trainer {

std::int64_t Parameter::count() const {
  std::int64_t n = 1;
  for (const std::int64_t size : shape) n *= size;
  return n;
}

double polar_cost(const MatrixGroup& group) {
  const auto [small, large] = std::minmax(group.rows, group.columns);
  const auto m = static_cast<double>(small), n = static_cast<double>(large);
  double share = 1;  // of a symmetric product
  if (small >= kPolarCutFrom)
    for (std::int64_t half = small / 2; half >= kPolarBlock; half /= 2) share = share / 2 + 0.25;
  return m * m * (share * (n + m) + n);
}

ParameterLayout::ParameterLayout(const ModelConfig& c)
    : hidden_(c.hidden),
      layers_(c.layers),
      qkv_((c.query_width() + 2 * c.kv_width()) * c.hidden),
      attention_(qkv_ + c.hidden * c.query_width()),
      gate_up_(2 * c.intermediate * c.hidden),
      down_(c.intermediate * c.hidden),
      gate_up_begin_(layers_ * attention_),
      down_begin_(gate_up_begin_ + layers_ * gate_up_),
      matrix_size_(down_begin_ + layers_ * down_),
      head_(matrix_size_ + (c.tied ? 0 : c.vocab * c.hidden)),
      norms_(matrix_size_ + (c.tied ? 1 : 2) * c.vocab * c.hidden),
      size_(norms_ + (2 * layers_ + 1) * c.hidden) {
  list(c);
  group(c);
}

void ParameterLayout::list(const ModelConfig& c) {
  const std::int64_t d = c.hidden, q = c.query_width(), k = c.kv_width(), f = c.intermediate;
  const auto add = [this](std::string name, Role role, std::int64_t offset,
                          std::vector<std::int64_t> shape) {
    all_.push_back({std::move(name), role, offset, std::move(shape)});
  };
  for (std::int64_t l = 0; l < layers_; ++l) {
    const std::string layer = fmt::format("model.layers.{}.", l);
    const auto matrix = [&](const char* name, std::int64_t offset, std::int64_t rows,
                            std::int64_t columns) {
      add(layer + name + ".weight", Role::kMatrix, offset, {rows, columns});
    };
    matrix("self_attn.q_proj", qkv(l), q, d);
    matrix("self_attn.k_proj", qkv(l) + q * d, k, d);
    matrix("self_attn.v_proj", qkv(l) + (q + k) * d, k, d);
    matrix("self_attn.o_proj", out(l), d, q);
    matrix("mlp.gate_proj", gate_up(l), f, d);
    matrix("mlp.up_proj", gate_up(l) + f * d, f, d);
    matrix("mlp.down_proj", down(l), d, f);
    add(layer + "input_layernorm.weight", Role::kGain, attention_norm(l), {d});
    add(layer + "post_attention_layernorm.weight", Role::kGain, mlp_norm(l), {d});
  }
  add("model.embed_tokens.weight", Role::kEmbedding, embedding(), {c.vocab, d});
  if (!c.tied) add("lm_head.weight", Role::kHead, head(), {c.vocab, d});
  add("model.norm.weight", Role::kGain, final_norm(), {d});
}

void ParameterLayout::group(const ModelConfig& c) {
  const std::int64_t d = c.hidden, q = c.query_width(), k = c.kv_width(), f = c.intermediate;
  if (q == d && k == d) {  // q, k, v and o are alike, one behind the other
    groups_.push_back({0, d * d, 4 * layers_, d, d});
  } else {
    groups_.push_back({0, attention_, layers_, q, d});
    groups_.push_back({q * d, attention_, layers_, k, d});
    groups_.push_back({(q + k) * d, attention_, layers_, k, d});
    groups_.push_back({qkv_, attention_, layers_, d, q});
  }
  groups_.push_back({gate_up_begin_, f * d, 2 * layers_, f, d});
  groups_.push_back({down_begin_, down_, layers_, d, f});
}

}  // namespace longhaul::trainer
