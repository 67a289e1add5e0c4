// `bench-device`: what a training step costs on a GPU (or on the CPU by the same code).
#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <cmath>

#include "lib/base/rng.hpp"
#include "lib/cli/exit_code.hpp"
#include "trainer/engine/commands.hpp"
#include "trainer/engine/device_optimizer.hpp"
#include "trainer/engine/train_setup.hpp"
#include "trainer/engine/within_memory.hpp"
#include "trainer/plan.hpp"

namespace longhaul::trainer {
namespace {

using BenchClock = std::chrono::steady_clock;

double seconds_since(BenchClock::time_point began) {
  return std::chrono::duration<double>(BenchClock::now() - began).count();
}

std::string json_number(double value) {  // JSON has no other
  return std::isfinite(value) ? fmt::format("{:.4f}", value) : "null";
}

double middle_of(std::vector<double> values) {
  std::sort(values.begin(), values.end());
  return values[values.size() / 2];
}

// What MFU is held against: as given, or by its maker's data sheet where the card is known.
struct Peak {
  double flops = 0;  // 0: not known
  std::string source = "null";
};
Peak peak_of(const std::string& gpu, double given_tflops) {
  if (given_tflops > 0) return {given_tflops * 1e12, "\"given\""};
  const Accelerator* card = accelerator_called(gpu);
  if (card == nullptr) return {};
  return {card->peak_flops, fmt::format("\"{}, dense bf16, data sheet\"", card->name)};
}

struct DeviceTimes {
  std::vector<double> step, forward, model, optimizer, polar;
  double loss = 0;  // a token, of the last step
};

template <class T>
Result<DeviceTimes> measure_on(const Device& device, const TrainOptions& run,
                               const ModelConfig& config, const OptimizerConfig& rules) {
  DeviceModel<T> model(config, device);
  {
    Model start(config);
    start.init(run.seed);
    model.load(start.weights());
  }
  DeviceOptimizer<T> optimizer(model, rules);
  const auto batch = static_cast<std::int64_t>(run.batch),
             sequence = static_cast<std::int64_t>(run.sequence),
             micro = run.micro == 0 ? batch : static_cast<std::int64_t>(run.micro);
  Rng rng(run.seed, "bench.tokens");
  std::vector<std::int64_t> ids(static_cast<std::size_t>(batch * sequence + 1));
  for (std::int64_t& id : ids)
    id = static_cast<std::int64_t>(rng.below(static_cast<std::uint64_t>(config.vocab)));
  const double tokens = static_cast<double>(batch * sequence);
  const auto part = [&](std::int64_t first) {
    const std::int64_t* at = ids.data() + first * sequence;
    return Batch{at, at + 1, micro, sequence};
  };
  DeviceTimes times;
  constexpr std::uint64_t kWarmup = 3;  // the first make buffers and choose products' algorithms
  for (std::uint64_t step = 0; step < run.steps + kWarmup; ++step) {
    device.wait();
    const auto began = BenchClock::now();
    model.gradients().zero_();
    optimizer.extrapolate(run.kappa_of());
    for (std::int64_t first = 0; first < batch; first += micro)
      model.train(part(first), static_cast<float>(1 / tokens));
    device.wait();  // so that each part's time is its own; a run does not wait here
    const double model_seconds = seconds_since(began);
    const StepReport report = optimizer.step({.step = step});
    device.wait();
    const double whole = seconds_since(began);
    times.loss = model.take_loss() / tokens;
    const auto forward_began = BenchClock::now();
    for (std::int64_t first = 0; first < batch; first += micro) model.evaluate(part(first));
    static_cast<void>(model.take_loss());
    const double forward = seconds_since(forward_began);
    if (step < kWarmup) continue;
    times.forward.push_back(forward);
    times.polar.push_back(report.polar_seconds);
    times.step.push_back(whole);
    times.model.push_back(model_seconds);
    times.optimizer.push_back(whole - model_seconds);
  }
  return times;
}

}  // namespace

Result<int> bench_device_command(Outside& outside, std::span<const std::string> arguments) {
  TrainOptions run;
  run.steps = 10;
  run.dtype = "bf16";
  std::string device_name = "cuda";
  double peak_tflops = 0;
  Options options;
  options.add("device", device_name, "cuda, cuda:N, or cpu, which is slow");
  list_model_options(options, run);
  list_optimizer_options(options, run);
  options.add("batch", run.batch, "samples a step");
  options.add("micro", run.micro, "samples a forward pass (0: all of the step's)");
  options.add("sequence", run.sequence, "tokens a sample");
  options.add("steps", run.steps, "steps measured; medians are printed");
  options.add("dtype", run.dtype,
              "of activations and of the weights that products read: bf16, fp32");
  options.add("peak-tflops", peak_tflops, "MFU against this (0: the card's, if it is known)");
  if (TRY(read_options(outside.console, options, "bench-device", arguments)) == Asked::kHelp)
    return cli::kOk;
  run.data = run.run = ".";
  TRY(check(run));
  const Device device = TRY(Device::open(device_name));
  const ModelConfig config = TRY(config_of(run));
  const OptimizerConfig rules = TRY(optimizer_of(run));
  const bool bf16 = TRY(products_of(run)) == Products::kBfloat16;
  const DeviceTimes times = TRY(within_memory("train a step", "a smaller --micro or --model", [&] {
    return bf16 ? measure_on<cuda::Bfloat16>(device, run, config, rules)
                : measure_on<float>(device, run, config, rules);
  }));
  const double step = middle_of(times.step), forward = middle_of(times.forward);
  const double rate = static_cast<double>(run.batch * run.sequence) / step;
  const Peak peak = peak_of(device.name(), peak_tflops);
  const auto sequence = static_cast<std::int64_t>(run.sequence);
  const auto share_of_peak = [&](double flops) {
    return peak.flops > 0 ? fmt::format("{:.4f}", rate * flops / peak.flops) : "null";
  };
  outside.console.out(fmt::format(
      "{{\"bench\":\"device-step\",\"cell\":\"{} {}\",\"device\":\"{}\",\"parameters\":{},"
      "\"dtype\":\"{}\",\"batch\":{},\"micro\":{},\"sequence\":{},\"tokens_per_second\":{:.1f},"
      "\"step_seconds\":{:.6f},\"model_seconds\":{:.6f},\"forward_seconds\":{:.6f},"
      "\"backward_seconds\":{:.6f},\"optimizer_seconds\":{:.6f},\"polar_seconds\":{:.6f},"
      "\"optimizer_share\":{:.4f},\"loss\":{},\"peak_flops\":{:.4g},\"peak\":{},"
      "\"mfu_full\":{},\"mfu_causal\":{},\"device_bytes\":{:.0f}}}\n",
      run.model, run.optimizer, device.name(), parameter_count(config), run.dtype, run.batch,
      run.micro == 0 ? run.batch : run.micro, run.sequence, rate, step, middle_of(times.model),
      forward, std::max(0.0, middle_of(times.model) - forward), middle_of(times.optimizer),
      middle_of(times.polar), middle_of(times.optimizer) / step, json_number(times.loss),
      peak.flops, peak.source, share_of_peak(train_flops_full(config, sequence)),
      share_of_peak(train_flops_causal(config, sequence)), device.peak_bytes()));
  return cli::kOk;
}

}  // namespace longhaul::trainer
