// Optimizer: one step over the model's flat buffers. Matrices inside the blocks take one rule, all
// else (embedding, head by its name, gains) another. G gradient, M its EMA, W weight, s the shape's
// scale, O(.) the polar factor of orthogonal.hpp:
//
//   adamw     Loshchilov and Hutter 2019 (kernels::adamw)
//   muon      M <- b M + (1 - b) G;  U = (1 - b) G + b M (Nesterov) or M;
//             W <- (1 - rate decay) W - rate s O(U)                            (Jordan 2024)
//   normuon   muon with O' in place of O: v <- b2 v + (1 - b2) mean of each row's squares of O,
//             O' = O / sqrt(v), times |O| / |O / sqrt(v)|            (Li et al., arXiv 2510.05491)
//   scion     M <- (1 - a) M + a G with a = 1 - b;  W <- [(1 - rate)] W + rate radius lmo(M): -s O
//             for matrices, -sign for the rest               (Pethick et al., arXiv 2502.07529)
//
// Any matrix rule with momentum may be transported (kappa > 0): the gradient is taken at
// Y = W + kappa * Delta, Delta = the optimizer's own last displacement of W, weight decay included
// (Zhang and Lin, arXiv 2605.18528; Muon-IGT, arXiv 2605.05577; the literal factor b / (1 - b)
// diverges in practice, so kappa is its own number). Only this class writes Delta: what others
// change in W (reloads, roll-backs, outer updates) never enters it. Gradients, their norm and the
// losses seen in training are at Y; evaluation and checkpoints are at W. With kappa 0, bit for bit
// the rule without it. What takes AdamW is never extrapolated.
//
// A step may also be made while the backward pass goes on: each gradient is used and given back
// as it becomes final, so that all of them never exist at once. The same bits, but nothing can be
// asked of the whole gradient before it is used: no clipping, no limit of its norm, one rank.
//
//   optimizer.begin({.step = step});
//   model.train(batch, scale, [&](auto offset, auto count) { optimizer.consume(offset, count); });
//   const StepReport report = optimizer.end();
//
// fp32 on the CPU; the training thread.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "trainer/engine/model.hpp"
#include "trainer/engine/orthogonal.hpp"
#include "trainer/engine/polar_shares.hpp"
#include "trainer/kernels.hpp"

namespace longhaul::trainer {

enum class MatrixRule : std::uint8_t { kAdamW, kMuon, kNorMuon, kScion };
enum class RestRule : std::uint8_t { kAdamW, kSign };
// Factors of O by a matrix's shape. A rate means nothing without its scale: they stand together in
// the checkpoint.
enum class ShapeScale : std::uint8_t {
  kJordan,     // sqrt(max(1, rows / columns)); rates about 0.02
  kMoonlight,  // 0.2 sqrt(max(rows, columns)): the size of AdamW's updates, so its rates
  kSpectral,   // sqrt(rows / columns) (Scion, Dion): rates carry over widths
};

struct OptimizerConfig {
  MatrixRule matrices = MatrixRule::kMuon;
  RestRule rest = RestRule::kAdamW;
  double rate = 0.02;       // of matrices, times the schedule's factor
  double rest_rate = 3e-3;  // of the rest, times the same
  double momentum = 0.95;
  bool nesterov = true;
  PolarMethod polar = PolarMethod::kNewtonSchulz;
  ShapeScale scale = ShapeScale::kJordan;
  double decay = 0;                               // of matrices, times the rate; never of gains
  double beta1 = 0.9, beta2 = 0.95, eps = 1e-10;  // AdamW's
  double row_beta = 0.95;                         // NorMuon's
  double radius = 1, rest_radius = 1;             // Scion's, of matrices and of the rest
  bool constrained = false;                       // Scion: shrink W by (1 - rate)
  bool transported = false;                       // keeps Delta and Y
  double clip = 0;                                // largest norm of the whole gradient; 0: none
  double noise_scale = 0, noise_alpha = 1.5;      // heavy-tailed noise on G; 0: none
  std::uint64_t noise_seed = 1;
};
// "adamw", "muon", "normuon", "scion", "transported": the usual settings of each.
Result<OptimizerConfig> optimizer_preset(std::string_view name);

// What an optimizer keeps, wherever it computes. Settles what the config's rules exclude.
struct StateShape {
  std::int64_t second_begin;  // AdamW's mean square is kept from here on
  std::int64_t row_squares, moved;
};
StateShape state_shape(const ParameterLayout& layout, OptimizerConfig& config);
// The names a checkpoint has for it.
using NamedState = std::vector<std::pair<std::string, at::Tensor>>;
NamedState named_state(const at::Tensor& first, const at::Tensor& second,
                       const at::Tensor& row_square, const at::Tensor& moved);
float shape_scale(ShapeScale scale, const MatrixGroup& group);
kernels::AdamW adamw_rule(const OptimizerConfig& config, double rate, double decay,
                          std::uint64_t step);

struct StepInputs {
  std::uint64_t step = 0;  // from 0
  double factor = 1;       // the schedule's
  double norm_limit = 0;   // a larger gradient is refused; 0: none
  // Of this step, in place of the config's; rates as they are, without the factor.
  std::optional<double> rate{}, rest_rate{}, clip{};
};
struct StepReport {
  double gradient_norm = 0;  // before clipping, with the noise
  bool applied = true;       // false: the norm was no number or over the limit; nothing changed,
  bool partly = false;       // but of a step in parts, what was final before that
  double polar_seconds = 0;  // in O(.), all threads' wall time together
  std::optional<Error>
      lost{};  // a rank: the step was done without it, as it would have been with it
};

// Several ranks with the same weights and gradients: each makes the polar factors of its own share
// of the matrices, and `gather` fills in the others' in `all`, counts[r] floats of rank r's one
// behind the other. All else is done by every rank, so that each holds all of the state.
struct Spread {
  std::uint64_t rank = 0, ranks = 1;
  std::function<Result<>(std::span<float> all, std::span<const std::size_t> counts)> gather{};
};

class Optimizer {
 public:
  Optimizer(Model& model, const OptimizerConfig& config);
  const OptimizerConfig& config() const { return config_; }
  void spread(Spread over);  // before the first step; the bits are those of one rank
  // Before a step's first forward pass: lets the model read Y = W + kappa Delta.
  void extrapolate(double kappa);
  // Before an evaluation: lets the model read W.
  void read_at_weights();
  StepReport step(const StepInputs& inputs);
  // A step in parts, of gradients that were zero before the backward pass and are zero after it.
  void begin(const StepInputs& inputs);
  void consume(std::int64_t offset, std::int64_t count);
  StepReport end();
  // What a checkpoint must hold beside W, by name; flat fp32, in memory of this object.
  NamedState state() const;
  std::int64_t state_bytes() const;

