#include "trainer/engine/commands.hpp"

#include <ATen/Parallel.h>
#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <cmath>
#include <cstdlib>

#include "lib/cli/exit_code.hpp"
#include "trainer/engine/eval_set.hpp"
#include "trainer/engine/train.hpp"
#include "trainer/engine/train_setup.hpp"
#include "trainer/ranks/launcher.hpp"
#include "trainer/tokenizer.hpp"
#include "trainer/weights_file.hpp"

namespace longhaul::trainer {
namespace {

using Arguments = std::span<const std::string>;

Result<int> launch_ranks(Outside& outside, std::uint64_t ranks, Arguments arguments) {
  if (ranks > kMaxRanks) return fail(Kind::kUsage, "train", "--ranks out of range");
  Launch work;
  work.ranks = ranks;
  work.arguments = {"train"};
  work.arguments.insert(work.arguments.end(), arguments.begin(), arguments.end());
  work.say = [&](const std::string& text) {
    outside.console.err("longhaul-train: " + text + "\n");
  };
  work.stop_asked = [&] { return outside.control.stop_asked(); };
  return launch(work);
}

Result<int> train_command(Outside& outside, Arguments arguments) {
  TrainOptions run;
  Options options;
  list_options(options, run);
  if (TRY(read_options(outside.console, options, "train --data DIR --run DIR", arguments)) ==
      Asked::kHelp)
    return cli::kOk;
  outside.place = TRY(rank_place_of([](const char* name) { return std::getenv(name); }));
  if (run.ranks > 1 && outside.place.alone()) {
    TRY(check(run, run.ranks));  // said once, not by every rank
    return launch_ranks(outside, run.ranks, arguments);
  }
  if (run.ranks > 0 && run.ranks != outside.place.ranks)
    return fail(
        Kind::kUsage, "train",
        fmt::format("--ranks {}, but the environment says {}", run.ranks, outside.place.ranks));
  end_with_launcher();
  auto done = train(outside, run);
  if (!done && !outside.place.alone())
    outside.console.err(fmt::format("longhaul-train: this is rank {} of {}\n", outside.place.rank,
                                    outside.place.ranks));
  const TrainSummary summary = TRY(std::move(done));
  if (outside.place.rank == 0) outside.console.out(to_text(summary, run.json));
  return summary.stopped ? cli::kInterruptedByUser : cli::kOk;
}

Result<int> tokenize_command(Outside& outside, Arguments arguments) {
  TokenizeOptions work;
  std::string tokenizer_name = "bytes";
  Options options;
  options.add("input", work.inputs, "a text file or a folder of them; may be repeated");
  options.add("out", work.out, "folder for the shards");
  options.add("name", work.name, "shards are NAME_000000.bin ..");
  options.add("tokenizer", tokenizer_name, "bytes, or a SentencePiece BPE .model file");
  options.add("shard-tokens", work.shard_tokens, "tokens a shard");
  if (TRY(read_options(outside.console, options, "tokenize --input TEXT --out DIR", arguments)) ==
      Asked::kHelp)
    return cli::kOk;
  if (work.inputs.empty() || work.out.empty())
    return fail(Kind::kUsage, "tokenize", "--input or --out is missing");
  const auto tokenizer = TRY(open_tokenizer(tokenizer_name));
  const TokenizeReport report = TRY(tokenize(*tokenizer, work));
  outside.console.out(
      fmt::format("{{\"files\":{},\"bytes\":{},\"tokens\":{},\"shards\":{},\"vocab\":{}}}\n",
                  report.files, report.bytes, report.tokens, report.shards, tokenizer->vocab()));
  return cli::kOk;
}

constexpr std::uint64_t kMostEvalText = 256U << 20;

Result<EvalSet> eval_set_of(const TrainOptions& run, const Path& text,
                            const std::string& tokenizer_name, const ModelConfig& config) {
  if (text.empty()) return EvalSet::open_all(run.data, config, run);
  const auto tokenizer = TRY(open_tokenizer(tokenizer_name));
  const std::string words = TRY(read_text(text, kMostEvalText));
  return EvalSet::of_tokens(tokenizer->encode(words, Place::kBegin), text.native(), config, run);
}

Result<int> eval_command(Outside& outside, Arguments arguments) {
  TrainOptions run;
  run.eval_batches = 1U << 30;
  Path text;
  std::string tokenizer_name = "bytes";
  Options options;
  options.add("model", run.model, "a Hugging Face folder: a checkpoint, say");
  options.add("data", run.data, "token shards: a folder or a file");
  options.add("text", text, "instead of --data: a text file");
  options.add("tokenizer", tokenizer_name, "its: bytes, or a SentencePiece BPE .model file");
  options.add("sequence", run.sequence, "tokens a sample");
  options.add("batch", run.batch, "samples a forward pass");
  options.add("batches", run.eval_batches, "at most so many");
  options.add("threads", run.threads, "CPU threads");
  options.add("dtype", run.dtype, "of the layers' products: fp32 or bf16");
  if (TRY(read_options(outside.console, options, "eval --model DIR --data DIR", arguments)) ==
      Asked::kHelp)
    return cli::kOk;
  if (run.data.empty() == text.empty())
    return fail(Kind::kUsage, "evaluate", "either --data or --text is wanted");
  if (!text.empty()) run.data = ".";
  run.load = true;
  run.run = ".";
  TRY(check(run));
  at::set_num_threads(static_cast<int>(run.threads));
  Model model(TRY(config_of(run)));
  model.use_products(TRY(products_of(run)));
  TRY(start_weights(
      run, model.config(),
      {model.weights().data_ptr<float>(), static_cast<std::size_t>(model.weights().numel())}));
  const EvalSet set = TRY(eval_set_of(run, text, tokenizer_name, model.config()));
  const double loss = set.loss(model);
  outside.console.out(fmt::format("{{\"tokens\":{},\"loss\":{:.9g},\"perplexity\":{:.9g}}}\n",
                                  set.tokens(), loss, std::exp(loss)));
  return cli::kOk;
}

Result<int> export_command(Outside& outside, Arguments arguments) {
  Path from, to;
  SaveOptions save;
  Options options;
  options.add("from", from, "a checkpoint or another Hugging Face folder");
  options.add("to", to, "the folder to write");
  options.add("dtype", save.dtype, "BF16 or F32");
  options.add("shard-bytes", save.shard_bytes, "bytes a file");
  if (TRY(read_options(outside.console, options, "export --from DIR --to DIR", arguments)) ==
      Asked::kHelp)
    return cli::kOk;
  if (from.empty() || to.empty() || (save.dtype != "BF16" && save.dtype != "F32"))
    return fail(Kind::kUsage, "export", "--from, --to, and --dtype BF16 or F32 are wanted");
  const ModelConfig config = TRY(read_model_config(from));
  std::vector<float> weights(static_cast<std::size_t>(parameter_count(config)));
  TRY(load_weights(from, config, weights));
  TRY(save_weights(to, config, weights, save));
  outside.console.out(
      fmt::format("{{\"parameters\":{},\"dtype\":\"{}\"}}\n", weights.size(), save.dtype));
  return cli::kOk;
}

}  // namespace

Result<Asked> read_options(cli::Console& console, Options& options, const char* usage,
                           std::span<const std::string> arguments) {
  if (std::count(arguments.begin(), arguments.end(), "--help") > 0) {
    console.out(fmt::format("longhaul-train {} [flags]\n{}", usage, options.help()));
    return Asked::kHelp;
  }
  const std::vector<std::string> rest = TRY(options.parse(arguments));
  if (!rest.empty())
    return fail(Error(Kind::kUsage, "read the command", "\"" + rest.front() + "\" is no flag")
                    .advise("see --help"));
  return Asked::kRun;
}

const std::vector<CommandEntry>& commands() {
  static const std::vector<CommandEntry> kCommands = {
      {"train", "train a model on token shards", train_command},
      {"tokenize", "make token shards from text", tokenize_command},
      {"bench", "tokens a second, where a step's time goes, MFU", bench_command},
      {"bench-device", "the same on a GPU", bench_device_command},
      {"serve-bench", "answer requests: TTFT, TPOT, ITL, goodput, pp512, tg128",
       serve_bench_command},
      {"eval", "loss and perplexity of a model on token shards or a text", eval_command},
      {"plan", "days, money, memory and link rate of a run, before it", plan_command},
      {"export", "a checkpoint as a Hugging Face folder", export_command},
  };
  return kCommands;
}

}  // namespace longhaul::trainer
