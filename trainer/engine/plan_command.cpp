// `plan`: what a run will take, before anything is rented.
#include <fmt/format.h>
#include <sys/resource.h>

#include "lib/cli/exit_code.hpp"
#include "trainer/engine/commands.hpp"
#include "trainer/engine/train_setup.hpp"
#include "trainer/plan.hpp"

namespace longhaul::trainer {
namespace {

struct PlanOptions {
  TrainOptions run;
  std::string gpu, dtype;
  std::uint64_t ranks = 8;
  double tokens = 0, mfu = 0.4, price = 0, link = 0, peak_tflops = 0, token_bytes = 2,
         step_tokens = 0;
  bool parts = false;
};

void list(Options& options, PlanOptions& o) {
  list_model_options(options, o.run);
  options.add("tokens", o.tokens, "to train on (0: 20 a parameter)");
  options.add("sequence", o.run.sequence, "tokens a sample");
  options.add("gpu", o.gpu, "a40, a100, h100, h100-pcie, h200, l40s (empty: h100)");
  options.add("peak-tflops", o.peak_tflops, "of one rank, instead of the --gpu's (0: that)");
  options.add("ranks", o.ranks, "how many of them");
  options.add("mfu", o.mfu, "share of the peak reached (full convention): bench it");
  options.add("price", o.price, "of one rank an hour");
  options.add("link", o.link, "Mbit/s you have (0: not known)");
  options.add("token-bytes", o.token_bytes, "a token on the wire");
  options.add("optimizer", o.run.optimizer, "for a rank's memory, and its polar factors");
  options.add("rest", o.run.rest, "as train's, for the same");
  options.add("kappa", o.run.kappa, "as train's, for the same");
  options.add("dtype", o.dtype, "of the products, for the same (empty: bf16; on a CPU fp32)");
  options.add("step-tokens", o.step_tokens,
              "of a step, over all ranks: then its polar factors count, at the same MFU (0: not)");
  options.add("batch", o.run.batch, "samples a forward pass of a rank, for its memory");
  options.add("consume", o.run.consume, "for the memory of a CPU rank");
  options.add("threads", o.run.threads, "for the same");
  options.add("memory", o.parts, "a rank's memory in its parts, and nothing else");
}

double program_bytes() {  // without a model: what the libraries take
  struct rusage usage {};
  ::getrusage(RUSAGE_SELF, &usage);
  return static_cast<double>(usage.ru_maxrss) * 1024;
}

std::string memory_line(const ModelConfig& config, const Memory& need, const DeviceMemory& card) {
  const auto program = static_cast<std::int64_t>(program_bytes());
  return fmt::format(
      "{{\"parameters\":{},\"weights\":{},\"gradients\":{},\"optimizer\":{},\"activations\":{},"
      "\"workspace\":{},\"program\":{},\"total\":{},\"snapshot\":{},"
      "\"card\":{{\"weights\":{},\"gradients\":{},\"reading\":{},\"optimizer\":{},"
      "\"activations\":{},\"workspace\":{},\"total\":{}}}}}\n",
      parameter_count(config), need.weights, need.gradients, need.optimizer, need.activations,
      need.workspace, program, need.total() + program, need.snapshot, card.weights, card.gradients,
      card.reading, card.optimizer, card.activations, card.workspace, card.total());
}

MemoryInputs memory_of(const PlanOptions& o, const ModelConfig& config,
                       const OptimizerConfig& optimizer) {
  MemoryInputs in{.model = config};
  in.samples = static_cast<std::int64_t>(o.run.batch);
  in.sequence = static_cast<std::int64_t>(o.run.sequence);
  in.threads = static_cast<std::int64_t>(o.run.threads);
  in.adamw_matrices = optimizer.matrices == MatrixRule::kAdamW;
  in.rest_adamw = optimizer.rest == RestRule::kAdamW;
  in.transported = optimizer.transported;
  in.consumed = o.run.consume;
  in.row_squares = optimizer.matrices == MatrixRule::kNorMuon;
  in.ranks = static_cast<std::int64_t>(o.ranks);
  return in;
}

PlanInputs inputs_of(const PlanOptions& o, const ModelConfig& config,
                     const OptimizerConfig& optimizer, double peak) {
  PlanInputs in{.model = config};
  in.tokens = o.tokens == 0 ? 20 * static_cast<double>(parameter_count(config)) : o.tokens;
  in.sequence = static_cast<std::int64_t>(o.run.sequence);
  in.ranks = static_cast<double>(o.ranks);
  in.peak_flops = peak;
  in.mfu = o.mfu;
  in.price_per_hour = o.price;
  in.token_bytes = o.token_bytes;
  if (optimizer.matrices != MatrixRule::kAdamW)
    in.polar_steps = static_cast<int>(recipe_of(optimizer.polar).steps.size());
  in.step_tokens = o.step_tokens;
  in.link_bits_per_second = o.link * 1e6;
  return in;
}

std::string rates_line(const PlanInputs& in, const Plan& out) {
  const bool linked = in.link_bits_per_second > 0;
  return fmt::format(
      "\"parameters\":{},\"tokens\":{:.4g},\"peak_flops_a_rank\":{:.4g},\"mfu_assumed\":{},"
      "\"tokens_per_second\":{:.1f},\"polar_share\":{:.4f},\"days\":{:.3f},\"cost\":{:.2f},"
      "\"stalls_below_mbit\":{:.3f},\"link_share\":{},\"upload_hours\":{}",
      parameter_count(in.model), in.tokens, in.peak_flops, in.mfu, out.tokens_per_second,
      out.polar_share, out.seconds / 86400, out.cost, out.feed_bits_per_second / 1e6,
      linked ? fmt::format("{:.4f}", out.link_share) : "null",
      linked ? fmt::format("{:.3f}", out.upload_seconds / 3600) : "null");
}

// What a card has, where it is known which.
struct Card {
  std::string name;
  double peak = 0, bytes = 0;
};
Result<Card> card_of(const PlanOptions& o) {
  Card out{o.gpu.empty() ? "h100" : o.gpu, o.peak_tflops * 1e12};
  if (o.gpu.empty() && o.peak_tflops != 0) return out;
  const Accelerator known = TRY(accelerator(out.name));
  if (o.peak_tflops == 0) out.peak = known.peak_flops;
  out.bytes = known.memory_bytes;
  return out;
}

}  // namespace

Result<int> plan_command(Outside& outside, std::span<const std::string> arguments) {
  PlanOptions o;
  o.run.model = "llama-1.4b";
  o.run.sequence = 1024;
  Options options;
  list(options, o);
  if (TRY(read_options(outside.console, options, "plan", arguments)) == Asked::kHelp)
    return cli::kOk;
  if (!o.dtype.empty()) o.run.dtype = o.dtype;
  const bool bf16 = TRY(products_of(o.run)) == Products::kBfloat16;
  const OptimizerConfig optimizer = TRY(optimizer_of(o.run));
  const Card card = TRY(card_of(o));
  const ModelConfig config = TRY(config_of(o.run));
  const PlanInputs in = inputs_of(o, config, optimizer, card.peak);
  MemoryInputs rank = memory_of(o, config, optimizer);
  TRY(check(in));
  TRY(check(rank));
  rank.bf16 = bf16;
  MemoryInputs on_cpu = rank;
  if (rank.consumed) on_cpu.ranks = 1;  // it goes with no others
  const Memory need = memory(on_cpu);
  rank.bf16 = bf16 || o.dtype.empty();
  const DeviceMemory on_card = device_memory(rank);
  if (o.parts) {
    outside.console.out(memory_line(config, need, on_card));
    return cli::kOk;
  }
  const bool known = card.bytes > 0, fits = static_cast<double>(on_card.total()) <= card.bytes;
  outside.console.out(fmt::format(
      "{{{},\"rank_bytes\":{},\"card_bytes\":{},\"fits\":{},\"cpu_rank_bytes\":{},"
      "\"cpu_snapshot_bytes\":{}}}\n",
      rates_line(in, plan(in)), on_card.total(), known ? fmt::format("{:.0f}", card.bytes) : "null",
      known ? fmt::to_string(fits) : "null", need.total(), need.snapshot));
  if (known && !fits)
    outside.console.err(fmt::format(
        "longhaul-train: a rank takes {:.1f} GB and a card of {} has {:.0f}: a smaller --batch, "
        "--sequence or --model, or an optimizer that keeps less\n",
        static_cast<double>(on_card.total()) / 1e9, card.name, card.bytes / 1e9));
  return cli::kOk;
}

}  // namespace longhaul::trainer
