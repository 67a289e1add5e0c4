// `bench`: what a training step costs on this machine.
#include <ATen/Parallel.h>
#include <fmt/format.h>
#include <sys/resource.h>

#include <algorithm>
#include <chrono>
#include <utility>

#include "lib/base/rng.hpp"
#include "lib/cli/exit_code.hpp"
#include "trainer/engine/commands.hpp"
#include "trainer/engine/gemm.hpp"
#include "trainer/engine/train_setup.hpp"

namespace longhaul::trainer {
namespace {

using Clock = std::chrono::steady_clock;

double since(Clock::time_point began) {
  return std::chrono::duration<double>(Clock::now() - began).count();
}

double median(std::vector<double> values) {
  std::sort(values.begin(), values.end());
  return values[values.size() / 2];
}

// FLOP a second of the best of several products of 1024^3: the peak a CPU run is held against.
double measured_peak() {
  constexpr std::int64_t kSide = 1024;
  const at::Tensor a = at::full({kSide, kSide}, 0.5), b = a.clone();
  at::Tensor c = at::empty({kSide, kSide});
  double best = 1e9;
  for (int i = 0; i < 12; ++i) {
    const auto began = Clock::now();
    multiply_transposed(Matrix(c.data_ptr<float>(), kSide, kSide),
                        Matrix(a.data_ptr<float>(), kSide, kSide),
                        Matrix(b.data_ptr<float>(), kSide, kSide), Into::kReplace);
    best = std::min(best, since(began));
  }
  return 2.0 * kSide * kSide * kSide / best;
}

double peak_memory_bytes() {  // so far: before there is a model, what the libraries take
  struct rusage usage {};
  ::getrusage(RUSAGE_SELF, &usage);
  return static_cast<double>(usage.ru_maxrss) * 1024;
}

struct StepTimes {
  std::vector<double> step, forward, model, optimizer, polar;
};

StepTimes measure(Model& model, Optimizer& optimizer, const TrainOptions& run,
                  std::uint64_t warmup) {
  const auto batch = static_cast<std::int64_t>(run.batch);
  const auto sequence = static_cast<std::int64_t>(run.sequence);
  Rng rng(run.seed, "bench.tokens");
  std::vector<std::int64_t> ids(static_cast<std::size_t>(batch * sequence + 1));
  for (std::int64_t& id : ids)
    id = static_cast<std::int64_t>(rng.below(static_cast<std::uint64_t>(model.config().vocab)));
  const Batch tokens{ids.data(), ids.data() + 1, batch, sequence};
  double consumed = 0;  // seconds of this step
  Model::Final consume;
  if (run.consume)
    consume = [&](auto offset, auto count) {
      const auto began = Clock::now();
      optimizer.consume(offset, count);
      consumed += since(began);
    };
  StepTimes times;
  for (std::uint64_t step = 0; step < run.steps + warmup; ++step) {
    const auto began = Clock::now();
    if (run.consume)
      optimizer.begin({.step = step});
    else
      model.gradients().zero_();
    optimizer.extrapolate(run.kappa_of());
    model.train(tokens, 1.0F / static_cast<float>(batch * sequence), consume);
    const double model_seconds = since(began) - std::exchange(consumed, 0);
    const StepReport report = run.consume ? optimizer.end() : optimizer.step({.step = step});
    if (step < warmup) continue;
    times.step.push_back(since(began));
    const auto forward_began = Clock::now();
    model.loss(tokens);
    times.forward.push_back(since(forward_began));
    times.model.push_back(model_seconds);
    times.optimizer.push_back(times.step.back() - model_seconds);
    times.polar.push_back(report.polar_seconds);
  }
  return times;
}

void list_bench_options(Options& options, TrainOptions& run, std::uint64_t& warmup,
                        double& peak_tflops) {
  list_model_options(options, run);
  list_optimizer_options(options, run);
  options.add("consume", run.consume, "use and free each gradient as it is made");
  options.add("batch", run.batch, "samples a step");
  options.add("sequence", run.sequence, "tokens a sample");
  options.add("steps", run.steps, "steps measured; medians are printed");
  options.add("warmup", warmup, "steps before those: the first makes the buffers");
  options.add("threads", run.threads, "CPU threads");
  options.add("dtype", run.dtype, "of the layers' products: fp32 or bf16");
  options.add("peak-tflops", peak_tflops, "MFU against this (0: a product of 1024^3, measured)");
}

}  // namespace

Result<int> bench_command(Outside& outside, std::span<const std::string> arguments) {
  TrainOptions run;
  run.steps = 10;
  double peak_tflops = 0;
  std::uint64_t warmup = 1;
  Options options;
  list_bench_options(options, run, warmup, peak_tflops);
  if (TRY(read_options(outside.console, options, "bench", arguments)) == Asked::kHelp)
    return cli::kOk;
  run.data = run.run = ".";
  TRY(check(run));
  at::set_num_threads(static_cast<int>(run.threads));
  const double program = peak_memory_bytes();
  Model model(TRY(config_of(run)));
  model.init(run.seed);
  const Products products = TRY(products_of(run));
  model.use_products(products);
  Optimizer optimizer(model, TRY(optimizer_of(run)));
  const StepTimes times = measure(model, optimizer, run, warmup);
  const double most = peak_memory_bytes();
  const double step = median(times.step), forward = median(times.forward),
               tokens = static_cast<double>(run.batch * run.sequence);
  const double rate = tokens / step;
  const double peak = peak_tflops > 0 ? peak_tflops * 1e12 : measured_peak();
  const auto sequence = static_cast<std::int64_t>(run.sequence);
  outside.console.out(fmt::format(
      "{{\"bench\":\"train-step\",\"cell\":\"{}, {}, {} of {}\","
      "\"model\":\"{}\",\"parameters\":{},\"optimizer\":\"{}\","
      "\"dtype\":\"{}\",\"threads\":{},\"batch\":{},\"sequence\":{},\"products\":\"{}\","
      "\"tokens_per_second\":{:.1f},\"step_seconds\":{:.6f},\"model_seconds\":{:.6f},"
      "\"forward_seconds\":{:.6f},\"backward_seconds\":{:.6f},"
      "\"optimizer_seconds\":{:.6f},\"polar_seconds\":{:.6f},\"optimizer_share\":{:.4f},"
      "\"peak_flops\":{:.4g},\"peak\":\"{}\",\"mfu_full\":{:.4f},\"mfu_causal\":{:.4f},"
      "\"memory_bytes\":{:.0f},\"program_bytes\":{:.0f}}}\n",
      run.model, run.optimizer, run.batch, run.sequence, run.model, model.layout().size(),
      run.optimizer, run.dtype, run.threads, run.batch, run.sequence, gemm_backend(products), rate,
      step, median(times.model), forward, std::max(0.0, median(times.model) - forward),
      median(times.optimizer), median(times.polar), median(times.optimizer) / step, peak,
      peak_tflops > 0 ? "given" : "fp32 product of 1024^3, measured here",
      rate * train_flops_full(model.config(), sequence) / peak,
      rate * train_flops_causal(model.config(), sequence) / peak, most, program));
  return cli::kOk;
}

}  // namespace longhaul::trainer
