#include "trainer/plan.hpp"

#include <algorithm>

#include "lib/base/escape.hpp"
#include "trainer/parameters.hpp"

namespace longhaul::trainer {

const std::vector<Accelerator>& accelerators() {
  static const std::vector<Accelerator> kAll = {
      {"a40", 149.7e12, 48e9, 696e9},   {"a100", 312e12, 80e9, 2039e9},
      {"h100", 989.4e12, 80e9, 3350e9}, {"h200", 989.4e12, 141e9, 4800e9},
      {"l40s", 362e12, 48e9, 864e9},
  };
  return kAll;
}

Result<Accelerator> accelerator(std::string_view name) {
  for (const Accelerator& one : accelerators())
    if (one.name == name) return one;
  return fail(Kind::kNotFound, "find the accelerator \"" + printable(name, 32) + "\"",
              "there is: a40, a100, h100, h200, l40s; or give --peak-tflops");
}

namespace {

double polar_flops(const PlanInputs& in) {  // of a step
  const ParameterLayout layout(in.model);
  double products = 0;
  for (const MatrixGroup& group : layout.groups())
    products += static_cast<double>(group.count) * polar_cost(group);
  return 2 * products * in.polar_steps;
}

}  // namespace

Plan plan(const PlanInputs& in) {
  Plan out{};
  const double flops = train_flops_full(in.model, in.sequence);
  const double polar = in.step_tokens > 0 ? polar_flops(in) / in.step_tokens : 0;  // a token
  out.tokens_per_second = in.ranks * in.peak_flops * in.mfu / (flops + polar);
  out.polar_share = polar / (flops + polar);
  out.seconds = in.tokens / out.tokens_per_second;
  out.cost = out.seconds / 3600 * in.ranks * in.price_per_hour;
  out.feed_bits_per_second = out.tokens_per_second * in.token_bytes * 8;
  return out;
}

namespace {

// Of a backward pass that gives each range back: a layer's half, or the head's or embedding's.
std::int64_t gradients_at_once(const ModelConfig& c) {
  const std::int64_t d = c.hidden, table = c.vocab * d;
  const std::int64_t mlp = 3 * c.intermediate * d;
  const std::int64_t attention = 2 * (c.query_width() + c.kv_width()) * d;
  const std::int64_t most = std::max({mlp, attention, c.tied ? 0 : table});
  return most + (c.tied ? table : 0) + (2 * c.layers + 1) * d;
}

// The direction, the iterate before and after a step, and two squares; a matrix a thread.
std::int64_t polar_floats(const ParameterLayout& layout, std::int64_t threads) {
  std::int64_t most = 0;
  for (const MatrixGroup& group : layout.groups()) {
    const std::int64_t side = std::min(group.rows, group.columns);
    const std::int64_t one = 3 * group.rows * group.columns + 2 * side * side;
    most = std::max(most, std::min(threads, group.count) * one);
  }
  return most;
}

}  // namespace

Memory memory(const MemoryInputs& in) {
  const ModelConfig& c = in.model;
  const ParameterLayout layout(c);
  Memory out{};
  out.weights = out.gradients = 4 * layout.size();
  if (in.consumed) out.gradients = 4 * gradients_at_once(c);
  out.workspace = in.adamw_matrices ? 0 : 4 * polar_floats(layout, in.threads);
  const std::int64_t second = in.adamw_matrices ? layout.size()
                              : in.rest_adamw   ? layout.size() - layout.matrix_size()
                                                : 0;
  const std::int64_t moved = in.rest_adamw ? layout.matrix_size() : layout.size();
  const std::int64_t state = layout.size() + second + (in.transported ? moved : 0);
  out.optimizer = 4 * (state + (in.transported ? layout.size() : 0));
  out.snapshot = 4 * (layout.size() + state);
  const std::int64_t rows = in.samples * in.sequence, d = c.hidden, q = c.query_width(),
                     qkv = q + 2 * c.kv_width(), f = c.intermediate;
  const std::int64_t kept = (2 * c.layers + 1) * d + c.layers * (qkv + q + c.heads + 2 * f + 2) +
                            1;                              // a row, for the way back
  const std::int64_t used = 2 * d + f + qkv + q + c.heads;  // a row, within a layer
  const std::int64_t head_rows = std::min(std::max<std::int64_t>(kLogitFloats / c.vocab, 64), rows);
  const std::int64_t scores = 2 * std::min(kQueryBlock, in.sequence) * in.sequence * in.threads;
  out.activations = 4 * (rows * (kept + used) + head_rows * c.vocab + kGainPieces * d + scores +
                         in.sequence * c.head_dim);
  return out;
}

}  // namespace longhaul::trainer
