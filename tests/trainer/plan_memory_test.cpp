// What `plan` says of a rank's memory, beside what the tensors take.
#include <c10/core/Allocator.h>
#include <c10/util/ThreadLocalDebugInfo.h>
#include <gtest/gtest.h>
#include <torch/csrc/api/include/torch/version.h>

#include <algorithm>
#include <map>
#include <memory>

#include "trainer/engine/device_optimizer.hpp"
#include "trainer/plan.hpp"

namespace longhaul::trainer {
namespace {

// The bytes of LibTorch's tensors on the CPU that this thread makes while it is in force.
class Tensors final : public c10::MemoryReportingInfoBase {
 public:
#if TORCH_VERSION_MAJOR >= 2
  using Total = std::size_t;
#else
  using Total = std::int64_t;
#endif
  void reportMemoryUsage(void*, std::int64_t size, Total, Total, c10::Device) override {
    now_ += size;
    most_ = std::max(most_, now_);
  }
  bool memoryProfilingEnabled() const override {
    return true;
  }
  std::int64_t now() const {
    return now_;
  }
  // From here on, beyond what is there now.
  void begin() {
    most_ = begun_ = now_;
  }
  std::int64_t most() const {
    return most_ - begun_;
  }

 private:
  std::int64_t now_ = 0, most_ = 0, begun_ = 0;
};

// Its attention is small beside all else: on the CPU that is not flash attention, and keeps more.
ModelConfig wide() {
  ModelConfig config = named_config("tiny").value();
  config.vocab = 300;
  config.hidden = 96;
  config.intermediate = 200;
  config.layers = 3;
  config.heads = config.kv_heads = 1;
  config.head_dim = 4;
  return config;
}

struct Measured {
  std::int64_t kept, pass, step;
};

template <class T>
Measured measured(const ModelConfig& config, const OptimizerConfig& rules, std::int64_t samples,
                  std::int64_t sequence, std::uint64_t ranks) {
  const auto tensors = std::make_shared<Tensors>();
  const c10::DebugInfoGuard guard(c10::DebugInfoKind::PROFILER_STATE, tensors);
  const Device device;
  DeviceModel<T> model(config, device);
  DeviceOptimizer<T> optimizer(model, rules);
  optimizer.spread({0, ranks, [](auto, auto) { return Result<>(); }});
  std::vector<std::int64_t> ids(static_cast<std::size_t>(samples * sequence + 1));
  for (std::size_t i = 0; i < ids.size(); ++i)
    ids[i] = static_cast<std::int64_t>(i * 37) % config.vocab;
  const Batch batch{ids.data(), ids.data() + 1, samples, sequence};
  Measured out{tensors->now(), 0, 0};
  tensors->begin();
  model.train(batch, 1.0F);
  out.pass = tensors->most();
  tensors->begin();
  optimizer.step({.step = 0});
  out.step = tensors->most();
  return out;
}

MemoryInputs inputs(const ModelConfig& config, std::int64_t samples, std::int64_t sequence,
                    std::uint64_t ranks) {
  MemoryInputs in{.model = config};
  in.samples = samples;
  in.sequence = sequence;
  in.ranks = static_cast<std::int64_t>(ranks);
  return in;
}

// Numbers of a few rows or words, and lists of which matrices are a rank's: 16 KiB in all.
void is_near(std::int64_t planned, std::int64_t measured, double share, const std::string& what) {
  const double allowed = share * static_cast<double>(measured) + 16384;
  EXPECT_NEAR(static_cast<double>(planned), static_cast<double>(measured), allowed) << what;
}

template <class T>
void takes_what_is_planned(MemoryInputs in, const OptimizerConfig& rules, const std::string& what) {
  const Measured found =
      measured<T>(in.model, rules, in.samples, in.sequence, static_cast<std::uint64_t>(in.ranks));
  in.bf16 = sizeof(T) == 2;
  const DeviceMemory planned = device_memory(in);
  is_near(planned.kept(), found.kept, 0, what + ", kept");
  // Squares of the gradient in pieces, and whatever a product turns round for itself.
  is_near(planned.activations, found.pass, 0.05, what + ", a pass");
  if (rules.matrices != MatrixRule::kAdamW)
    is_near(planned.workspace, found.step, 0.05, what + ", a step");
}

TEST(DeviceMemory, IsWhatACardsTensorsTake) {
  for (const std::int64_t samples : {2, 40}) {  // the tables' gradients decide, or the rows
    MemoryInputs in = inputs(wide(), samples, 16, 1);
    OptimizerConfig rules = optimizer_preset("muon").value();
    takes_what_is_planned<float>(in, rules, "muon");
    in.model.tied = true;
    takes_what_is_planned<float>(in, rules, "tied");
  }
}

TEST(DeviceMemory, IsThatOfTheRulesAndTheRanks) {
  MemoryInputs in = inputs(wide(), 4, 16, 1);
  in.row_squares = true;
  takes_what_is_planned<float>(in, optimizer_preset("normuon").value(), "normuon");
  in.row_squares = false;
  in.transported = true;
  takes_what_is_planned<float>(in, optimizer_preset("transported").value(), "transported");
  in.rest_adamw = false;
  OptimizerConfig scion = optimizer_preset("scion").value();
  scion.transported = true;
  takes_what_is_planned<float>(in, scion, "transported scion");
  in = inputs(wide(), 4, 16, 1);
  in.adamw_matrices = true;
  takes_what_is_planned<float>(in, optimizer_preset("adamw").value(), "adamw");
  in.adamw_matrices = false;
  in.ranks = 3;
  takes_what_is_planned<float>(in, optimizer_preset("muon").value(), "three ranks");
}

TEST(DeviceMemory, HalvesWhatIsOfBfloat16) {
  const MemoryInputs in = inputs(wide(), 40, 16, 1);
  const Measured found = measured<cuda::Bfloat16>(in.model, optimizer_preset("muon").value(),
                                                  in.samples, in.sequence, 1);
  MemoryInputs half = in;
  half.bf16 = true;
  is_near(device_memory(half).kept(), found.kept, 0, "kept");
}

// A factor is rounded, and a product of two, in memory that only that product has.
TEST(Memory, OfRoundedProductsIsNoMoreThanPlanned) {
  MemoryInputs in = inputs(wide(), 8, 16, 1);
  const auto tensors = std::make_shared<Tensors>();
  const c10::DebugInfoGuard guard(c10::DebugInfoKind::PROFILER_STATE, tensors);
  Model model(in.model);
  model.init(1);
  model.use_products(Products::kBfloat16);
  std::vector<std::int64_t> ids(8 * 16 + 1, 7);
  const Batch batch{ids.data(), ids.data() + 1, 8, 16};
  model.train(batch, 1.0F);
  tensors->begin();
  model.train(batch, 1.0F);
  in.adamw_matrices = in.bf16 = true;
  const std::int64_t planned = memory(in).workspace;
  EXPECT_LE(tensors->most(), planned);
  EXPECT_GT(tensors->most(), planned / 4);  // where bf16 is multiplied as it is, half of it or less
}

TEST(Memory, OfSeveralRanksHasAllFactors) {
  const auto tensors = std::make_shared<Tensors>();
  const c10::DebugInfoGuard guard(c10::DebugInfoKind::PROFILER_STATE, tensors);
  Model model(wide());
  Optimizer optimizer(model, optimizer_preset("normuon").value());
  MemoryInputs in = inputs(wide(), 1, 1, 1);
  in.row_squares = true;
  EXPECT_EQ(memory(in).optimizer, optimizer.state_bytes());
  tensors->begin();
  optimizer.spread({0, 3, [](auto, auto) { return Result<>(); }});
  in.ranks = 3;
  const std::int64_t factors = 4 * model.layout().matrix_size();
  is_near(factors, tensors->most(), 0, "factors");
  MemoryInputs alone = in;
  alone.ranks = 1;
  EXPECT_EQ(memory(in).workspace - memory(alone).workspace, factors);
}

}  // namespace
}  // namespace longhaul::trainer
