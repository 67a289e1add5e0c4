#include "trainer/train_options.hpp"

#include <fmt/format.h>

#include <cmath>
#include <utility>

#include "lib/base/escape.hpp"

namespace longhaul::trainer {

Schedule TrainOptions::schedule_of() const {
  Schedule out;
  out.kind = parse_schedule(schedule).value_or(ScheduleKind::kCosine);
  out.warmup = static_cast<std::uint64_t>(std::ceil(warmup * static_cast<double>(steps)));
  out.total = steps;
  out.floor = floor;
  out.cooldown = cooldown;
  return out;
}

namespace {

void list_rule_options(Options& o, TrainOptions& run) {
  list_optimizer_options(o, run);
  o.add("clip", run.clip, "largest norm of the gradient (0: none)");
  o.add(
      "consume", run.consume,
      "use and free each gradient as it is made: least memory, and no --clip, --spike, --micro or "
      "other ranks");
  o.add("noise", run.noise, "scale of injected heavy-tailed gradient noise (0: none)");
  o.add("noise-alpha", run.noise_alpha, "its tail index, in (1, 2]");
  o.add("schedule", run.schedule, "constant, cosine, linear, wsd");
  o.add("warmup", run.warmup, "share of the steps");
  o.add("cooldown", run.cooldown, "share of the steps, of linear and wsd");
  o.add("floor", run.floor, "the schedule's last factor");
}

void list_ways_options(Options& o, TrainOptions& run) {
  o.add("eval-every", run.eval_every, "steps (0: never)");
  o.add("eval-batches", run.eval_batches, "batches an evaluation");
  o.add("checkpoint-every", run.checkpoint_every, "steps (0: at the end only)");
  o.add("keep", run.keep, "newest checkpoints kept");
  o.add(
      "grace", run.grace,
      "seconds from the signal to stop until this is killed: a checkpoint that takes longer is not "
      "begun (0: as Slurm says)");
  o.add("resume", run.resume, "no, auto, or a checkpoint's folder");
  o.add("spike", run.spike, "refuse gradients so many times their average (0: none)");
  o.add("say-every", run.say_every, "steps between lines on stderr");
  o.add("forget-controls", run.forget_controls,
        "what people set while the run was at work (lr, clip ..) is not set again on a resume");
  o.add("jsonl", run.jsonl, "the numbers also as RUN/metrics.jsonl, a line a step");
  o.add("json", run.json, "the summary as one JSON object on stdout");
}

}  // namespace

void list_optimizer_options(Options& o, TrainOptions& run) {
  o.add("optimizer", run.optimizer, "adamw, muon, normuon, scion, transported");
  o.add("rest", run.rest, "rule of embedding, head and gains: adamw or sign (empty: usual)");
  o.add("rate", run.rate, "learning rate of matrices (0: the optimizer's usual)");
  o.add("rest-rate", run.rest_rate, "of embedding, head and gains (0: usual)");
  o.add("momentum", run.momentum, "of matrices, and of sign's rest (-1: usual)");
  o.add("nesterov", run.nesterov, "yes or no (empty: usual)");
  o.add("polar", run.polar, "newton-schulz or polar-express (empty: newton-schulz)");
  o.add("scale", run.scale, "jordan, moonlight or spectral (empty: usual)");
  o.add("decay", run.decay, "weight decay of matrices (-1: usual)");
  o.add("kappa", run.kappa,
        "extrapolation, times the schedule, of any rule but adamw (-1: 2 of `transported`, else "
        "none)");
  o.add("radius", run.radius, "scion's, of matrices (0: 1)");
  o.add("rest-radius", run.rest_radius, "of sign's rest (0: 1)");
  o.add("constrained", run.constrained, "scion and sign also shrink the weights, by 1 - rate");
  o.add("beta1", run.beta1, "AdamW's, of the mean (-1: usual)");
  o.add("beta2", run.beta2, "AdamW's, of the mean square (-1: usual)");
  o.add("eps", run.eps, "AdamW's (0: usual)");
  o.add("row-beta", run.row_beta, "normuon's, of the rows' mean squares (-1: usual)");
}

namespace {

tl::unexpected<Error> nonsense(std::string why) {
  return fail(Kind::kUsage, "set up the run", std::move(why));
}

Result<> check_ranges(const TrainOptions& o) {
  const auto share = [](double value) { return value >= 0 && value <= 1; };
  const auto average = [](double beta) { return beta == -1 || (beta >= 0 && beta < 1); };
  const std::pair<bool, const char*> kRules[] = {
      {o.rate >= 0, "--rate is above 0 (0: the optimizer's usual)"},
      {o.rest_rate >= 0, "--rest-rate is above 0 (0: the optimizer's usual)"},
      {average(o.momentum), "--momentum lies in [0, 1)"},
      {o.decay == -1 || (o.decay >= 0 && o.decay <= 10), "--decay lies in [0, 10]"},
      {o.kappa == -1 || (o.kappa >= 0 && o.kappa <= 100), "--kappa lies in [0, 100]"},
      {o.radius >= 0, "--radius is above 0 (0: 1)"},
      {o.rest_radius >= 0, "--rest-radius is above 0 (0: 1)"},
      {average(o.beta1), "--beta1 lies in [0, 1)"},
      {average(o.beta2), "--beta2 lies in [0, 1)"},
      {o.eps >= 0, "--eps is above 0 (0: the optimizer's usual)"},
      {average(o.row_beta), "--row-beta lies in [0, 1)"},
      {o.clip >= 0, "--clip is a norm (0: none)"},
      {o.spike == 0 || o.spike >= 1, "--spike is at least 1 (0: none)"},
      {o.noise >= 0, "--noise is a scale (0: none)"},
      {o.noise_alpha > 1 && o.noise_alpha <= 2, "--noise-alpha lies in (1, 2]"},
      {share(o.warmup), "--warmup is a share of the steps, in [0, 1]"},
      {share(o.cooldown), "--cooldown is a share of the steps, in [0, 1]"},
      {share(o.floor), "--floor is the schedule's last factor, in [0, 1]"},
  };
  for (const auto& [holds, sentence] : kRules)
    if (!holds) return nonsense(sentence);
  return {};
}

}  // namespace

Result<> check_rules(const TrainOptions& o) {
  TRY(check_ranges(o));
  if (!o.rest.empty() && o.rest != "adamw" && o.rest != "sign")
    return nonsense("--rest is adamw or sign");
  const bool polar = o.optimizer != "adamw", scion = o.optimizer == "scion";
  const bool sign = o.rest.empty() ? scion : o.rest == "sign";
  const struct {
    bool asked, used;
    const char* flag;
  } kUses[] = {
      {o.rest == "sign", polar, "--rest sign"},
      {o.momentum >= 0, polar, "--momentum"},
      {!o.nesterov.empty(), polar && !scion, "--nesterov"},
      {!o.polar.empty(), polar, "--polar"},
      {!o.scale.empty(), polar, "--scale"},
      {o.decay >= 0, !scion, "--decay"},
      {o.kappa >= 0, polar, "--kappa"},
      {o.radius > 0, scion, "--radius"},
      {o.rest_radius > 0, sign, "--rest-radius"},
      {o.constrained, scion || sign, "--constrained"},
      {o.beta1 >= 0, !sign, "--beta1"},
      {o.beta2 >= 0, !sign, "--beta2"},
      {o.eps > 0, !sign, "--eps"},
      {o.row_beta >= 0, o.optimizer == "normuon", "--row-beta"},
  };
  for (const auto& [asked, used, flag] : kUses)
    if (asked && !used)
      return nonsense(fmt::format("{} is not used by --optimizer {} with --rest {}", flag,
                                  printable(o.optimizer, 32), sign ? "sign" : "adamw"));
  return {};
}

void list_model_options(Options& o, TrainOptions& run) {
  o.add("model", run.model, "tiny, llama-60m .. llama-1.4b, or a Hugging Face folder");
  o.add("layers", run.layers, "another depth (0: the model's)");
  o.add("hidden", run.hidden, "another width, its heads and MLP along (0: the model's)");
}

void list_options(Options& o, TrainOptions& run) {
  list_model_options(o, run);
  o.add("load", run.load, "start from the folder's weights");
  o.add("data", run.data, "token shards: a folder or a file");
  o.add("dataset", run.dataset,
        "instead of --data: NAME[@v000001|@incoming] below --store, while its push still runs too");
  o.add("store", run.store, "ROOT of the streamer that has the dataset, or gateway:PASSFILE");
  o.add("eval-data", run.eval_data, "token shards to evaluate on");
  o.add("run", run.run, "the run's folder; made if missing");
  o.add("steps", run.steps, "optimizer steps of the whole run");
  o.add("batch", run.batch, "samples a step, over all ranks");
  o.add("micro", run.micro, "samples a forward pass of a rank (0: all of its)");
  o.add("sequence", run.sequence, "tokens a sample");
  o.add("seed", run.seed, "of weights, order and noise");
  o.add("shuffle-window", run.window, "blocks of 8 MiB within which samples are shuffled");
  o.add("prefetch", run.prefetch,
        "what so many seconds of training read is asked for first, of a dataset on its way");
  o.add(
      "order", run.order,
      "shuffled; upload or arrival: the first epoch's blocks as a push sends them, or as they are "
      "here");
  o.add("dtype", run.dtype, "of the layers' products: fp32 or bf16 (weights and sums stay fp32)");
  o.add("device", run.device,
        "cpu, cuda (of several ranks on a host, a GPU each), cuda:N: no GPU was at hand, "
        "it has never run on one. cpu-device is the GPU's code on the CPU, slow, for tests");
  o.add("threads", run.threads, "CPU threads of each rank");
  o.add("ranks", run.ranks,
        "processes on this host that train together (0: as torchrun's or srun's variables say)");
  o.add("rank-wait", run.rank_wait, "seconds to wait for another rank to start, or inside a sum");
  list_rule_options(o, run);
  list_ways_options(o, run);
}

std::string config_json(const TrainOptions& run) {
  TrainOptions copy = run;
  Options options;
  list_options(options, copy);
  return options.json();
}

}  // namespace longhaul::trainer
