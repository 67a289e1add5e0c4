// A small model whose gradients a test writes itself, and what its optimizer is held against.
#pragma once

#include "trainer/engine/optimizer.hpp"

namespace longhaul::trainer {

inline ModelConfig small() {
  ModelConfig config = named_config("tiny").value();
  config.vocab = 13;
  config.layers = 2;
  config.hidden = 16;
  config.intermediate = 24;
  config.heads = 4;
  config.kv_heads = 2;
  config.head_dim = 4;
  return config;
}
struct Bench {  // a model whose gradients a test writes itself
  Model model{small()};
  Optimizer optimizer;
  explicit Bench(const OptimizerConfig& config) : optimizer((model.init(1), model), config) {}
  void gradient(std::uint64_t seed) {
    auto generator = at::detail::createCPUGenerator(seed);
    model.gradients().normal_(0, 1, generator);
  }
};
inline at::Tensor singular_values(const at::Tensor& matrix) {
  return std::get<1>(at::linalg_svd(matrix.to(at::kDouble), false));
}
inline at::Tensor polar_by_svd(const at::Tensor& matrix) {
  const auto [u, s, v] = at::linalg_svd(matrix.to(at::kDouble), false);
  return at::mm(u, v);
}
inline OptimizerConfig preset(const char* name) {
  return optimizer_preset(name).value();
}

}  // namespace longhaul::trainer
