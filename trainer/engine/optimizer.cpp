#include "trainer/engine/optimizer.hpp"

#include <ATen/Parallel.h>

#include <chrono>
#include <cmath>

#include "lib/base/escape.hpp"
#include "trainer/kernels.hpp"

namespace longhaul::trainer {
namespace {

constexpr std::int64_t kElementsAtOnce = 1 << 16;

template <class Body>  // body(begin, count) over pieces of [begin, end) on the threads
void over_elements(std::int64_t begin, std::int64_t end, Body&& body) {
  at::parallel_for(begin, end, kElementsAtOnce,
                   [&](std::int64_t first, std::int64_t last) { body(first, last - first); });
}

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

Optimizer::Optimizer(Model& model, const OptimizerConfig& config)
    : model_(model), config_(config), second_begin_(model.layout().size()) {
  const at::NoGradGuard no_grad;
  const ParameterLayout& layout = model.layout();
  if (config.matrices == MatrixRule::kAdamW) config_.transported = false;  // nothing to transport
  if (config.matrices == MatrixRule::kScion) config_.nesterov = false;
  if (config.rest == RestRule::kAdamW) second_begin_ = layout.matrix_size();
  if (config.matrices == MatrixRule::kAdamW) second_begin_ = 0;
  first_ = at::zeros({layout.size()}, at::kFloat);
  second_ = at::zeros({layout.size() - second_begin_}, at::kFloat);
  row_square_ = at::zeros({config.matrices == MatrixRule::kNorMuon ? rows_of(layout.groups()) : 0},
                          at::kFloat);
  moved_ = at::zeros({config_.transported ? moved_size() : 0}, at::kFloat);
  if (config_.transported) reading_ = at::empty({layout.size()}, at::kFloat);
}

std::int64_t Optimizer::moved_size() const {
  return config_.rest == RestRule::kSign ? model_.layout().size() : model_.layout().matrix_size();
}

std::vector<std::pair<std::string, at::Tensor>> Optimizer::state() const {
  std::vector<std::pair<std::string, at::Tensor>> out = {{"first", first_}};
  if (second_.numel() > 0) out.emplace_back("second", second_);
  if (row_square_.numel() > 0) out.emplace_back("row_square", row_square_);
  if (moved_.numel() > 0) out.emplace_back("moved", moved_);
  return out;
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

double Optimizer::add_noise_and_measure(std::uint64_t step) {
  float* g = model_.gradients().data_ptr<float>();
  const std::int64_t n = model_.layout().size();
  if (config_.noise_scale > 0) {
    const kernels::Noise noise{config_.noise_seed, step, static_cast<float>(config_.noise_scale),
                               static_cast<float>(config_.noise_alpha)};
    over_elements(0, n, [&](std::int64_t i, std::int64_t count) {
      kernels::add_heavy_tailed(g + i, static_cast<std::uint64_t>(i), count, noise);
    });
  }
  return std::sqrt(squared_norm(g, n));
}

StepReport Optimizer::step(const StepInputs& inputs) {
  const at::NoGradGuard no_grad;
  StepReport report;
  report.gradient_norm = add_noise_and_measure(inputs.step);
  if (!std::isfinite(report.gradient_norm) ||
      (inputs.norm_limit > 0 && report.gradient_norm > inputs.norm_limit)) {
    report.applied = false;
    return report;
  }
  const double clip = inputs.clip.value_or(config_.clip);
  if (clip > 0 && report.gradient_norm > clip) {
    const auto factor = static_cast<float>(clip / report.gradient_norm);
    over_elements(0, model_.layout().size(), [&](std::int64_t i, std::int64_t n) {
      kernels::scale(model_.gradients().data_ptr<float>() + i, factor, n);
    });
  }
  if (config_.matrices == MatrixRule::kAdamW) {
    adamw_range(0, model_.layout().matrix_size(), rate_of(inputs), config_.decay, inputs.step);
  } else {
    step_matrices(inputs, report);
  }
  step_rest(inputs);
  return report;
}

float Optimizer::shape_scale(const MatrixGroup& group) const {
  const auto rows = static_cast<double>(group.rows), columns = static_cast<double>(group.columns);
  switch (config_.scale) {
    case ShapeScale::kJordan:
      return static_cast<float>(std::sqrt(std::max(1.0, rows / columns)));
    case ShapeScale::kMoonlight:
      return static_cast<float>(0.2 * std::sqrt(std::max(rows, columns)));
    case ShapeScale::kSpectral:
      break;
  }
  return static_cast<float>(std::sqrt(rows / columns));
}

void Optimizer::step_matrices(const StepInputs& inputs, StepReport& report) {
  const ParameterLayout& layout = model_.layout();
  const float* g = model_.gradients().data_ptr<float>();
  float* m = first_.data_ptr<float>();
  const auto weight = static_cast<float>(1 - config_.momentum);
  over_elements(0, layout.matrix_size(),
                [&](std::int64_t i, std::int64_t n) { kernels::lerp(g + i, m + i, weight, n); });
  const double rate = rate_of(inputs);
  double keep = 1 - rate * config_.decay;
  if (config_.matrices == MatrixRule::kScion) keep = config_.constrained ? 1 - rate : 1;
  const double radius = config_.matrices == MatrixRule::kScion ? config_.radius : 1;
  std::int64_t first_row = 0;
  for (const MatrixGroup& group : layout.groups()) {
    step_group(group, first_row, static_cast<float>(rate * radius) * shape_scale(group),
               static_cast<float>(keep), report);
    first_row += group.count * group.rows;
  }
}

namespace {

// O's rows over the root of their mean squares' EMA, then all scaled to O's norm.
void normalize_rows(at::Tensor& update, float* square, float beta) {
  const std::int64_t rows = update.size(0), columns = update.size(1);
  float* at = update.data_ptr<float>();
  const double before = kernels::dot(at, at, rows * columns);
  for (std::int64_t r = 0; r < rows; ++r) {
    float* row = at + r * columns;
    const auto mean =
        static_cast<float>(kernels::dot(row, row, columns) / static_cast<double>(columns));
    square[r] += (1 - beta) * (mean - square[r]);
    kernels::scale(row, 1 / (std::sqrt(square[r]) + 1e-10F), columns);
  }
  const double after = kernels::dot(at, at, rows * columns);
  if (after > 0) kernels::scale(at, static_cast<float>(std::sqrt(before / after)), rows * columns);
}

}  // namespace

void Optimizer::step_group(const MatrixGroup& group, std::int64_t first_row, float rate, float keep,
                           StepReport& report) {
  const std::int64_t n = group.rows * group.columns;
  const auto began = std::chrono::steady_clock::now();
  // A matrix a thread: products of one matrix are small, and the bits do not depend on the threads.
  at::parallel_for(0, group.count, 1, [&](std::int64_t begin, std::int64_t end) {
    const at::NoGradGuard no_grad;
    at::Tensor direction = at::empty({1, group.rows, group.columns}, at::kFloat);
    for (std::int64_t k = begin; k < end; ++k) {
      const std::int64_t at = group.offset + k * group.stride;
      const float* m = first_.data_ptr<float>() + at;
      float* u = direction.data_ptr<float>();
      if (config_.nesterov) {
        kernels::blend(model_.gradients().data_ptr<float>() + at, m, u, n,
                       static_cast<float>(config_.momentum));
      } else {
        std::copy_n(m, n, u);
      }
      at::Tensor update = orthogonalized(direction, config_.polar)[0].contiguous();
      if (config_.matrices == MatrixRule::kNorMuon)
        normalize_rows(update, row_square_.data_ptr<float>() + first_row + k * group.rows,
                       static_cast<float>(config_.row_beta));
      kernels::apply_update(model_.weights().data_ptr<float>() + at, update.data_ptr<float>(),
                            config_.transported ? moved_.data_ptr<float>() + at : nullptr, n, keep,
                            rate);
    }
  });
  report.polar_seconds +=
      std::chrono::duration<double>(std::chrono::steady_clock::now() - began).count();
}

void Optimizer::adamw_range(std::int64_t begin, std::int64_t end, double rate, double decay,
                            std::uint64_t step) {
  const auto t = static_cast<double>(step + 1);
  const kernels::AdamW rule{static_cast<float>(rate),
                            static_cast<float>(config_.beta1),
                            static_cast<float>(config_.beta2),
                            static_cast<float>(config_.eps),
                            static_cast<float>(decay),
                            static_cast<float>(1 - std::pow(config_.beta1, t)),
                            static_cast<float>(1 - std::pow(config_.beta2, t))};
  over_elements(begin, end, [&](std::int64_t i, std::int64_t n) {
    kernels::adamw(model_.weights().data_ptr<float>() + i, model_.gradients().data_ptr<float>() + i,
                   first_.data_ptr<float>() + i, second_.data_ptr<float>() + (i - second_begin_), n,
                   rule);
  });
}

void Optimizer::step_rest(const StepInputs& inputs) {
  const ParameterLayout& layout = model_.layout();
  const double rate = inputs.rest_rate.value_or(config_.rest_rate * inputs.factor);
  const std::int64_t begin = layout.matrix_size(), gains = layout.attention_norm(0);
  if (config_.rest == RestRule::kAdamW) {
    const double decay = config_.matrices == MatrixRule::kAdamW ? config_.decay : 0;
    adamw_range(begin, gains, rate, decay, inputs.step);
    return adamw_range(gains, layout.size(), rate, 0, inputs.step);
  }
  const kernels::Sign rule{static_cast<float>(rate * config_.rest_radius),
                           static_cast<float>(1 - config_.momentum),
                           config_.constrained ? static_cast<float>(rate) : 0.0F};
  over_elements(begin, layout.size(), [&](std::int64_t i, std::int64_t n) {
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
