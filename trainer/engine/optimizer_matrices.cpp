// The optimizer's rules for matrices, on one rank or spread over several.
#include <ATen/core/grad_mode.h>

#include <algorithm>
#include <chrono>
#include <cmath>

#include "trainer/engine/elements.hpp"
#include "trainer/engine/optimizer.hpp"
#include "trainer/kernels.hpp"

namespace longhaul::trainer {
namespace {

// O's rows over the root of their mean squares' EMA, then all scaled to O's norm.
void normalize_rows(float* at, const MatrixGroup& group, float* square, float beta) {
  const std::int64_t rows = group.rows, columns = group.columns;
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

float shape_scale(ShapeScale scale, const MatrixGroup& group) {
  const auto rows = static_cast<double>(group.rows), columns = static_cast<double>(group.columns);
  switch (scale) {
    case ShapeScale::kJordan:
      return static_cast<float>(std::sqrt(std::max(1.0, rows / columns)));
    case ShapeScale::kMoonlight:
      return static_cast<float>(0.2 * std::sqrt(std::max(rows, columns)));
    case ShapeScale::kSpectral:
      break;
  }
  return static_cast<float>(std::sqrt(rows / columns));
}

void Optimizer::spread(Spread over) {
  spread_ = std::move(over);
  if (spread_.ranks == 1 || config_.matrices == MatrixRule::kAdamW) return;
  shares_ = polar_shares(model_.layout(), spread_.ranks);
  factors_ = at::empty({shares_.size}, at::kFloat);
}

Optimizer::Rule Optimizer::rule_of(const OptimizerConfig& config, const MatrixGroup& group,
                                   double rate) {
  double keep = 1 - rate * config.decay;
  if (config.matrices == MatrixRule::kScion) keep = config.constrained ? 1 - rate : 1;
  const double radius = config.matrices == MatrixRule::kScion ? config.radius : 1;
  return {static_cast<float>(rate * radius) * shape_scale(config.scale, group),
          static_cast<float>(keep)};
}

void Optimizer::step_matrices(const StepInputs& inputs, std::int64_t begin, std::int64_t end,
                              StepReport& report) {
  if (config_.matrices == MatrixRule::kAdamW)
    return adamw_range(begin, end, rate_of(inputs), config_.decay, inputs.step);
  const float* g = model_.gradients().data_ptr<float>();
  float* m = first_.data_ptr<float>();
  const auto weight = static_cast<float>(1 - config_.momentum);
  over_elements(begin, end,
                [&](std::int64_t i, std::int64_t n) { kernels::lerp(g + i, m + i, weight, n); });
  const auto began = std::chrono::steady_clock::now();
  if (spread_.ranks > 1) {
    step_spread(inputs, report);
  } else {
    step_alone(inputs, begin, end);
  }
  report.polar_seconds +=
      std::chrono::duration<double>(std::chrono::steady_clock::now() - began).count();
}

at::Tensor Optimizer::polar_factor(const MatrixGroup& group, std::int64_t k) const {
  const std::int64_t n = group.rows * group.columns, at = group.offset + k * group.stride;
  at::Tensor direction = at::empty({1, group.rows, group.columns}, at::kFloat);
  const float* m = first_.data_ptr<float>() + at;
  float* u = direction.data_ptr<float>();
  if (config_.nesterov) {
    kernels::blend(model_.gradients().data_ptr<float>() + at, m, u, n,
                   static_cast<float>(config_.momentum));
  } else {
    std::copy_n(m, n, u);
  }
  return orthogonalized(direction, config_.polar)[0].contiguous();
}

void Optimizer::apply_factor(const MatrixGroup& group, std::int64_t k, std::int64_t first_row,
                             float* factor, const Rule& rule) {
  const std::int64_t n = group.rows * group.columns, at = group.offset + k * group.stride;
  if (config_.matrices == MatrixRule::kNorMuon)
    normalize_rows(factor, group, row_square_.data_ptr<float>() + first_row + k * group.rows,
                   static_cast<float>(config_.row_beta));
  kernels::apply_update(model_.weights().data_ptr<float>() + at, factor,
                        config_.transported ? moved_.data_ptr<float>() + at : nullptr, n, rule.keep,
                        rule.rate);
}

// The matrices that begin in [begin, end).
void Optimizer::step_alone(const StepInputs& inputs, std::int64_t begin, std::int64_t end) {
  std::int64_t first_row = 0;
  for (const MatrixGroup& group : model_.layout().groups()) {
    const Rule rule = rule_of(group, inputs);
    const auto before = [&](std::int64_t offset) {
      return std::clamp<std::int64_t>((offset - group.offset + group.stride - 1) / group.stride, 0,
                                      group.count);
    };
    // A matrix a thread: products of one matrix are small, and the bits do not depend on threads.
    at::parallel_for(before(begin), before(end), 1, [&](std::int64_t from, std::int64_t to) {
      const at::NoGradGuard no_grad;
      for (std::int64_t k = from; k < to; ++k) {
        at::Tensor factor = polar_factor(group, k);
        apply_factor(group, k, first_row, factor.data_ptr<float>(), rule);
      }
    });
    first_row += group.count * group.rows;
  }
}

void Optimizer::make_factors(bool mine) {
  std::vector<const PolarShare*> wanted;
  for (const PolarShare& share : shares_.all)
    if ((share.owner == spread_.rank) == mine) wanted.push_back(&share);
  at::parallel_for(0, static_cast<std::int64_t>(wanted.size()), 1,
                   [&](std::int64_t begin, std::int64_t end) {
                     const at::NoGradGuard no_grad;
                     for (std::int64_t i = begin; i < end; ++i) {
                       const PolarShare& share = *wanted[static_cast<std::size_t>(i)];
                       const at::Tensor factor = polar_factor(*share.group, share.k);
                       std::copy_n(factor.data_ptr<float>(), factor.numel(),
                                   factors_.data_ptr<float>() + share.place);
                     }
                   });
}

void Optimizer::step_spread(const StepInputs& inputs, StepReport& report) {
  make_factors(true);
  float* factors = factors_.data_ptr<float>();
  const Result<> gathered =
      spread_.gather({factors, static_cast<std::size_t>(factors_.numel())}, shares_.counts);
  if (!gathered) {  // the gradient is whole, so this rank can end the step by itself, and saves it
    report.lost = gathered.error();
    make_factors(false);
  }
  at::parallel_for(0, static_cast<std::int64_t>(shares_.all.size()), 1,
                   [&](std::int64_t begin, std::int64_t end) {
                     for (std::int64_t i = begin; i < end; ++i) {
                       const PolarShare& share = shares_.all[static_cast<std::size_t>(i)];
                       apply_factor(*share.group, share.k, share.first_row, factors + share.place,
                                    rule_of(*share.group, inputs));
                     }
                   });
}

}  // namespace longhaul::trainer
