// A rank's memory, on a CPU and on a card: what the engine's classes make, counted.
#include <algorithm>
#include <utility>

#include "trainer/parameters.hpp"
#include "trainer/plan.hpp"

namespace longhaul::trainer {

namespace {

// As DeviceModel's, which this library does not know.
constexpr std::int64_t kCardLogits = 128 << 20, kCardGainParts = 512;

}  // namespace

Result<> check(const MemoryInputs& in) {
  constexpr std::int64_t kMostRows = 1 << 28, kMostThreads = 4096, kMostRanks = 1 << 16;
  const auto within = [](std::int64_t value, std::int64_t most) {
    return value >= 1 && value <= most;
  };
  const std::pair<bool, const char*> kRules[] = {
      {within(in.samples, kMostRows), "--batch is at least 1"},
      {within(in.sequence, kMostRows) && in.samples <= kMostRows / in.sequence,
       "--batch times --sequence is at most 2^28"},
      {within(in.threads, kMostThreads), "--threads lies in [1, 4096]"},
      {within(in.ranks, kMostRanks), "--ranks lies in [1, 65536]"},
  };
  for (const auto& [holds, sentence] : kRules)
    if (!holds) return fail(Kind::kUsage, "plan", sentence);
  return {};
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

// Numbers of its state, without the weights that it may read in place of the model's.
std::int64_t state_size(const MemoryInputs& in, const ParameterLayout& layout) {
  const std::int64_t all = layout.size(), rest = all - layout.matrix_size();
  std::int64_t size = all + (in.adamw_matrices ? all : in.rest_adamw ? rest : 0);
  if (in.transported) size += in.rest_adamw ? layout.matrix_size() : all;
  if (in.row_squares)
    for (const MatrixGroup& group : layout.groups()) size += group.count * group.rows;
  return size;
}

// On a CPU, of the products whose factors are rounded: both as floats again, and the result before
// and after its own rounding. The largest are a layer's first and last, or the head's.
std::int64_t rounded_bytes(const ModelConfig& c, std::int64_t rows, std::int64_t head_rows) {
  const std::int64_t d = c.hidden, q = c.query_width(), w = q + 2 * c.kv_width(),
                     f = c.intermediate;
  const auto of = [](std::int64_t m, std::int64_t k, std::int64_t n) {
    const std::int64_t sizes[] = {m * k, k * n, m * n};
    // Forward, and the gradients of both factors: any two of the three make the third.
    return 4 * (sizes[0] + sizes[1] + sizes[2]) + 2 * std::max({sizes[0], sizes[1], sizes[2]});
  };
  return std::max({of(rows, d, w), of(rows, q, d), of(rows, d, 2 * f), of(rows, f, d),
                   of(head_rows, d, c.vocab)});
}

}  // namespace

Memory memory(const MemoryInputs& in) {
  const ModelConfig& c = in.model;
  const ParameterLayout layout(c);
  Memory out{};
  out.weights = out.gradients = 4 * layout.size();
  if (in.consumed) out.gradients = 4 * gradients_at_once(c);
  const std::int64_t state = state_size(in, layout);
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
  if (!in.adamw_matrices) out.workspace = 4 * polar_floats(layout, in.threads);
  if (in.bf16) out.workspace = std::max(out.workspace, rounded_bytes(c, rows, head_rows));
  if (in.ranks > 1 && !in.adamw_matrices) out.workspace += 4 * layout.matrix_size();
  return out;
}

namespace {

// Of a rank's card: tensors of the products' type, `e` bytes a number, and of fp32. `rows` are a
// forward pass's.
struct OnCard {
  const ModelConfig& c;
  const std::int64_t e, rows, positions;
  const std::int64_t d = c.hidden, q = c.query_width(), w = q + 2 * c.kv_width(),
                     f = c.intermediate, vocab = c.vocab;
  // Queries that share keys and values get views of them, which are copied.
  const std::int64_t copies = c.kv_heads < c.heads ? 2 * q : 0;
  const std::int64_t norm_parts = 4 * std::min(rows, kCardGainParts) * d;

  // From a layer's forward to its backward pass: two norms' rows, and attention's sums.
  std::int64_t layer() const {
    return e * rows * (2 * d + w + q + 2 * f + copies) + 4 * rows * (2 + c.heads);
  }
  // At the end of a forward pass's last layer: both normed streams, what the layer before and this
  // one add, and the MLP's middle.
  std::int64_t forward_end() const { return e * rows * ((c.layers > 1 ? 4 : 3) * d + f); }
  // The stream and its norm stay until the pass is over.
  std::int64_t last() const { return 2 * e * rows * d + 4 * rows; }
  // A chunk of logits, and the product of it that is the table's gradient or the stream's.
  std::int64_t head() const {
    const std::int64_t n = std::min(rows, std::max<std::int64_t>(kCardLogits / vocab, 1));
    return e * n * vocab + 4 * n + e * std::max(vocab, n) * d;
  }
  std::int64_t mlp_backward() const {
    const std::int64_t wide = e * rows * f, normed = e * rows * d;
    return std::max(wide + e * d * f, wide + normed + std::max(2 * e * d * f, normed + norm_parts));
  }
  std::int64_t attention_backward() const {
    const std::int64_t out = e * rows * q, heads = e * rows * w, normed = e * rows * d;
    // Flash attention adds the queries' gradient up in fp32, beside a sum for each head.
    const std::int64_t flash = heads + e * rows * copies + 4 * rows * (q + c.heads);
    return std::max({e * d * q, out + flash,
                     out + 2 * heads + normed + std::max(e * w * d, normed + norm_parts)});
  }
  std::int64_t activations() const {
    const std::int64_t always = 16 * rows + 4 * positions * c.head_dim;  // ids, RoPE's tables
    const std::int64_t kept = c.layers * layer(), back = e * rows * d;
    // The embedding's gradient, once no layer keeps anything: its tokens are sorted for it.
    const std::int64_t embedding = e * vocab * d + 32 * rows;
    const std::int64_t layers = kept + std::max(mlp_backward(), attention_backward());
    return always + std::max({kept + forward_end(), last() + kept + head(),
                              last() + back + std::max(layers, embedding)});
  }
};

// Of all matrices of a group at once: their directions, the iterate before and after a step, and
// two squares. With ranks the directions of all groups are there, and of a group this rank's share.
std::int64_t polar_numbers(const ParameterLayout& layout, std::int64_t ranks) {
  std::int64_t most = 0;
  for (const MatrixGroup& group : layout.groups()) {
    const std::int64_t side = std::min(group.rows, group.columns);
    const std::int64_t share = (group.count + ranks - 1) / ranks;
    most = std::max(most, share * (3 * group.rows * group.columns + 2 * side * side));
  }
  return most + (ranks > 1 ? layout.matrix_size() : 0);
}

}  // namespace

DeviceMemory device_memory(const MemoryInputs& in) {
  const ParameterLayout layout(in.model);
  const std::int64_t e = in.bf16 ? 2 : 4, gains = layout.size() - layout.attention_norm(0);
  DeviceMemory out{};
  out.weights = out.gradients = 4 * layout.size();
  out.reading = e * layout.size() + 4 * gains;
  out.optimizer = 4 * state_size(in, layout);
  if (in.ranks > 1 && !in.adamw_matrices) out.optimizer += e * layout.matrix_size();
  out.activations = OnCard{in.model, e, in.samples * in.sequence, in.sequence}.activations();
  if (!in.adamw_matrices) out.workspace = e * polar_numbers(layout, in.ranks);
  return out;
}

}  // namespace longhaul::trainer
