#include "trainer/engine/device_optimizer.hpp"

#include <ATen/core/grad_mode.h>

#include <algorithm>

#include "trainer/cuda/matrices.hpp"
#include "trainer/engine/device_elements.hpp"

namespace longhaul::trainer {

template <class T>
DeviceOptimizer<T>::DeviceOptimizer(DeviceModel<T>& model, const OptimizerConfig& config)
    : model_(model), device_(model.device()), config_(config), polar_(device_) {
  const at::NoGradGuard no_grad;
  const StateShape shape = state_shape(model.layout(), config_);
  second_begin_ = shape.second_begin;
  const auto zeros = [&](std::int64_t count) {
    return at::zeros({count}, model.weights().options());
  };
  first_ = zeros(model.layout().size());
  second_ = zeros(model.layout().size() - second_begin_);
  row_square_ = zeros(shape.row_squares);
  moved_ = zeros(shape.moved);
  factor_ = zeros(1);
}

template <class T>
NamedState DeviceOptimizer<T>::state() const {
  return named_state(first_, second_, row_square_, moved_);
}

template <class T>
void DeviceOptimizer<T>::extrapolate(double kappa) {
  if (config_.transported) write_reading(static_cast<float>(kappa));
}
template <class T>
void DeviceOptimizer<T>::read_at_weights() {
  write_reading(0);
}

template <class T>
void DeviceOptimizer<T>::write_reading(float kappa) {
  if (kappa == model_.kappa()) return;
  model_.reading_is_at(kappa);
  const at::NoGradGuard no_grad;
  const float* w = data_of<float>(model_.weights());
  const float* moved = data_of<float>(moved_);
  const std::int64_t transported = std::min(moved_.numel(), model_.first_gain());
  device_.go(cuda::WorkingCopy<T>{w, moved, data_of<T>(model_.reading()), transported, kappa});
  if (moved_.numel() <= model_.first_gain()) return;
  const std::int64_t at = model_.first_gain();
  device_.go(cuda::WorkingCopy<float>{w + at, moved + at, data_of<float>(model_.gains()),
                                      model_.gain_count(), kappa});
}

template <class T>
at::Tensor DeviceOptimizer<T>::add_noise_and_measure(std::uint64_t step) {
  float* g = data_of<float>(model_.gradients());
  const std::int64_t n = model_.layout().size();
  if (config_.noise_scale > 0)
    device_.go(
        cuda::HeavyTailedNoise{g,
                               0,
                               n,
                               {config_.noise_seed, step, static_cast<float>(config_.noise_scale),
                                static_cast<float>(config_.noise_alpha)}});
  const at::Tensor parts = at::empty({cuda::pieces_of(n)}, model_.weights().options());
  device_.go(cuda::SquareSums{g, data_of<float>(parts), n});
  return parts.sum(at::kDouble);
}

template <class T>
StepReport DeviceOptimizer<T>::step(const StepInputs& inputs) {
  const at::Tensor told = at::empty({2}, factor_.options().dtype(at::kDouble));
  StepReport report;
  report.lost = ask(inputs, told);
  const at::Tensor here = told.to(at::kCPU);
  report.gradient_norm = here.data_ptr<double>()[0];
  report.applied = here.data_ptr<double>()[1] != 0;
  report.polar_seconds = take_polar_seconds();
  return report;
}

template <class T>
double DeviceOptimizer<T>::take_polar_seconds() {
  return config_.matrices == MatrixRule::kAdamW ? 0 : polar_.take().busy;
}

template <class T>
std::optional<Error> DeviceOptimizer<T>::ask(const StepInputs& inputs, const at::Tensor& told) {
  const at::NoGradGuard no_grad;
  const at::Tensor square = add_noise_and_measure(inputs.step);
  device_.go(cuda::Verdict{square.data_ptr<double>(), inputs.norm_limit,
                           inputs.clip.value_or(config_.clip), data_of<float>(factor_),
                           told.data_ptr<double>()});
  const double rate = inputs.rate.value_or(config_.rate * inputs.factor);
  std::optional<Error> lost;
  if (config_.matrices == MatrixRule::kAdamW) {
    adamw_range(0, model_.layout().matrix_size(), data_of<T>(model_.reading()), rate, config_.decay,
                inputs.step);
  } else {
    polar_.begin();
    if (shares_.empty()) {
      step_alone(rate);
    } else {
      lost = step_spread(rate);
    }
    polar_.end();
  }
  step_rest(inputs);
  return lost;
}

template <class T>
void DeviceOptimizer<T>::step_alone(double rate) {
  std::int64_t first_row = 0;
  for (const MatrixGroup& group : groups()) {
    const Direction direction = direction_of(group);
    apply_factors(group,
                  orthogonalized(direction.matrices, direction.norms, config_.polar).contiguous(),
                  Optimizer::rule_of(config_, group, rate), first_row);
    first_row += group.count * group.rows;
  }
}

template <class T>
typename DeviceOptimizer<T>::Direction DeviceOptimizer<T>::direction_of(const MatrixGroup& group) {
  const cuda::MatrixSet set{group.count, group.rows * group.columns, group.stride};
  const at::TensorOptions floats = model_.weights().options();
  Direction out{at::empty({group.count, group.rows, group.columns}, model_.reading().options()),
                at::empty({group.count}, floats)};
  const at::Tensor parts = at::empty({set.pieces()}, floats);
  const float* g = data_of<float>(model_.gradients()) + group.offset;
  device_.go(cuda::MuonDirection<T>{g, data_of<float>(first_) + group.offset,
                                    data_of<T>(out.matrices), data_of<float>(parts), set,
                                    static_cast<float>(config_.momentum),
                                    cuda::Factor(data_of<float>(factor_)), config_.nesterov});
  device_.go(cuda::MatrixNorms{data_of<float>(parts), data_of<float>(out.norms), set});
  return out;
}

template <class T>
void DeviceOptimizer<T>::apply_factors(const MatrixGroup& group, const at::Tensor& factors,
                                       const Optimizer::Rule& rule, std::int64_t first_row) {
  const cuda::MatrixSet set{group.count, group.rows * group.columns, group.stride};
  const at::TensorOptions floats = model_.weights().options();
  at::Tensor scales;
  if (config_.matrices == MatrixRule::kNorMuon) {
    const std::int64_t rows = group.count * group.rows;
    scales = at::empty({group.count}, floats);
    const at::Tensor before = at::empty({rows}, floats), after = at::empty({rows}, floats);
    device_.go(cuda::RowScaling<T>{data_of<T>(factors), data_of<float>(row_square_) + first_row,
                                   data_of<float>(before), data_of<float>(after), rows,
                                   group.columns, static_cast<float>(config_.row_beta),
                                   cuda::Factor(data_of<float>(factor_))});
    device_.go(cuda::NormFactors{data_of<float>(before), data_of<float>(after),
                                 data_of<float>(scales), group.count, group.rows});
  }
  device_.go(
      cuda::UpdateStep<T>{data_of<float>(model_.weights()) + group.offset,
                          data_of<T>(factors),
                          scales.defined() ? data_of<float>(scales) : nullptr,
                          config_.transported ? data_of<float>(moved_) + group.offset : nullptr,
                          {data_of<T>(model_.reading()) + group.offset, model_.kappa()},
                          set,
                          rule.keep,
                          rule.rate,
                          cuda::Factor(data_of<float>(factor_))});
}

template <class T>
template <class U>
void DeviceOptimizer<T>::adamw_range(std::int64_t begin, std::int64_t end, U* reading, double rate,
                                     double decay, std::uint64_t step) {
  const kernels::AdamW rule = adamw_rule(config_, rate, decay, step);
  device_.go(cuda::AdamwStep<U>{
      data_of<float>(model_.weights()) + begin, data_of<float>(model_.gradients()) + begin,
      data_of<float>(first_) + begin, data_of<float>(second_) + (begin - second_begin_), reading,
      end - begin, rule, cuda::Factor(data_of<float>(factor_))});
}

template <class T>
template <class U>
void DeviceOptimizer<T>::sign_range(std::int64_t begin, std::int64_t end, U* reading, double rate) {
  device_.go(cuda::SignStep<U>{
      data_of<float>(model_.weights()) + begin,
      data_of<float>(model_.gradients()) + begin,
      data_of<float>(first_) + begin,
      config_.transported ? data_of<float>(moved_) + begin : nullptr,
      {reading, model_.kappa()},
      end - begin,
      {static_cast<float>(rate * config_.rest_radius), static_cast<float>(1 - config_.momentum),
       config_.constrained ? static_cast<float>(rate) : 0.0F},
      cuda::Factor(data_of<float>(factor_))});
}

template <class T>
void DeviceOptimizer<T>::step_rest(const StepInputs& inputs) {
  const double rate = inputs.rest_rate.value_or(config_.rest_rate * inputs.factor);
  const std::int64_t begin = model_.layout().matrix_size(), gains = model_.first_gain(),
                     end = model_.layout().size();
  T* const tables = data_of<T>(model_.reading()) + begin;
  float* const own = data_of<float>(model_.gains());
  if (config_.rest == RestRule::kSign) {
    sign_range(begin, gains, tables, rate);
    return sign_range(gains, end, own, rate);
  }
  const double decay = config_.matrices == MatrixRule::kAdamW ? config_.decay : 0;
  adamw_range(begin, gains, tables, rate, decay, inputs.step);
  adamw_range(gains, end, own, rate, 0, inputs.step);
}

template class DeviceOptimizer<float>;
template class DeviceOptimizer<cuda::Bfloat16>;

}  // namespace longhaul::trainer
