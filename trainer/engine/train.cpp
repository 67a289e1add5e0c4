#include "trainer/engine/train.hpp"

#include <ATen/Parallel.h>
#include <fmt/format.h>

#include <chrono>

#include "lib/base/escape.hpp"
#include "trainer/engine/train_setup.hpp"
#include "trainer/folder_source.hpp"

namespace longhaul::trainer {
namespace {

constexpr std::uint64_t kMaxRefusals = 20;  // in a row: the run is lost, not unlucky
constexpr std::uint64_t kGuardWarmup = 20;  // steps before the spike guard judges
constexpr double kGuardWeight = 0.02;       // of the newest norm in its average
constexpr Duration kPauseLook = 100ms;

Time now() {
  return Time(std::chrono::steady_clock::now().time_since_epoch());
}

std::span<float> floats_of(const at::Tensor& tensor) {
  return {tensor.data_ptr<float>(), static_cast<std::size_t>(tensor.numel())};
}

class Run {
 public:
  Run(cli::Console& console, Control& control, const TrainOptions& options,
      const ModelConfig& config, const OptimizerConfig& optimizer)
      : console_(console),
        control_(control),
        options_(options),
        schedule_(options.schedule_of()),
        model_(config),
        optimizer_(model_, optimizer),
        kappa_(options.kappa) {}

  Result<> open();
  Result<TrainSummary> go();

 private:
  Result<> open_data();
  Result<> resume();
  Result<> restore(const Found& found);
  Result<> one_step();
  double forward_backward(const LoadedBatch& batch);
  StepReport apply();
  Result<> judge(const StepReport& report, double loss);
  void obey();
  void apply_commands();
  void pause();
  void evaluate();
  void checkpoint();
  void report_outcomes();
  void say(double loss, double seconds);
  CheckpointNotes notes() const;
  TrainSummary summary() const;

