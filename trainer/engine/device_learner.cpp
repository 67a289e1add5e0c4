#include <ATen/core/grad_mode.h>

#include <array>
#include <utility>
#include <vector>

#include "trainer/engine/device_optimizer.hpp"
#include "trainer/engine/learner.hpp"

namespace longhaul::trainer {
namespace {

// A step's numbers on their way to the host: norm, whether it was applied, loss.
struct ToldStep {
  explicit ToldStep(const Device& device)
      : numbers(at::zeros({3}, at::TensorOptions(at::kDouble).device(device.place()))),
        here(device, {numbers}) {}
  at::Tensor numbers;
  HostCopy here;
  std::optional<double> loss;  // in place of its own
  std::optional<Error> lost;
};

template <class T>
class DeviceLearner final : public Learner {
 public:
  DeviceLearner(const ModelConfig& config, const OptimizerConfig& rules, const Device& device)
      : device_(device),
        name_(device.place().is_cpu() ? "cpu-device" : device.name()),
        model_(config, device_),
        optimizer_(model_, rules),
        clock_(device_) {
    for (auto& told : told_) told = std::make_unique<ToldStep>(device_);
  }
  const std::string& device() const override { return name_; }
  const ModelConfig& config() const override { return model_.config(); }
  const OptimizerConfig& rules() const override { return optimizer_.config(); }
  const at::Tensor& weights() const override { return model_.weights(); }

  Result<> fill(const Write& write) override {
    const at::NoGradGuard no_grad;
    const NamedState state = optimizer_.state();
    std::vector<at::Tensor> here = {here_of(model_.weights())};
    std::vector<NamedFloats> floats;
    for (const auto& [name, tensor] : state) {
      here.push_back(here_of(tensor));
      floats.emplace_back(name, floats_of_host(here.back()));
    }
    TRY(write(floats_of_host(here.front()), floats));
    model_.load(here.front());
    for (std::size_t i = 0; i < state.size(); ++i) state[i].second.copy_(here[i + 1]);
    return {};
  }

  // The allocator keeps what it gave once, and libraries load a kernel when it is first asked for.
  void prepare_steps(std::int64_t samples, std::int64_t sequence) override {
    const std::vector<std::int64_t> zeros(static_cast<std::size_t>(samples * sequence));
    model_.train({zeros.data(), zeros.data(), samples, sequence}, 1, {});
    static_cast<void>(model_.take_loss());
  }
  void begin(const StepInputs& inputs, double kappa) override {
    inputs_ = inputs;
    clock_.begin();
    model_.gradients().zero_();
    optimizer_.extrapolate(kappa);
  }
  void train(const Batch& batch, float scale, const Model::Final& final) override {
    model_.train(batch, scale, final);
  }
  double take_loss() override { return model_.take_loss(); }

  void end(std::optional<double> loss) override {
    ToldStep& told = *told_[asked_++ % told_.size()];
    told.loss = loss;
    if (snapshot_) snapshot_->hold_back();
    told.lost = optimizer_.ask(inputs_, told.numbers.narrow(0, 0, 2));
    model_.move_loss(told.numbers.narrow(0, 2, 1));
    clock_.end();
    told.here.begin();
  }
  std::size_t late() const override { return told_.size() - 1; }

  StepOutcome hear() override {
    const ToldStep& told = *told_[heard_++ % told_.size()];
    told.here.wait();
    const double* numbers = told.here.copies().front().template data_ptr<double>();
    StepOutcome out;
    out.report.gradient_norm = numbers[0];
    out.report.applied = numbers[1] != 0;
    out.report.lost = told.lost;
    out.report.polar_seconds = optimizer_.take_polar_seconds();
    out.loss = told.loss.value_or(numbers[2]);
    out.device = clock_.take();
    return out;
  }

  void read_at_weights() override {
    clock_.interrupt();
    optimizer_.read_at_weights();
  }
  double evaluate(const Batch& batch) override {
    model_.evaluate(batch);
    return model_.take_loss();
  }

  void prepare_snapshots() override {
    std::vector<at::Tensor> all = {model_.weights()};
    for (const auto& [name, tensor] : optimizer_.state()) all.push_back(tensor);
    snapshot_.emplace(device_, std::move(all));
  }
  Snapshot snapshot() override {
    snapshot_->begin();
    const std::vector<at::Tensor>& copies = snapshot_->copies();
    Snapshot out{floats_of_host(copies.front()), {}, [this] { snapshot_->wait(); }};
    std::size_t next = 1;
    for (const auto& [name, tensor] : optimizer_.state())
      out.state.emplace_back(name, floats_of_host(copies[next++]));
    return out;
  }

  // Memory of the device.
  std::span<float> gradients() const override { return floats_of_host(model_.gradients()); }
  GradientReducer::Mark mark() const override { return device_.mark(); }
  void spread(Spread over) override { optimizer_.spread(std::move(over)); }

 private:
  static at::Tensor here_of(const at::Tensor& tensor) {
    return tensor.to(at::kCPU, at::kFloat, /*non_blocking=*/false, /*copy=*/true);
  }
  static std::span<float> floats_of_host(const at::Tensor& tensor) {
    return {tensor.data_ptr<float>(), static_cast<std::size_t>(tensor.numel())};
  }

  const Device device_;
  const std::string name_;
  DeviceModel<T> model_;
  DeviceOptimizer<T> optimizer_;
  DeviceClock clock_;
  std::array<std::unique_ptr<ToldStep>, 2> told_;  // one is under way while the other is asked for
  std::size_t asked_ = 0, heard_ = 0;
  StepInputs inputs_;
  std::optional<HostCopy> snapshot_;
};

}  // namespace

std::unique_ptr<Learner> device_learner(const ModelConfig& config, const OptimizerConfig& rules,
                                        const LearnerOptions& options, const Device& device) {
  if (options.products == Products::kBfloat16)
    return std::make_unique<DeviceLearner<cuda::Bfloat16>>(config, rules, device);
  return std::make_unique<DeviceLearner<float>>(config, rules, device);
}

}  // namespace longhaul::trainer
