#include <fmt/format.h>

#include <cstdlib>

#include "trainer/engine/run.hpp"
#include "trainer/ranks/ask_slurm.hpp"

namespace longhaul::trainer {
namespace {

constexpr Duration kPauseLook = 20ms;

}  // namespace

// What is seen at a step is due at the next, so that ranks can agree on it; before an attempt's
// first step, settings of earlier attempts among them, it is due at once.
Result<> TrainingRun::obey() {
  for (const Command& command : std::exchange(due_, {})) carry_out(command);
  while (std::optional<Command> command = reporter_->poll(step_)) {
    if (step_ == first_step_)
      carry_out(*command);
    else
      due_.push_back(*std::move(command));
  }
  if (leads() && control_.stop_asked() && !std::exchange(stop_, true))
    reporter_->mark(step_, "a signal stops it");
  look_for_newer_attempt();
  announce_checkpoints();
  tell_reach();
  return pause();
}

// Once: the pace changes little. A plain folder is told nothing ahead.
void TrainingRun::tell_reach() {
  if (told_reach_ || options_.dataset.empty() || !leads()) return;
  const std::optional<std::uint64_t> seconds = loader_->reach();
  if (!seconds) return;
  told_reach_ = true;
  const std::string text = fmt::format(
      "--prefetch {} is more than is asked for ahead: 1 GiB, {} s of training at this pace",
      options_.prefetch, *seconds);
  console_.err("longhaul-train: " + text + "\n");
  reporter_->mark(step_, text);
}

void TrainingRun::carry_out(const Command& command) {
  using Verb = Command::Verb;
  Result<> done;
  switch (command.verb) {
    case Verb::kSet:
    case Verb::kScale:
      if (command.key == "kappa" && !learner_->rules().transported) {
        done = fail(Kind::kUsage, "set kappa", "this run's optimizer extrapolates nothing");
      } else if (command.key == "clip" && options_.consume) {
        done = fail(Kind::kUsage, "set clip", "--consume uses each gradient before all are known");
      } else {
        done = settings_.change(command);
        if (done && team_ && leads()) tell_at_go(command);
      }
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
  reporter_->answer(command, step_, done);
}

// Of each number the last command counts, set or scaled (Settings): an earlier one need not be
// told, and however many come while a step is waited for, they fit one "go".
void TrainingRun::tell_at_go(const Command& command) {
  std::erase_if(to_tell_, [&](const Command& told) { return told.key == command.key; });
  to_tell_.push_back(command);
}

// As long as it is asked to.
Result<> TrainingRun::pause() {
  if (paused_) TRY(hear(0));
  while (paused_ && !stop_ && !lost_) {
    if (want_checkpoint_ && step_ > first_step_) TRY(checkpoint());
    ledger_.enter(Column::kControl, time_now());
    control_.wait(kPauseLook);
    while (std::optional<Command> command = reporter_->poll(step_)) carry_out(*command);
    stop_ = stop_ || control_.stop_asked();
    look_for_newer_attempt();
    announce_checkpoints();
    if (team_) TRY(team_->look(Duration::zero()));
    stop_ = stop_ || (team_ && team_->gate().stop_asked());
  }
  return {};
}

// nullopt: no signal has told it to stop, or nobody says what comes after it.
std::optional<Time> TrainingRun::killed_at() const {
  if (!control_.stop_asked() && !(team_ && team_->gate().stop_asked())) return std::nullopt;
  if (options_.grace > 0)
    return control_.stop_asked_at().value_or(time_now()) + std::chrono::seconds(options_.grace);
  const auto left = ask_slurm_grace([](const char* name) { return std::getenv(name); });
  return left ? std::optional(time_now() + *left) : std::nullopt;
}

void TrainingRun::look_for_newer_attempt() {
  if (reporter_->superseded() && !lost_)
    lost_ = Error(Kind::kBusy, "go on with the run", "a newer attempt of it has begun");
}

}  // namespace longhaul::trainer