  cli::Console& console_;
  Control& control_;
  const TrainOptions& options_;
  Schedule schedule_;
  Model model_;
  Optimizer optimizer_;
  double kappa_;
  std::unique_ptr<FolderSource> source_;
  std::optional<SampleOrder> order_;
  std::unique_ptr<Loader> loader_;
  std::optional<EvalSet> eval_;
  std::unique_ptr<FileReporter> reporter_;
  std::unique_ptr<CheckpointWriter> checkpoints_;
  std::string data_identity_;
  std::vector<Command> commands_;  // seen in the last step, due in the next
  std::map<std::string, double> numbers_;
  std::uint64_t attempt_ = 0, step_ = 0, first_step_ = 0, refused_ = 0, refused_in_a_row_ = 0;
  std::optional<std::uint64_t> saved_step_;
  bool stop_ = false, want_checkpoint_ = false, paused_ = false;
  double loss_ = 0, eval_loss_ = -1, polar_seconds_ = 0;
  std::optional<Error> lost_;  // a newer attempt is at work, or the like: end without writing
  Ledger ledger_{now()};
};

Result<> Run::open_data() {
  source_ = TRY(FolderSource::open(options_.data));
  data_identity_ = source_->identity();
  order_ = TRY(SampleOrder::make(
      source_->shards(),
      {.seed = options_.seed, .sequence = options_.sequence, .window_blocks = options_.window}));
  if (!options_.eval_data.empty())
    eval_ = TRY(EvalSet::open(options_.eval_data, model_.config(), options_));
  return {};
}

Result<> Run::open() {
  TRY(open_data());
  TRY(make_folders(options_.run));
  TRY(start_weights(options_, model_));
  if (options_.resume != "no") TRY(resume());
  if (options_.resume == "no") {
    const std::vector<Path> there = TRY(list_checkpoints(options_.run));
    if (!there.empty())
      return fail(Error(Kind::kExists, "start a run in " + printable(options_.run.native()),
                        "it holds checkpoints")
                      .advise("go on with --resume auto, or choose another --run"));
  }
  attempt_ = TRY(claim_attempt(options_.run));
  reporter_ = TRY(FileReporter::open(options_.run / "metrics.jsonl", attempt_));
  checkpoints_ =
      std::make_unique<CheckpointWriter>(options_.run, attempt_, model_.config(), options_.keep);
  first_step_ = step_;
  loader_ = std::make_unique<Loader>(
      std::move(source_), *std::move(order_), options_.sequence,
      LoaderOptions{.global_batch = options_.batch,
                    .vocab = static_cast<std::uint64_t>(model_.config().vocab),
                    .first_index = step_ * options_.batch});
  reporter_->event(step_, fmt::format("attempt {} begins", attempt_));
  return {};
}

Result<> Run::resume() {
  if (options_.resume != "auto") {
    return restore({options_.resume, TRY(verify_checkpoint(options_.resume))});
  }
  std::vector<std::string> broken;
  const std::optional<Found> found = TRY(newest_valid(options_.run, broken));
  for (const std::string& why : broken) console_.err("longhaul-train: passed over: " + why + "\n");
  return found ? restore(*found) : Result<>();
}

Result<> Run::restore(const Found& found) {
  const auto settings = settings_of(options_, data_identity_);
  for (const auto& [key, value] : settings) {
    const auto before = found.notes.settings.find(key);
    if (before != found.notes.settings.end() && before->second != value)
      return fail(Kind::kUsage, "resume from " + printable(found.folder.native()),
                  fmt::format("its {} is {}, not {}", key, printable(before->second, 80), value));
  }
  std::string differs;
  for (const auto& [key, value] : environment_of(options_)) {
    const auto before = found.notes.environment.find(key);
    if (before == found.notes.environment.end() || before->second != value) differs += " " + key;
  }
  if (!differs.empty())
    console_.err("longhaul-train: the same run, not the same bits: differs in" + differs + "\n");
  std::vector<NamedFloats> state;
  for (const auto& [name, tensor] : optimizer_.state()) state.emplace_back(name, floats_of(tensor));
  TRY(load_checkpoint(found.folder, model_.config(), floats_of(model_.weights()), state));
  step_ = found.notes.step;
  if (found.notes.next_index != step_ * options_.batch)
    return fail(Kind::kMalformed, "resume from " + printable(found.folder.native()),
                "its sample does not fit its step");
  numbers_ = found.notes.numbers;
  for (const auto& [key, value] : numbers_) {
    if (key == "set.kappa") kappa_ = value;
    if (key.starts_with("set.")) optimizer_.set(key.substr(4), value);
  }
  if (numbers_.contains("best.loss")) eval_loss_ = numbers_["best.loss"];
  saved_step_ = step_;
  console_.err(fmt::format("longhaul-train: resumes at step {}\n", step_));
  return {};
}

double Run::forward_backward(const LoadedBatch& batch) {
  const auto sequence = static_cast<std::int64_t>(options_.sequence);
  const auto samples = static_cast<std::int64_t>(options_.batch);
  const auto micro = options_.micro == 0 ? samples : static_cast<std::int64_t>(options_.micro);
  const double tokens = static_cast<double>(samples * sequence);
  model_.gradients().zero_();
  optimizer_.extrapolate(kappa_ * schedule_.factor(step_));
  double sum = 0;
  for (std::int64_t first = 0; first < samples; first += micro)
    sum += model_.train({batch.tokens.data() + first * sequence,
                         batch.targets.data() + first * sequence, micro, sequence},
                        static_cast<float>(1 / tokens));
  return sum / tokens;
}

StepReport Run::apply() {
  double& average = numbers_["guard.norm"];
  const bool judges = options_.spike > 0 && step_ >= kGuardWarmup && average > 0;
  const StepReport report = optimizer_.step({.step = step_,
                                             .factor = schedule_.factor(step_),
                                             .norm_limit = judges ? options_.spike * average : 0});
  if (report.applied)
    average += (average > 0 ? kGuardWeight : 1.0) * (report.gradient_norm - average);
  polar_seconds_ += report.polar_seconds;
  return report;
}

Result<> Run::judge(const StepReport& report, double loss) {
  if (report.applied) {
    refused_in_a_row_ = 0;
    return {};
  }
  ++refused_;
  reporter_->log(Series::kSkipped, step_, 1);
  reporter_->event(
      step_, fmt::format("update refused: loss {}, gradient norm {}", loss, report.gradient_norm));
  if (++refused_in_a_row_ < kMaxRefusals) return {};
  return fail(Error(Kind::kIntegrity, fmt::format("train at step {}", step_),
                    fmt::format("{} updates in a row were refused", kMaxRefusals))
                  .advise("go on from a checkpoint with a smaller --rate"));
}

Result<> Run::one_step() {
  const Time began = now();
  ledger_.enter(Column::kControl, began);
  apply_commands();
  if (control_.pending()) obey();
  if (stop_) return {};
  ledger_.enter(Column::kData, now());
  const LoadedBatch* batch = TRY(loader_->take());
  ledger_.enter(Column::kCompute, now());
  loss_ = forward_backward(*batch);
  const StepReport report = apply();
  ledger_.enter(Column::kReport, now());
  const double seconds = std::chrono::duration<double>(now() - began).count();
  reporter_->log(Series::kLoss, step_, loss_);
  reporter_->log(Series::kGradientNorm, step_, report.gradient_norm);
  reporter_->log(Series::kRate, step_, optimizer_.config().rate * schedule_.factor(step_));
  reporter_->log(Series::kTokensPerSecond, step_,
                 static_cast<double>(options_.batch * options_.sequence) / seconds);
  TRY(judge(report, loss_));
  if (options_.say_every > 0 && step_ % options_.say_every == 0) say(loss_, seconds);
  ++step_;
  if (options_.eval_every > 0 && (step_ % options_.eval_every == 0 || step_ == options_.steps))
    evaluate();
  if (want_checkpoint_ || (options_.checkpoint_every > 0 && step_ % options_.checkpoint_every == 0))
    checkpoint();
  ledger_.enter(Column::kOther, now());
  return {};
}
void Run::say(double loss, double seconds) {
  const auto data = static_cast<double>(ledger_.spent(Column::kData).count());
  const auto wall = static_cast<double>(std::max<std::int64_t>(1, ledger_.wall().count()));
  console_.err(fmt::format(
      "step {:>6}  loss {:.4f}  {:>8.0f} tok/s  waited for data {:.2f} %\n", step_, loss,
      static_cast<double>(options_.batch * options_.sequence) / seconds, 100 * data / wall));
}

void Run::obey() {
  for (Command& command : control_.take()) {
    reporter_->event(step_, fmt::format("command {} from {} is due at step {}", command.id,
                                        printable(command.who, 64), step_ + 1));
    commands_.push_back(std::move(command));
  }
  // A stop that arrives before the first step is due at once.
  if (step_ == first_step_) apply_commands();
}

void Run::apply_commands() {
  for (const Command& command : commands_) {
    using Verb = Command::Verb;
    switch (command.verb) {
      case Verb::kSet:
        numbers_["set." + command.key] = command.value;
        optimizer_.set(command.key, command.value);
        if (command.key == "kappa") kappa_ = command.value;
        break;
      case Verb::kPause:
        paused_ = true;
        break;
      case Verb::kResume:
        paused_ = false;
        break;
      case Verb::kCheckpoint:
        want_checkpoint_ = true;
        break;
      case Verb::kStop:
        stop_ = true;
        break;
    }
    reporter_->event(
        step_, fmt::format("command {} from {} applied", command.id, printable(command.who, 64)));
  }
  commands_.clear();
  if (paused_ && !stop_) pause();
}

void Run::pause() {
  while (paused_ && !stop_) {
    control_.wait(kPauseLook);
    for (const Command& command : control_.take()) {
      if (command.verb == Command::Verb::kResume) paused_ = false;
      if (command.verb == Command::Verb::kStop) stop_ = true;
    }
  }
  reporter_->event(step_, "goes on after a pause");
}

void Run::evaluate() {
  ledger_.enter(Column::kCompute, now());
  optimizer_.read_at_weights();
  eval_loss_ = eval_->loss(model_);
  ledger_.enter(Column::kReport, now());
  reporter_->log(Series::kEvalLoss, step_ - 1, eval_loss_);
  if (options_.say_every > 0)
    console_.err(fmt::format("step {:>6}  eval {:.4f}\n", step_, eval_loss_));
  const auto best = numbers_.find("best.loss");
  if (best == numbers_.end() || eval_loss_ < best->second) {
    numbers_["best.loss"] = eval_loss_;
    numbers_["best.step"] = static_cast<double>(step_);
    want_checkpoint_ = want_checkpoint_ || options_.checkpoint_every > 0;
  }
}

CheckpointNotes Run::notes() const {
  CheckpointNotes out;
  out.step = step_;
  out.next_index = step_ * options_.batch;
  out.settings = settings_of(options_, data_identity_);
  out.environment = environment_of(options_);
  out.numbers = numbers_;
  return out;
}

void Run::checkpoint() {
  ledger_.enter(Column::kCheckpoint, now());
  want_checkpoint_ = false;
  report_outcomes();
  if (lost_) return;
  std::vector<NamedConstFloats> state;
  for (const auto& [name, tensor] : optimizer_.state()) state.emplace_back(name, floats_of(tensor));
  std::optional<std::uint64_t> best;
  if (const auto found = numbers_.find("best.step"); found != numbers_.end())
    best = static_cast<std::uint64_t>(found->second);
  checkpoints_->begin(floats_of(model_.weights()), state, notes(), best);
  saved_step_ = step_;
}

void Run::report_outcomes() {
  for (const CheckpointWriter::Outcome& outcome : checkpoints_->outcomes()) {
    if (!outcome.error) {
      reporter_->event(outcome.step, fmt::format("checkpoint of {} bytes in {:.3f} s",
                                                 outcome.bytes, outcome.seconds));
      continue;
    }
    saved_step_.reset();
    console_.err("longhaul-train: " + outcome.error->message() + "\n");
    reporter_->event(outcome.step, outcome.error->message());
    // A full disk may be emptied, a newer attempt stays.
    if (outcome.error->kind() == Kind::kBusy) lost_ = outcome.error;
  }
}

TrainSummary Run::summary() const {
  TrainSummary out;
  out.attempt = attempt_;
  out.first_step = first_step_;
  out.steps = step_;
  out.stopped = step_ < options_.steps;
  out.loss = loss_;
  out.eval_loss = eval_loss_;
  out.polar_seconds = polar_seconds_;
  out.refused = refused_;
  out.wall = ledger_.wall();
  for (std::size_t i = 0; i < kColumns; ++i) out.columns[i] = ledger_.spent(static_cast<Column>(i));
  out.longest_data_wait = ledger_.longest(Column::kData);
  out.checkpoint_longest = ledger_.longest(Column::kCheckpoint);
  const double tokens =
      static_cast<double>((step_ - first_step_) * options_.batch * options_.sequence);
  out.tokens_per_second = tokens / std::max(1e-9, std::chrono::duration<double>(out.wall).count());
  return out;
}

Result<TrainSummary> Run::go() {
  Result<> done;
  ledger_ = Ledger(now());
  while (done && step_ < options_.steps && !stop_ && !lost_) done = one_step();
  ledger_.enter(Column::kCheckpoint, now());
  checkpoints_->wait();
  report_outcomes();
  if (!lost_ && saved_step_ != step_ && step_ > first_step_) {
    checkpoint();
    checkpoints_->wait();
    report_outcomes();
  }
  ledger_.enter(Column::kOther, now());
  if (!done) return fail(done.error());
  if (lost_) return fail(*lost_);
  if (saved_step_ != step_ && step_ > first_step_)
    return fail(Kind::kPartial, "end the run", "its last checkpoint could not be written");
  return summary();
}

}  // namespace

Result<TrainSummary> train(cli::Console& console, Control& control, const TrainOptions& options) {
  TRY(check(options));
  at::set_num_threads(static_cast<int>(options.threads));
  const ModelConfig config = TRY(config_of(options));
  const OptimizerConfig optimizer = TRY(optimizer_of(options));
  Run run(console, control, options, config, optimizer);
  TRY(run.open());
  return run.go();
}

}  // namespace longhaul::trainer
