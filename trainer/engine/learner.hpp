// Learner: what a run teaches, wherever that is computed: weights, gradients, the optimizer and its
// state, and their snapshots. A port: on the CPU (cpu_learner.cpp) a step is done when end()
// returns; on a device (device_learner.cpp) it has been asked for, and what it came to is heard up
// to late() steps later, so that the device always has something to do. Checkpoints of either have
// the same layout. Not thread-safe; the training thread.
//
//   learner.begin(inputs, kappa);
//   learner.train(batch, scale, {});     // once for each micro batch
//   learner.end({});
//   .. while more than late() are not heard:  learner.hear()
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string>

#include "trainer/checkpoint.hpp"
#include "trainer/engine/device_events.hpp"
#include "trainer/engine/optimizer.hpp"
#include "trainer/ranks/gradient_reducer.hpp"

namespace longhaul::trainer {

struct StepOutcome {
  double loss = 0;  // sum over the step's tokens, in nats
  StepReport report{};
  std::optional<DeviceClock::Spent> device{};
};

class Learner {
 public:
  virtual ~Learner() = default;
  virtual const std::string& device() const = 0;  // by name: what bits may depend on
  virtual const ModelConfig& config() const = 0;
  virtual const OptimizerConfig& rules() const = 0;
  virtual const at::Tensor& weights() const = 0;  // flat fp32, wherever they are
  // Lets `write` change weights and state in the host's memory; it finds what they are now.
  using Write = std::function<Result<>(std::span<float>, std::span<const NamedFloats>)>;
  virtual Result<> fill(const Write& write) = 0;

  // Makes a step's memory for such batches [B, T], so that no page is new in the first one.
  virtual void prepare_steps(std::int64_t samples, std::int64_t sequence) = 0;
  // `final` goes with a step's last batch; see Model.
  virtual void begin(const StepInputs& inputs, double kappa) = 0;
  virtual void train(const Batch& batch, float scale, const Model::Final& final) = 0;
  virtual double take_loss() = 0;  // since begin(); waits. For ranks, which add theirs up
  virtual void end(std::optional<double> loss) = 0;  // what to tell in place of its own
  virtual std::size_t late() const = 0;
  virtual StepOutcome hear() = 0;  // of the oldest step that was not heard; waits

  // Every step has been heard.
  virtual void read_at_weights() = 0;               // before evaluate(), until the next begin()
  virtual double evaluate(const Batch& batch) = 0;  // the sum of the losses; waits

  // Makes the snapshots' memory, so that the first one is a copy too and no page is new.
  virtual void prepare_snapshots() = 0;
  // Of weights and state after the last step, in the one memory there is for it: no earlier one is
  // in use any more.
  virtual Snapshot snapshot() = 0;

  // Several ranks: the gradient, where the collectives find it; how parts of it are known to be
  // final; and who makes which polar factors.
  virtual std::span<float> gradients() const = 0;
  virtual GradientReducer::Mark mark() const { return {}; }
  virtual void spread(Spread over) = 0;
};

struct LearnerOptions {
  Products products = Products::kFloat;  // on a device: what it computes in
  bool consume = false;                  // CPU: gradients, each as it is made
};
std::unique_ptr<Learner> cpu_learner(const ModelConfig& config, const OptimizerConfig& rules,
                                     const LearnerOptions& options);
// By the code of a GPU, also where `device` is the CPU.
std::unique_ptr<Learner> device_learner(const ModelConfig& config, const OptimizerConfig& rules,
                                        const LearnerOptions& options, const Device& device);

}  // namespace longhaul::trainer