  struct Rule {  // of a group of matrices, in one step
    float rate, keep;
  };
  // At the rate of the step, which the shape's scale and Scion's radius go into.
  static Rule rule_of(const OptimizerConfig& config, const MatrixGroup& group, double rate);

 private:
  double rate_of(const StepInputs& inputs) const {
    return inputs.rate.value_or(config_.rate * inputs.factor);
  }
  // Of the values in [begin, end): their noise is added; returns the sum of their squares.
  double add_noise_and_measure(std::int64_t begin, std::int64_t end, std::uint64_t step);
  void step_range(const StepInputs& inputs, std::int64_t begin, std::int64_t end,
                  StepReport& report);
  void step_matrices(const StepInputs& inputs, std::int64_t begin, std::int64_t end,
                     StepReport& report);
  Rule rule_of(const MatrixGroup& group, const StepInputs& inputs) const {
    return rule_of(config_, group, rate_of(inputs));
  }
  at::Tensor polar_factor(const MatrixGroup& group, std::int64_t k) const;
  void apply_factor(const MatrixGroup& group, std::int64_t k, std::int64_t first_row, float* factor,
                    const Rule& rule);
  void step_alone(const StepInputs& inputs, std::int64_t begin, std::int64_t end);
  void step_spread(const StepInputs& inputs, StepReport& report);
  void make_factors(bool mine);
  void step_rest(const StepInputs& inputs, std::int64_t begin, std::int64_t end);
  void adamw_range(std::int64_t begin, std::int64_t end, double rate, double decay,
                   std::uint64_t step);

  Model& model_;
  OptimizerConfig config_;
  at::Tensor first_;   // [size] momentum, or AdamW's mean
  at::Tensor second_;  // AdamW's mean square, of what takes AdamW: the buffer's end
  std::int64_t second_begin_;
  at::Tensor row_square_;  // NorMuon's, a number a row
  at::Tensor moved_;       // Delta, of what is transported: the buffer's beginning
  at::Tensor reading_;     // Y
  struct InParts {
    StepInputs inputs;
    StepReport report{};
    double square = 0;  // of the gradient so far
    std::int64_t applied = 0;
  };
  std::optional<InParts> in_parts_;  // between begin() and end()
  Spread spread_;
  PolarShares shares_;
  at::Tensor factors_;  // of several ranks, as shares_ places them
};

}  // namespace longhaul::trainer
