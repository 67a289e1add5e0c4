// DeviceOptimizer: optimizer.hpp's rules on a DeviceModel's buffers, element for element the same
// steps, its matrices' products in T. State is fp32 on the device, as Optimizer's by name and
// length, so either goes on from the other's checkpoint. Of several ranks each makes the polar
// factors of its share and gets the others'; the host waits for that. All else every rank does
// itself, so that each holds all of the state. The training thread.
#pragma once

#include "trainer/engine/device_events.hpp"
#include "trainer/engine/device_model.hpp"
#include "trainer/engine/optimizer.hpp"

namespace longhaul::trainer {

template <class T>
class DeviceOptimizer {
 public:
  DeviceOptimizer(DeviceModel<T>& model, const OptimizerConfig& config);
  const OptimizerConfig& config() const { return config_; }
  // Before the first step; `gather` gets memory of the device, in which two of bf16 are a float.
  void spread(Spread over);
  // Before a step's first forward pass, and before an evaluation, as Optimizer's. Costs nothing
  // where the last step has written that reading already, as it does for an unchanged kappa.
  void extrapolate(double kappa);
  void read_at_weights();
  // Asks for a step and returns. Whether it is refused and what is clipped is decided where it is
  // computed; told [2] fp64, on the device: the gradient's norm, and 1 or 0: refused. Returns why
  // the other ranks' factors did not come, where they did not: the step was done without them.
  std::optional<Error> ask(const StepInputs& inputs, const at::Tensor& told);
  // Of the oldest step that was asked for and not taken, which the device has done: its seconds in
  // polar factors, their directions and updates. At most two are not taken.
  double take_polar_seconds();
  StepReport step(const StepInputs& inputs);  // also waits for it, and takes them
  NamedState state() const;

 private:
  at::Tensor add_noise_and_measure(std::uint64_t step);  // the norm's square, fp64 on the device
  struct Direction {
    at::Tensor matrices, norms;  // [count, rows, columns] of T; [count] fp32
  };
  struct Share {  // of one rank in one group
    std::uint64_t owner;
    std::size_t group;
    at::Tensor matrices;  // which of the group
    at::Tensor factors;   // of gathered_
  };
  const std::vector<MatrixGroup>& groups() const { return model_.layout().groups(); }
  Direction direction_of(const MatrixGroup& group);
  void make_factors(const std::vector<Direction>& directions, bool mine);
  void step_alone(double rate);
  std::optional<Error> step_spread(double rate);
  // The group's factors as they are, [count, rows, columns] contiguous.
  void apply_factors(const MatrixGroup& group, const at::Tensor& factors,
                     const Optimizer::Rule& rule, std::int64_t first_row);
  void step_rest(const StepInputs& inputs);
  // Of [begin, end), whose reading is of U.
  template <class U>
  void adamw_range(std::int64_t begin, std::int64_t end, U* reading, double rate, double decay,
                   std::uint64_t step);
  template <class U>
  void sign_range(std::int64_t begin, std::int64_t end, U* reading, double rate);
  void write_reading(float kappa);

  DeviceModel<T>& model_;
  const Device& device_;
  OptimizerConfig config_;
  at::Tensor first_, second_, row_square_, moved_;
  std::int64_t second_begin_;
  at::Tensor factor_;  // [1] fp32: of this step's gradient, as cuda::Verdict decides
  Spread spread_;
  std::vector<Share> shares_;        // of several ranks
  at::Tensor gathered_;              // [PolarShares::size] of T: the polar factors, by owner
  std::vector<std::size_t> counts_;  // of each rank, in floats
  DeviceClock polar_;
};

}  // namespace longhaul::trainer
