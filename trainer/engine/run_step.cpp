#include <fmt/format.h>

#include <algorithm>
#include <chrono>

#include "trainer/engine/run.hpp"
#include "trainer/wait_notice.hpp"

namespace longhaul::trainer {
namespace {

constexpr std::uint64_t kMaxRefusals = 20;  // in a row: the run is lost, not unlucky
constexpr std::uint64_t kGuardWarmup = 20;  // steps before the spike guard judges
constexpr Duration kDataLook = 100ms;       // between looks at commands, while data is missing
constexpr double kGuardWeight = 0.02;       // of the newest norm in its average
constexpr double kTellShare = 0.01;         // percent: of the ledger, what is told live

}  // namespace

// Forward, backward and the optimizer's step. On a device they are asked for, no more.
Result<> TrainingRun::ask(const LoadedBatch& batch, Time began) {
  const auto sequence = static_cast<std::int64_t>(options_.sequence);
  const auto samples = static_cast<std::int64_t>(batch.tokens.size()) / sequence;
  const auto micro = options_.micro == 0 ? samples : static_cast<std::int64_t>(options_.micro);
  const double tokens = static_cast<double>(options_.batch * options_.sequence);
  Model::Final final;
  if (team_) final = [this](auto offset, auto count) { reducer_->ready(offset, count); };
  learner_->begin(step_inputs(),
                  settings_.of("kappa", options_.kappa_of() * schedule_.factor(step_)));
  for (std::int64_t first = 0; first < samples; first += micro)
    learner_->train({batch.tokens.data() + first * sequence,
                     batch.targets.data() + first * sequence, micro, sequence},
                    static_cast<float>(1 / tokens),
                    first + micro == samples ? final : Model::Final());
  std::optional<double> loss;
  if (team_) {
    loss = learner_->take_loss();
    TRY(end_sums(*loss));
  }
  learner_->end(loss);
  const double usual = learner_->rules().rate * schedule_.factor(step_);
  asked_.push_back({step_, began, settings_.of("lr", usual)});
  ++step_;
  return {};
}

Result<> TrainingRun::hear(std::size_t left) {
  while (asked_.size() > left) {
    ledger_.enter(Column::kCompute, time_now());
    const Asked asked = asked_.front();
    asked_.pop_front();
    const StepOutcome outcome = learner_->hear();
    // A step that was asked for while another was at work began when that was done.
    const Time began = std::max(asked.began, std::exchange(heard_, time_now()));
    ledger_.enter(Column::kReport, heard_);
    const double seconds = std::chrono::duration<double>(heard_ - began).count();
    loss_ = outcome.loss / static_cast<double>(options_.batch * options_.sequence);
    double& average = numbers_["guard.norm"];
    if (outcome.report.applied)
      average += (average > 0 ? kGuardWeight : 1.0) * (outcome.report.gradient_norm - average);
    polar_seconds_ += outcome.report.polar_seconds;
    report(asked, outcome, seconds);
    TRY(judge(asked.step, outcome.report));
    if (leads() && options_.say_every > 0 && asked.step % options_.say_every == 0)
      say(asked.step, seconds);
    if (outcome.report.lost) return fail(blame(*outcome.report.lost));
  }
  return {};
}

StepInputs TrainingRun::step_inputs() {
  const double average = numbers_["guard.norm"];
  const bool judges = options_.spike > 0 && step_ >= kGuardWarmup && average > 0;
  const OptimizerConfig& usual = learner_->rules();
  const Settings::Rates rates =
      settings_.rates(usual.rate, usual.rest_rate, schedule_.factor(step_));
  StepInputs inputs;
  inputs.step = step_;
  inputs.norm_limit = judges ? options_.spike * average : 0;
  inputs.rate = rates.matrices;
  inputs.rest_rate = rates.rest;
  inputs.clip = settings_.of("clip", usual.clip);
  return inputs;
}

Result<> TrainingRun::judge(std::uint64_t step, const StepReport& report) {
  if (report.applied) {
    refused_in_a_row_ = 0;
    return {};
  }
  ++refused_;
  reporter_->log(Series::kSkipped, step, 1);
  reporter_->mark(
      step, fmt::format("update refused: loss {}, gradient norm {}", loss_, report.gradient_norm));
  if (report.partly) {  // there is nothing good left to save
    lost_ = Error(Kind::kIntegrity, fmt::format("train at step {}", step),
                  "a gradient was no number, and those before it were used already")
                .advise("go on with --resume auto; without --consume such an update is refused");
    return fail(*lost_);
  }
  if (++refused_in_a_row_ < kMaxRefusals) return {};
  return fail(Error(Kind::kIntegrity, fmt::format("train at step {}", step),
                    fmt::format("{} updates in a row were refused", kMaxRefusals))
                  .advise("go on from a checkpoint with a smaller --rate"));
}

void TrainingRun::report(const Asked& asked, const StepOutcome& outcome, double seconds) {
  const std::uint64_t step = asked.step;
  reporter_->log(Series::kLoss, step, loss_);
  reporter_->log(Series::kGradientNorm, step, outcome.report.gradient_norm);
  reporter_->log(Series::kRate, step, asked.rate);
  reporter_->log(Series::kTokensPerSecond, step,
                 static_cast<double>(options_.batch * options_.sequence) / seconds);
  for (std::size_t i = 0; i < kColumns; ++i) {
    const auto column = static_cast<Column>(i);
    const Duration spent = ledger_.spent(column);
    reporter_->log(series_of(column), step,
                   std::chrono::duration<double>(spent - std::exchange(booked_[i], spent)).count());
  }
  if (!outcome.device) return;
  reporter_->log(Series::kDeviceBusy, step, outcome.device->busy);
  reporter_->log(Series::kDeviceIdle, step, outcome.device->idle);
  device_.busy += outcome.device->busy;
  device_.idle += outcome.device->idle;
}

// Null: it is to end, and what it waits for has not come.
Result<const LoadedBatch*> TrainingRun::next_batch() {
  const Time began = time_now();
  WaitNotice notice(began);
  for (;;) {
    const LoadedBatch* batch = TRY(loader_->take(kDataLook));
    const Time now = time_now();
    if (batch != nullptr) {
      if (!notice.said().empty())
        reporter_->mark(
            step_, fmt::format("waited {:.1f} s for {}",
                               std::chrono::duration<double>(now - began).count(), notice.said()));
      return batch;
    }
    while (const std::optional<Command> command = reporter_->poll(step_)) carry_out(*command);
    stop_ = stop_ || (leads() && control_.stop_asked());
    look_for_newer_attempt();
    const std::optional<std::string> now_lacks = loader_->waiting_for();
    if (team_) TRY(wait_apart(now_lacks.value_or("its batch")));
    if (stop_ || lost_) return nullptr;
    if (!now_lacks) continue;
    const bool first = notice.said().empty();
    const std::optional<std::string> text = notice.due(now, *now_lacks);
    if (!text || !leads()) continue;  // rank 0 says for whom it waits, and why
    console_.err(fmt::format("longhaul-train: step {} {}\n", step_, *text));
    if (first) reporter_->mark(step_, *text);
  }
}

Result<> TrainingRun::one_step() {
  const Time began = time_now();
  ledger_.enter(Column::kControl, began);
  TRY(obey());
  if (stop_ || lost_) return {};
  // Where a batch is there, what taking it costs is no wait for data: the loader may get its turn
  // on a shared core just then.
  ledger_.enter(loader_->ready() > 0 ? Column::kOther : Column::kData, time_now());
  const LoadedBatch* batch = TRY(next_batch());
  if (batch == nullptr) return {};
  // A pause asked for while the batch was waited for comes before this step, as was answered.
  TRY(team_ ? meet() : pause());
  if (stop_ || lost_) return {};
  ledger_.enter(Column::kCompute, time_now());
  TRY(ask(*batch, began));
  // What a spike is follows from all steps before; and every rank must know the same of them.
  TRY(hear(options_.spike > 0 ? 0 : learner_->late()));
  // One that is told to stop begins nothing more: whether there is time for a last checkpoint is
  // judged at the end. Ranks evaluate together, so what counts there is what all of them know.
  const bool ends = team_ ? end_known_ : control_.stop_asked();
  if (!ends && evaluation_due()) {
    TRY(hear(0));
    TRY(evaluate());
  }
  if (!ends && !control_.stop_asked() &&
      (want_checkpoint_ ||
       (options_.checkpoint_every > 0 && step_ % options_.checkpoint_every == 0)))
    TRY(checkpoint());
  ledger_.enter(Column::kOther, time_now());
  return {};
}

void TrainingRun::say(std::uint64_t step, double seconds) {
  const auto wall = static_cast<double>(std::max<std::int64_t>(1, ledger_.wall().count()));
  const auto share = [&](Column column) {
    return 100 * static_cast<double>(ledger_.spent(column).count()) / wall;
  };
  std::string text = fmt::format(
      "step {:>6}  loss {:.4f}  {:>8.0f} tok/s  waited for data {:.2f} %", step, loss_,
      static_cast<double>(options_.batch * options_.sequence) / seconds, share(Column::kData));
  for (const Column column :
       {Column::kReport, Column::kCheckpoint, Column::kSync, Column::kControl, Column::kOther})
    if (share(column) >= kTellShare)
      text += fmt::format(", {} {:.2f} %", name_of(column), share(column));
  if (const double timed = device_.busy + device_.idle; timed > 0)
    text += fmt::format(", device idle {:.2f} %", 100 * device_.idle / timed);
  console_.err(text + "\n");
}

}  // namespace longhaul::trainer
