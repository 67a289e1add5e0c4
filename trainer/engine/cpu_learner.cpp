#include <algorithm>
#include <utility>

#include "trainer/engine/learner.hpp"

namespace longhaul::trainer {
namespace {

std::span<float> host_floats(const at::Tensor& tensor) {
  return {tensor.data_ptr<float>(), static_cast<std::size_t>(tensor.numel())};
}

class CpuLearner final : public Learner {
 public:
  CpuLearner(const ModelConfig& config, const OptimizerConfig& rules, const LearnerOptions& options)
      : consumes_(options.consume), model_(config), optimizer_(model_, rules) {
    model_.use_products(options.products);
  }
  const std::string& device() const override { return name_; }
  const ModelConfig& config() const override { return model_.config(); }
  const OptimizerConfig& rules() const override { return optimizer_.config(); }
  const at::Tensor& weights() const override { return model_.weights(); }

  Result<> fill(const Write& write) override {
    std::vector<NamedFloats> state;
    for (const auto& [name, tensor] : optimizer_.state())
      state.emplace_back(name, host_floats(tensor));
    return write(host_floats(model_.weights()), state);
  }

  void prepare_steps(std::int64_t samples, std::int64_t sequence) override {
    model_.prepare(samples, sequence);
    if (!consumes_) model_.gradients().zero_();
  }
  void begin(const StepInputs& inputs, double kappa) override {
    inputs_ = inputs;
    loss_ = 0;
    if (consumes_) {
      optimizer_.begin(inputs);
    } else {
      model_.gradients().zero_();
    }
    optimizer_.extrapolate(kappa);
  }

  void train(const Batch& batch, float scale, const Model::Final& final) override {
    const Model::Final consume = [this](auto offset, auto count) {
      optimizer_.consume(offset, count);
    };
    loss_ += model_.train(batch, scale, consumes_ ? consume : final);
  }
  double take_loss() override { return std::exchange(loss_, 0); }

  void end(std::optional<double> loss) override {
    outcome_.loss = loss.value_or(loss_);
    outcome_.report = consumes_ ? optimizer_.end() : optimizer_.step(inputs_);
  }
  std::size_t late() const override { return 0; }
  StepOutcome hear() override { return std::exchange(outcome_, {}); }

  void read_at_weights() override { optimizer_.read_at_weights(); }
  double evaluate(const Batch& batch) override { return model_.loss(batch); }

  void prepare_snapshots() override {
    saved_.assign(1, std::vector<float>(host_floats(model_.weights()).size()));
    for (const auto& [name, tensor] : optimizer_.state())
      saved_.emplace_back(host_floats(tensor).size());
  }
  Snapshot snapshot() override {
    const auto copied = [](const at::Tensor& from, std::vector<float>& to) {
      std::ranges::copy(host_floats(from), to.begin());
      return std::span<const float>(to);
    };
    Snapshot out{copied(model_.weights(), saved_.front()), {}};
    std::size_t next = 1;
    for (const auto& [name, tensor] : optimizer_.state())
      out.state.emplace_back(name, copied(tensor, saved_[next++]));
    return out;
  }

  std::span<float> gradients() const override { return host_floats(model_.gradients()); }
  void spread(Spread over) override { optimizer_.spread(std::move(over)); }

 private:
  const std::string name_ = "cpu";
  const bool consumes_;
  Model model_;
  Optimizer optimizer_;
  StepInputs inputs_;
  double loss_ = 0;
  StepOutcome outcome_;
  std::vector<std::vector<float>> saved_;  // weights, then the state in its order
};

}  // namespace

std::unique_ptr<Learner> cpu_learner(const ModelConfig& config, const OptimizerConfig& rules,
                                     const LearnerOptions& options) {
  return std::make_unique<CpuLearner>(config, rules, options);
}

}  // namespace longhaul::trainer
