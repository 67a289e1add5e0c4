// Parameters: every weight of a model in one flat fp32 buffer, and where each stands in it. One
// buffer means one clip, one launch an optimizer rule, one copy a checkpoint. Matrices come first,
// grouped so that equal shapes lie at equal strides: on a device Newton-Schulz takes a whole group
// at once, on a CPU a thread takes one matrix.
//
//   [ layer 0: q k v o | layer 1 .. | layer 0: gate up | .. | layer 0: down | .. ]  matrices
//   [ embedding | head, unless tied | attention norms | mlp norms | final norm ]   the rest
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "trainer/model_config.hpp"

namespace longhaul::trainer {

// How the forward pass cuts its work; `plan` counts with the same numbers.
inline constexpr std::int64_t kQueryBlock = 128;  // queries at once: keys behind the last of them
                                                  // are not multiplied at all
inline constexpr std::int64_t kLogitFloats = 4 << 20;  // 16 MiB of logits at once
inline constexpr std::int64_t kGainPieces = 16;        // partial sums of a gain's gradient

enum class Role : std::uint8_t { kMatrix, kEmbedding, kHead, kGain };

struct Parameter {
  std::string name;  // Hugging Face's: "model.layers.0.self_attn.q_proj.weight"
  Role role;
  std::int64_t offset;
  std::vector<std::int64_t> shape;  // [out, in] or [width]
  std::int64_t count() const;
};
// `count` matrices [rows, columns], the i-th at offset + i * stride: one view.
struct MatrixGroup {
  std::int64_t offset, stride, count, rows, columns;
};
// A polar factor's symmetric products on a CPU: from so many rows on they are cut into halves of no
// fewer rows than a block. With smaller ones the products lose what the halves gain.
inline constexpr std::int64_t kPolarCutFrom = 512, kPolarBlock = 128;
// Multiplications of one step of a polar factor's polynomial, of one of them, on a CPU.
double polar_cost(const MatrixGroup& group);

class ParameterLayout {
 public:
  explicit ParameterLayout(const ModelConfig& config);
  std::int64_t size() const { return size_; }
  std::int64_t matrix_size() const { return matrix_size_; }  // matrices fill [0, matrix_size)
  const std::vector<Parameter>& all() const { return all_; }
  const std::vector<MatrixGroup>& groups() const { return groups_; }

  // Offsets the forward pass uses.
  std::int64_t qkv(std::int64_t layer) const { return layer * attention_; }
  std::int64_t out(std::int64_t layer) const { return qkv(layer) + qkv_; }
  std::int64_t gate_up(std::int64_t layer) const { return gate_up_begin_ + layer * gate_up_; }
  std::int64_t down(std::int64_t layer) const { return down_begin_ + layer * down_; }
  std::int64_t embedding() const { return matrix_size_; }
  std::int64_t head() const { return head_; }  // the embedding's, if tied
  std::int64_t attention_norm(std::int64_t layer) const { return norms_ + layer * hidden_; }
  std::int64_t mlp_norm(std::int64_t layer) const { return norms_ + (layers_ + layer) * hidden_; }
  std::int64_t final_norm() const { return norms_ + 2 * layers_ * hidden_; }

 private:
  void list(const ModelConfig& config);
  void group(const ModelConfig& config);
  std::int64_t hidden_, layers_, qkv_, attention_, gate_up_, down_;
  std::int64_t gate_up_begin_, down_begin_, matrix_size_, head_, norms_, size_;
  std::vector<Parameter> all_;
  std::vector<MatrixGroup> groups_;
};

}  // namespace longhaul::trainer
