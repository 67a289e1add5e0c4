#include "trainer/engine/optimizer.hpp"

#include <ATen/core/grad_mode.h>

#include <algorithm>
#include <cmath>

#include "lib/base/assert.hpp"
#include "lib/base/escape.hpp"
#include "trainer/engine/elements.hpp"
#include "trainer/engine/zero_pages.hpp"
#include "trainer/kernels.hpp"

namespace longhaul::trainer {
namespace {

// The sum of squares in fixed pieces added in order: the same bits for any threads.
double squared_norm(const float* values, std::int64_t n) {
  const std::int64_t pieces = (n + kElementsAtOnce - 1) / kElementsAtOnce;
  std::vector<double> sums(static_cast<std::size_t>(pieces));
  at::parallel_for(0, pieces, 1, [&](std::int64_t begin, std::int64_t end) {
    for (std::int64_t p = begin; p < end; ++p) {
      const float* at = values + p * kElementsAtOnce;
      sums[static_cast<std::size_t>(p)] =
          kernels::dot(at, at, std::min(kElementsAtOnce, n - p * kElementsAtOnce));
    }
  });
  double sum = 0;
  for (const double part : sums) sum += part;
  return sum;
}

std::int64_t rows_of(const std::vector<MatrixGroup>& groups) {
  std::int64_t rows = 0;
  for (const MatrixGroup& group : groups) rows += group.count * group.rows;
  return rows;
}

}  // namespace

Result<OptimizerConfig> optimizer_preset(std::string_view name) {
  OptimizerConfig config;
  if (name == "adamw") {
    config.matrices = MatrixRule::kAdamW;
    config.rate = config.rest_rate = 3e-3;
    config.decay = 0.1;
  } else if (name == "normuon") {
    config.matrices = MatrixRule::kNorMuon;
  } else if (name == "scion") {
    config.matrices = MatrixRule::kScion;
    config.rest = RestRule::kSign;
    config.nesterov = false;
    config.scale = ShapeScale::kSpectral;
    config.rest_rate = 2e-3;
  } else if (name == "transported") {
    config.nesterov = false;
    config.transported = true;
  } else if (name != "muon") {
    return fail(Kind::kUsage, "choose the optimizer \"" + printable(name, 32) + "\"",
                "there is: adamw, muon, normuon, scion, transported");
  }
  return config;
}

StateShape state_shape(const ParameterLayout& layout, OptimizerConfig& config) {
  if (config.matrices == MatrixRule::kAdamW) config.transported = false;  // nothing to transport
  if (config.matrices == MatrixRule::kScion) config.nesterov = false;
  StateShape shape{layout.size(), 0, 0};
  if (config.rest == RestRule::kAdamW) shape.second_begin = layout.matrix_size();
  if (config.matrices == MatrixRule::kAdamW) shape.second_begin = 0;
  if (config.matrices == MatrixRule::kNorMuon) shape.row_squares = rows_of(layout.groups());
  if (config.transported)
    shape.moved = config.rest == RestRule::kSign ? layout.size() : layout.matrix_size();
  return shape;
}

NamedState named_state(const at::Tensor& first, const at::Tensor& second,
                       const at::Tensor& row_square, const at::Tensor& moved) {
  NamedState out = {{"first", first}};
  if (second.numel() > 0) out.emplace_back("second", second);
  if (row_square.numel() > 0) out.emplace_back("row_square", row_square);
  if (moved.numel() > 0) out.emplace_back("moved", moved);
  return out;
}

kernels::AdamW adamw_rule(const OptimizerConfig& config, double rate, double decay,
                          std::uint64_t step) {
  const auto t = static_cast<double>(step + 1);
  return {static_cast<float>(rate),
          static_cast<float>(config.beta1),
          static_cast<float>(config.beta2),
          static_cast<float>(config.eps),
          static_cast<float>(decay),
          static_cast<float>(1 - std::pow(config.beta1, t)),
          static_cast<float>(1 - std::pow(config.beta2, t))};
}

Optimizer::Optimizer(Model& model, const OptimizerConfig& config) : model_(model), config_(config) {
  const at::NoGradGuard no_grad;
  const ParameterLayout& layout = model.layout();
  const StateShape shape = state_shape(layout, config_);
  second_begin_ = shape.second_begin;
  first_ = at::zeros({layout.size()}, at::kFloat);
  second_ = at::zeros({layout.size() - second_begin_}, at::kFloat);
  row_square_ = at::zeros({shape.row_squares}, at::kFloat);
  moved_ = at::zeros({shape.moved}, at::kFloat);
  if (config_.transported) reading_ = at::empty({layout.size()}, at::kFloat);
}

NamedState Optimizer::state() const {
  return named_state(first_, second_, row_square_, moved_);
}

std::int64_t Optimizer::state_bytes() const {
  std::int64_t bytes = config_.transported ? reading_.numel() * 4 : 0;
  for (const auto& [name, tensor] : state()) bytes += tensor.numel() * 4;
  return bytes;
}

void Optimizer::extrapolate(double kappa) {
  if (!config_.transported) return;
  const float* w = model_.weights().data_ptr<float>();
  float* y = reading_.data_ptr<float>();
  const std::int64_t moved = moved_.numel(), all = model_.layout().size();
  over_elements(0, moved, [&](std::int64_t i, std::int64_t n) {
    kernels::extrapolate(w + i, moved_.data_ptr<float>() + i, y + i, n, static_cast<float>(kappa));
  });
  over_elements(moved, all, [&](std::int64_t i, std::int64_t n) { std::copy_n(w + i, n, y + i); });
  model_.read_weights_from(reading_);
}

void Optimizer::read_at_weights() {
  model_.read_weights_from(model_.weights());
}

double Optimizer::add_noise_and_measure(std::int64_t begin, std::int64_t end, std::uint64_t step) {
  float* g = model_.gradients().data_ptr<float>();
  if (config_.noise_scale > 0) {
    const kernels::Noise noise{config_.noise_seed, step, static_cast<float>(config_.noise_scale),
                               static_cast<float>(config_.noise_alpha)};
    over_elements(begin, end, [&](std::int64_t i, std::int64_t count) {
      kernels::add_heavy_tailed(g + i, static_cast<std::uint64_t>(i), count, noise);
    });
  }
  return squared_norm(g + begin, end - begin);
}

StepReport Optimizer::step(const StepInputs& inputs) {
  const at::NoGradGuard no_grad;
  const std::int64_t all = model_.layout().size();
  StepReport report;
  report.gradient_norm = std::sqrt(add_noise_and_measure(0, all, inputs.step));
  if (!std::isfinite(report.gradient_norm) ||
      (inputs.norm_limit > 0 && report.gradient_norm > inputs.norm_limit)) {
    report.applied = false;
    return report;
  }
  const double clip = inputs.clip.value_or(config_.clip);
  if (clip > 0 && report.gradient_norm > clip) {
    const auto factor = static_cast<float>(clip / report.gradient_norm);
    over_elements(0, all, [&](std::int64_t i, std::int64_t n) {
      kernels::scale(model_.gradients().data_ptr<float>() + i, factor, n);
    });
  }
  step_range(inputs, 0, all, report);
  return report;
}

void Optimizer::begin(const StepInputs& inputs) {
  ASSERT(inputs.clip.value_or(config_.clip) == 0 && inputs.norm_limit == 0 && spread_.ranks == 1);
  in_parts_ = InParts{.inputs = inputs};
}

void Optimizer::consume(std::int64_t offset, std::int64_t count) {
  const at::NoGradGuard no_grad;
  InParts& step = *in_parts_;
  if (step.report.applied) {
    step.square += add_noise_and_measure(offset, offset + count, step.inputs.step);
    step.report.applied = std::isfinite(step.square);
  }
  if (step.report.applied) {
    step_range(step.inputs, offset, offset + count, step.report);
    step.applied += count;
  }
  give_back(model_.gradients().data_ptr<float>() + offset, count);
}

StepReport Optimizer::end() {
  StepReport report = in_parts_->report;
  report.gradient_norm = std::sqrt(in_parts_->square);
  report.partly = !report.applied && in_parts_->applied > 0;
  in_parts_.reset();
  return report;
}

void Optimizer::step_range(const StepInputs& inputs, std::int64_t begin, std::int64_t end,
                           StepReport& report) {
  const std::int64_t matrices = model_.layout().matrix_size();
  if (begin < matrices) step_matrices(inputs, begin, std::min(end, matrices), report);
  if (end > matrices) step_rest(inputs, std::max(begin, matrices), end);
}

void Optimizer::adamw_range(std::int64_t begin, std::int64_t end, double rate, double decay,
                            std::uint64_t step) {
  const kernels::AdamW rule = adamw_rule(config_, rate, decay, step);
  over_elements(begin, end, [&](std::int64_t i, std::int64_t n) {
    kernels::adamw(model_.weights().data_ptr<float>() + i, model_.gradients().data_ptr<float>() + i,
                   first_.data_ptr<float>() + i, second_.data_ptr<float>() + (i - second_begin_), n,
                   rule);
  });
}

void Optimizer::step_rest(const StepInputs& inputs, std::int64_t begin, std::int64_t end) {
  const double rate = inputs.rest_rate.value_or(config_.rest_rate * inputs.factor);
  const std::int64_t gains = model_.layout().attention_norm(0);
  if (config_.rest == RestRule::kAdamW) {
    const double decay = config_.matrices == MatrixRule::kAdamW ? config_.decay : 0;
    if (begin < gains) adamw_range(begin, std::min(end, gains), rate, decay, inputs.step);
    if (end > gains) adamw_range(std::max(begin, gains), end, rate, 0, inputs.step);
    return;
  }
  const kernels::Sign rule{static_cast<float>(rate * config_.rest_radius),
                           static_cast<float>(1 - config_.momentum),
                           config_.constrained ? static_cast<float>(rate) : 0.0F};
  over_elements(begin, end, [&](std::int64_t i, std::int64_t n) {
    float* w = model_.weights().data_ptr<float>() + i;
    const at::Tensor before =
        config_.transported ? model_.weights().narrow(0, i, n).clone() : at::Tensor();
    kernels::sign_step(w, model_.gradients().data_ptr<float>() + i, first_.data_ptr<float>() + i, n,
                       rule);
    if (!config_.transported) return;
    float* moved = moved_.data_ptr<float>() + i;
    const float* old = before.data_ptr<float>();
    for (std::int64_t k = 0; k < n; ++k) moved[k] = w[k] - old[k];
  });
}

}  // namespace longhaul::trainer
