// DeviceModel and DeviceOptimizer against Model and Optimizer, on the device of the parameter:
// device_test.cpp runs them on the CPU, device_gpu_test.cpp on a GPU.
#pragma once

#include <gtest/gtest.h>

#include <cmath>

#include "lib/base/rng.hpp"
#include "trainer/engine/device_optimizer.hpp"

namespace longhaul::trainer {

// Four query heads on two pairs, widths that are no multiple of each other.
inline ModelConfig grouped_config(bool tied) {
  ModelConfig config = named_config("tiny").value();
  config.vocab = 29;
  config.layers = 2;
  config.hidden = 32;
  config.intermediate = 40;
  config.heads = 4;
  config.kv_heads = 2;
  config.head_dim = 8;
  config.tied = tied;
  return config;
}

class OnDevice : public testing::TestWithParam<std::string> {
 protected:
  void SetUp() override {
    const auto opened = Device::open(GetParam());
    if (!opened && GetParam() != "cpu") GTEST_SKIP() << opened.error().message();
    ASSERT_TRUE(opened) << opened.error().message();
    device = *opened;
    Rng rng(5, "device.tokens");
    for (auto& id : ids) id = std::int64_t(rng.below(29));
  }
  Batch batch(std::int64_t first, std::int64_t samples) const {
    return {ids.data() + first * kSequence, ids.data() + first * kSequence + 1, samples, kSequence};
  }
  // Largest difference, relative to the largest value.
  static double distance(const at::Tensor& got, const at::Tensor& want) {
    const at::Tensor exact = want.to(at::kCPU, at::kDouble);
    return ((got.to(at::kCPU, at::kDouble) - exact).abs().max() / exact.abs().max()).item<double>();
  }
  static void expect_gradients(const at::Tensor& got, const Model& want, double most) {
    for (const Parameter& parameter : want.layout().all())
      EXPECT_LT(distance(got.narrow(0, parameter.offset, parameter.count()),
                         want.gradients().narrow(0, parameter.offset, parameter.count())),
                most)
          << parameter.name;
  }

