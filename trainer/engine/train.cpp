#include "trainer/engine/train.hpp"

#include <ATen/Parallel.h>
#include <fmt/format.h>

#include <chrono>
#include <cmath>
#include <utility>

#include "lib/base/escape.hpp"
#include "trainer/engine/run.hpp"
#include "trainer/folder_source.hpp"
#include "trainer/grace.hpp"

namespace longhaul::trainer {
namespace {

constexpr Duration kWriterLook = 100ms;  // between looks at the other ranks

// On several ranks of one host `cuda` is a GPU each.
Result<std::unique_ptr<Learner>> learner_of(const TrainOptions& options, const RankPlace& place) {
  const ModelConfig config = TRY(config_of(options));
  const OptimizerConfig rules = TRY(optimizer_of(options));
  const LearnerOptions how{TRY(products_of(options)), options.consume};
  if (options.device == "cpu") return cpu_learner(config, rules, how);
  const bool each = options.device == "cuda" && !place.alone();
  const std::string name = each ? fmt::format("cuda:{}", place.gpu) : printable(options.device, 32);
  const Device device = TRY(Device::open(name == "cpu-device" ? "cpu" : name));
  return device_learner(config, rules, how, device);
}

}  // namespace

Time time_now() {
  return Time(std::chrono::steady_clock::now().time_since_epoch());
}

// What a resumed run read before is what it reads on, whatever is the newest version by now.
Result<std::unique_ptr<DataSource>> TrainingRun::open_dataset(const std::optional<Found>& before) {
  if (!open_feed_)
    return fail(Kind::kUnsupported, "read a dataset",
                "this build reads plain folders only: --data");
  FeedOpening opening;
  opening.store = options_.store;
  opening.dataset = options_.dataset;
  opening.cache_bytes =
      std::max<std::uint64_t>(64U << 20, 2 * options_.window * kShuffleBlockBytes);
  opening.say = [this](const std::string& text) { console_.err("longhaul-train: " + text + "\n"); };
  opening.stop_asked = [this] { return control_.stop_asked() || (team_ && team_->missing()); };
  opening.meanwhile = [this] { return make_ready(); };
  if (before && before->notes.settings.contains("data"))
    opening.identity = before->notes.settings.at("data");
  auto opened = open_feed_(opening);
  const bool for_another =
      !opened && opened.error().kind() == Kind::kInterrupted && !control_.stop_asked();
  if (for_another) return fail(team_->who_left());
  return opened;
}

Result<> TrainingRun::open_data(const std::optional<Found>& before) {
  if (!options_.dataset.empty()) {
    source_ = TRY(open_dataset(before));
  } else {
    auto folder = TRY(FolderSource::open(options_.data));
    source_ = std::move(folder);
  }
  facts_ = TRY(settings_of(options_, learner_->rules(), *source_));
  environment_ = environment_of(options_, outside_.place.ranks, learner_->device());
  order_ =
      TRY(SampleOrder::make(source_->shards(), {.seed = options_.seed,
                                                .sequence = options_.sequence,
                                                .window_blocks = options_.window,
                                                .first_epoch_in_order = options_.order == "upload",
                                                .arrival = options_.order == "arrival"}));
  if (!options_.eval_data.empty())
    eval_ = TRY(EvalSet::open(options_.eval_data, learner_->config(), options_));
  return {};
}

Result<> TrainingRun::make_ready() {
  if (std::exchange(ready_, true)) return {};
  TRY(learner_->fill([this](std::span<float> weights, std::span<const NamedFloats>) {
    return start_weights(options_, learner_->config(), weights);
  }));
  const std::uint64_t share = options_.batch / outside_.place.ranks;
  const std::uint64_t micro = options_.micro == 0 ? share : std::min(share, options_.micro);
  learner_->prepare_steps(static_cast<std::int64_t>(micro),
                          static_cast<std::int64_t>(options_.sequence));
  if (leads()) learner_->prepare_snapshots();
  return {};
}

// The next attempt's number, and with it the word of what is reported.
Result<> TrainingRun::claim() {
  if (leads()) {
    reporter_ = TRY(open_reporter_({.run = options_.run,
                                    .config = config_json(options_),
                                    .forget_controls = options_.forget_controls,
                                    .jsonl = options_.jsonl}));
  } else {
    reporter_ = std::make_unique<SilentReporter>();
  }
  return {};
}

Result<> TrainingRun::open() {
  if (!outside_.place.alone()) TRY(form_team());
  // What would be refused, by any rank, is refused before the number is claimed: a claim ends the
  // attempt that is at work. What is gone on from is looked for after it: from then on nobody else
  // writes or deletes.
  const std::optional<Found> before = TRY(look_back());
  TRY(open_data(before));
  TRY(make_folders(options_.run));
  TRY(make_ready());
  if (before && leads()) TRY(check_goes_on(*before));
  if (team_) TRY(agree());
  TRY(claim());
  if (options_.resume != "no" && leads()) TRY(resume());
  if (team_) TRY(begin_together());
  checkpoints_ = std::make_unique<CheckpointWriter>(options_.run, reporter_->attempt(),
                                                    learner_->config(), options_.keep);
  first_step_ = step_;
  // Of a checkpoint that notes none, an older version's say, nobody knows what was left out.
  if (options_.eval_every > 0) numbers_.try_emplace("eval.step", static_cast<double>(step_));
  if (options_.order == "arrival") TRY(follow_arrivals());
  const std::uint64_t token_bytes = source_->shards().front().token_bytes;
  loader_ = std::make_unique<Loader>(
      std::move(source_), *std::move(order_), options_.sequence,
      LoaderOptions{.global_batch = options_.batch,
                    .rank = outside_.place.rank,
                    .ranks = outside_.place.ranks,
                    .vocab = static_cast<std::uint64_t>(learner_->config().vocab),
                    .first_index = step_ * options_.batch,
                    .prefetch_seconds = options_.prefetch,
                    .token_bytes = token_bytes,
                    .arrival = arrival_});
  if (resumed_from_) reporter_->resumed(step_, *resumed_from_);
  if (extrapolates())
    reporter_->mark(step_,
                    "training losses and gradient norms are taken at the extrapolated point "
                    "W + kappa Delta, evaluations and checkpoints at the weights W");
  if (team_) join_sums();
  return {};
}

bool TrainingRun::evaluation_due() const {
  return options_.eval_every > 0 && step_ > 0 &&
         (step_ % options_.eval_every == 0 || step_ == options_.steps);
}

bool TrainingRun::evaluation_missing() const {
  return evaluation_due() && numbers_.at("eval.step") != static_cast<double>(step_);
}

Result<> TrainingRun::evaluate() {
  ledger_.enter(Column::kCompute, time_now());
  learner_->read_at_weights();
  const RankPlace& place = outside_.place;
  std::vector<double> losses = eval_->losses(
      [this](const Batch& batch) { return learner_->evaluate(batch); }, place.rank, place.ranks);
  if (team_) {
    ledger_.enter(Column::kSync, time_now());
    if (const Result<> summed = team_->collectives().sum(std::span(losses)); !summed)
      return fail(blame(summed.error()));
  }
  eval_loss_ = eval_->mean(losses);
  ledger_.enter(Column::kReport, time_now());
  reporter_->log(Series::kEvalLoss, step_ - 1, eval_loss_);
  if (options_.say_every > 0 && leads())
    console_.err(fmt::format("step {:>6}  eval {:.4f}\n", step_, eval_loss_));
  numbers_["eval.step"] = static_cast<double>(step_);
  numbers_.erase("eval.loss");
  if (std::isfinite(eval_loss_)) numbers_["eval.loss"] = eval_loss_;  // notes hold no other
  want_checkpoint_ = want_checkpoint_ || (options_.checkpoint_every > 0 && better());
  return {};
}

// The last evaluation, if it is of the weights as they are and beats the best on the disk.
std::optional<TrainingRun::Best> TrainingRun::better() const {
  const auto step = numbers_.find("eval.step"), loss = numbers_.find("eval.loss");
  if (step == numbers_.end() || loss == numbers_.end()) return std::nullopt;
  const std::optional<Best>& best = writing_ ? writing_ : best_;
  if (step->second != static_cast<double>(step_) || (best && loss->second >= best->loss))
    return std::nullopt;
  return Best{step_, loss->second};
}

CheckpointNotes TrainingRun::notes() const {
  CheckpointNotes out;
  out.step = step_;
  out.next_index = step_ * options_.batch;
  out.settings = facts_;
  out.environment = environment_;
  out.numbers = numbers_;
  if (const std::optional<Best>& best = writing_ ? writing_ : best_) {
    out.numbers["best.step"] = static_cast<double>(best->step);
    out.numbers["best.loss"] = best->loss;
  }
  settings_.save(out.numbers);
  return out;
}

Result<> TrainingRun::checkpoint() {
  want_checkpoint_ = false;
  TRY(hear(0));  // its numbers are of all steps so far, and those are good
  if (!leads()) return {};
  ledger_.enter(Column::kCheckpoint, time_now());
  TRY(wait_for_writer());
  announce_checkpoints();
  if (lost_) return {};
  writing_ = better();
  checkpoints_->begin(learner_->snapshot(), notes(),
                      best_ ? std::optional(best_->step) : std::nullopt, writing_.has_value());
  saved_step_ = step_;
  return {};
}

// The others are heard meanwhile: one that dies, and one that says for what data it waits, whose
// words would fill its connection until the system cut it.
Result<> TrainingRun::wait_for_writer() {
  while (!checkpoints_->wait(kWriterLook))
    if (team_) TRY(team_->look(Duration::zero()));
  return {};
}

void TrainingRun::announce_checkpoints() {
  for (const CheckpointWriter::Outcome& outcome : checkpoints_->outcomes()) {
    for (const std::uint64_t step : outcome.given_up) {
      const std::string text = fmt::format(
          "the checkpoint of step {} is deleted before it was home: the disk is full, or more than "
          "{} wait for a laptop",
          step, kMostPending);
      console_.err("longhaul-train: " + text + "\n");
      reporter_->mark(step_, text);
    }
    const std::optional<Best> better = std::exchange(writing_, std::nullopt);
    if (!outcome.error) {
      if (better) best_ = better;
      if (last_saved_.bytes == 0 && options_.grace > 0 &&
          outcome.seconds > static_cast<double>(options_.grace))
        console_.err(fmt::format(
            "longhaul-train: a checkpoint takes {:.1f} s, more than --grace {}: a signal to stop "
            "will cost the steps since the last one\n",
            outcome.seconds, options_.grace));
      last_saved_ = outcome;
      reporter_->checkpointed(outcome.step, checkpoint_path(options_.run, outcome.step));
      continue;
    }
    saved_step_.reset();
    console_.err("longhaul-train: " + outcome.error->message() + "\n");
    reporter_->mark(outcome.step, outcome.error->message());
    // A full disk may be emptied, a newer attempt stays.
    if (outcome.error->kind() == Kind::kBusy) lost_ = outcome.error;
  }
}

// Of the last step, unless it cannot be done before the job is killed.
void TrainingRun::last_checkpoint() {
  if (!leads() || lost_ || saved_step_ == step_ || step_ == first_step_) return;
  const auto took = last_saved_.bytes == 0
                        ? std::nullopt
                        : std::optional(std::chrono::duration_cast<Duration>(
                              std::chrono::duration<double>(last_saved_.seconds)));
  if (const auto why = too_late(time_now(), killed_at(), took)) {
    no_last_checkpoint_ = "its last checkpoint was not begun: " + *why;
    reporter_->mark(step_, no_last_checkpoint_);
    return;
  }
  static_cast<void>(checkpoint());  // all has been heard
  checkpoints_->wait();
  announce_checkpoints();
  if (saved_step_ != step_) no_last_checkpoint_ = "its last checkpoint could not be written";
}

bool TrainingRun::extrapolates() const {
  return learner_->rules().transported && settings_.of("kappa", options_.kappa_of()) > 0;
}

TrainSummary TrainingRun::summary() const {
  TrainSummary out;
  out.attempt = reporter_->attempt();
  out.first_step = first_step_;
  out.steps = step_;
  out.stopped = step_ < options_.steps || evaluation_missing();
  out.loss = loss_;
  out.eval_loss = eval_loss_;
  out.polar_seconds = polar_seconds_;
  out.device_busy = device_.busy;
  out.device_idle = device_.idle;
  out.refused = refused_;
  out.untold = reporter_->untold();
  out.at_extrapolated = extrapolates();
  out.wall = ledger_.wall();
  for (std::size_t i = 0; i < kColumns; ++i) out.columns[i] = ledger_.spent(static_cast<Column>(i));
  out.longest_data_wait = ledger_.longest(Column::kData);
  out.checkpoint_longest = ledger_.longest(Column::kCheckpoint);
  out.checkpoint_bytes = last_saved_.bytes;
  out.checkpoint_seconds = last_saved_.seconds;
  const double tokens =
      static_cast<double>((step_ - first_step_) * options_.batch * options_.sequence);
  out.tokens_per_second = tokens / std::max(1e-9, std::chrono::duration<double>(out.wall).count());
  return out;
}

std::optional<Error> TrainingRun::error_of(const Result<>& done) const {
  return done ? lost_ : std::optional(done.error());
}

std::string TrainingRun::why_it_ended(const Result<>& done) const {
  if (const std::optional<Error> error = error_of(done)) return error->message();
  return step_ < options_.steps || evaluation_missing() ? "stopped" : "done";
}

Result<TrainSummary> TrainingRun::go() {
  ledger_ = Ledger(time_now());
  Result<> done = make_up();
  while (done && step_ < options_.steps && !stop_ && !lost_) done = one_step();
  while (!asked_.empty())
    if (Result<> rest = hear(0); done) done = std::move(rest);
  leave(error_of(done));
  ledger_.enter(Column::kCheckpoint, time_now());
  checkpoints_->wait();
  announce_checkpoints();
  last_checkpoint();
  ledger_.enter(Column::kOther, time_now());
  reporter_->end(why_it_ended(done));
  if (const std::optional<Error> error = error_of(done)) return fail(*error);
  if (!no_last_checkpoint_.empty()) return fail(Kind::kPartial, "end the run", no_last_checkpoint_);
  return summary();
}

Result<TrainSummary> train(Outside& outside, const TrainOptions& options) {
  TRY(check(options, outside.place.ranks));
  at::set_num_threads(static_cast<int>(options.threads));
  TrainingRun run(outside, options, TRY(learner_of(options, outside.place)));
  Result<> opened = run.open();
  if (!opened) {
    run.leave(opened.error());
    return fail(opened.error());
  }
  return run.go();
}

}  // namespace longhaul::trainer