  static constexpr std::int64_t kSamples = 3, kSequence = 17;
  Device device;
  std::vector<std::int64_t> ids = std::vector<std::int64_t>(kSamples * kSequence + 1);
};

TEST_P(OnDevice, LossAndGradientsAreTheModels) {
  for (const bool tied : {false, true}) {
    Model want(grouped_config(tied));
    want.init(3);
    DeviceModel<float> got(want.config(), device);
    got.load(want.weights());
    const double loss = want.train(batch(0, kSamples), 0.25F);
    got.train(batch(0, kSamples), 0.25F);
    EXPECT_NEAR(got.take_loss(), loss, 1e-5 * loss);
    expect_gradients(got.gradients(), want, 2e-5);
    got.evaluate(batch(0, kSamples));
    EXPECT_NEAR(got.take_loss(), loss, 1e-5 * loss);
    EXPECT_EQ(got.take_loss(), 0);
  }
}

TEST_P(OnDevice, GradientsAddUpOverMicroBatchesAndChunksOfTheHead) {
  Model want(grouped_config(false));
  want.init(4);
  DeviceModel<float> got(want.config(), device);
  got.load(want.weights());
  got.limit_logits(7 * 29);  // of 17 or 34 rows: the last chunk is shorter
  const double loss = want.train(batch(0, kSamples), 0.5F);
  got.train(batch(0, 1), 0.5F);
  got.train(batch(1, 2), 0.5F);
  EXPECT_NEAR(got.take_loss(), loss, 1e-5 * loss);
  expect_gradients(got.gradients(), want, 2e-5);
}

// A batch's buffers are used again while an earlier one may still be on its way: each batch is its
// own all the same.
TEST_P(OnDevice, BatchesDoNotOverwriteEachOther) {
  BatchRing ring(device);
  std::vector<at::Tensor> sent;
  std::vector<std::int64_t> values(1000);
  for (std::int64_t i = 0; i < 20; ++i) {
    std::fill(values.begin(), values.end(), i);
    sent.push_back(ring.send(values.data(), values.data(), std::int64_t(values.size())));
  }
  for (std::int64_t i = 0; i < 20; ++i)
    EXPECT_TRUE((sent[std::size_t(i)] == i).all().item<bool>()) << i;
}

TEST_P(OnDevice, InBfloat16LossAndGradientsAreNear) {
  Model want(grouped_config(false));
  want.init(5);
  DeviceModel<cuda::Bfloat16> got(want.config(), device);
  got.load(want.weights());
  const double loss = want.train(batch(0, kSamples), 0.25F);
  got.train(batch(0, kSamples), 0.25F);
  EXPECT_NEAR(got.take_loss(), loss, 5e-3 * loss);
  const at::Tensor gradients = got.gradients().to(at::kCPU);
  const double off =
      ((gradients - want.gradients()).norm() / want.gradients().norm()).item<double>();
  EXPECT_GT(off, 1e-4);  // it is bf16
  EXPECT_LT(off, 3e-2);
}

// Every rule, with clipping, noise, schedules and kappas as a run has them. What differs are sums'
// orders of addition, in the products and norms.
TEST_P(OnDevice, StepsAreTheOptimizers) {
  for (const char* name :
       {"adamw", "muon", "normuon", "scion", "transported", "transported sign"}) {
    SCOPED_TRACE(name);
    OptimizerConfig config = optimizer_preset(std::string_view(name).substr(0, 11)).value();
    if (std::string_view(name).ends_with(" sign")) config.rest = RestRule::kSign;
    config.decay = 0.1;
    config.constrained = true;
    config.noise_scale = 0.01;
    Model model(grouped_config(false));
    model.init(6);
    DeviceModel<float> on_device(model.config(), device);
    on_device.load(model.weights());
    Optimizer want(model, config);
    DeviceOptimizer<float> got(on_device, config);
    auto generator = at::detail::createCPUGenerator(9);
    for (std::uint64_t step = 0; step < 4; ++step) {
      model.gradients().normal_(0, 1, generator);
      on_device.gradients().copy_(model.gradients());
      const StepInputs inputs{.step = step, .factor = 1 - 0.2 * double(step), .clip = 3.0};
      const StepReport expected = want.step(inputs), report = got.step(inputs);
      EXPECT_TRUE(report.applied);
      EXPECT_NEAR(report.gradient_norm, expected.gradient_norm, 1e-5 * expected.gradient_norm);
      EXPECT_LT(distance(on_device.weights(), model.weights()), 1e-5) << "step " << step;
      const double kappa = 2 - 0.5 * double(step / 2);  // the same at two steps
      want.extrapolate(kappa);
      got.extrapolate(kappa);
    }
    const NamedState states = want.state(), same = got.state();
    ASSERT_EQ(same.size(), states.size());
    for (std::size_t i = 0; i < states.size(); ++i) {
      EXPECT_EQ(same[i].first, states[i].first);
      EXPECT_LT(distance(same[i].second, states[i].second), 1e-4) << states[i].first;
    }
    // What the next pass reads, by its loss: at Y, and for an evaluation at W.
    for (const bool at_weights : {false, true}) {
      if (at_weights) {
        want.read_at_weights();
        got.read_at_weights();
      }
      on_device.evaluate(batch(0, kSamples));
      const double loss = model.loss(batch(0, kSamples));
      EXPECT_NEAR(on_device.take_loss(), loss, 1e-5 * loss) << at_weights;
    }
    // A load is read at the weights, and the extrapolated point again when it is asked for.
    want.extrapolate(1.5);
    got.extrapolate(1.5);
    on_device.load(model.weights());
    EXPECT_EQ(on_device.kappa(), 0);
    got.extrapolate(1.5);
    on_device.evaluate(batch(0, kSamples));
    const double loss = model.loss(batch(0, kSamples));
    EXPECT_NEAR(on_device.take_loss(), loss, 1e-5 * loss);
  }
}

TEST_P(OnDevice, AGradientThatIsNoNumberChangesNothing) {
  Model model(grouped_config(false));
  model.init(6);
  DeviceModel<float> on_device(model.config(), device);
  on_device.load(model.weights());
  DeviceOptimizer<float> optimizer(on_device, optimizer_preset("muon").value());
  on_device.gradients().fill_(0.5);
  on_device.gradients()[7] = std::nan("");
  EXPECT_FALSE(optimizer.step({}).applied);
  on_device.gradients().fill_(0.5);
  EXPECT_FALSE(optimizer.step({.norm_limit = 1}).applied);
  EXPECT_TRUE(at::equal(on_device.weights().to(at::kCPU), model.weights()));
  for (const auto& [name, tensor] : optimizer.state())
    EXPECT_EQ(tensor.abs().max().item<double>(), 0) << name;
}

// A whole run of a few steps, in bf16: the loss of one batch falls as the CPU's does.
TEST_P(OnDevice, ARunInBfloat16LearnsItsBatch) {
  Model model(grouped_config(false));
  model.init(8);
  DeviceModel<cuda::Bfloat16> on_device(model.config(), device);
  on_device.load(model.weights());
  const OptimizerConfig config = optimizer_preset("transported").value();
  Optimizer want(model, config);
  DeviceOptimizer<cuda::Bfloat16> got(on_device, config);
  const float scale = 1.0F / (kSamples * kSequence);
  double first = 0, loss = 0, expected = 0;
  for (std::uint64_t step = 0; step < 12; ++step) {
    model.gradients().zero_();
    on_device.gradients().zero_();
    want.extrapolate(1);
    got.extrapolate(1);
    expected = model.train(batch(0, kSamples), scale);
    on_device.train(batch(0, kSamples), scale);
    loss = on_device.take_loss();
    if (step == 0) first = loss;
    want.step({.step = step});
    got.step({.step = step});
  }
  EXPECT_LT(loss, 0.9 * first);
  EXPECT_NEAR(loss, expected, 0.05 * expected);
}

}  // namespace longhaul::trainer
