#include <fmt/format.h>

#include "lib/base/escape.hpp"
#include "trainer/engine/run.hpp"

namespace longhaul::trainer {

// What the steps so far have read is read again in that order, or not at all.
Result<> TrainingRun::follow_arrivals() {
  arrival_.emplace(options_.run / "order", options_.seed);
  TRY(arrival_->replay(*order_));
  if (step_ == 0 || order_->knows(step_ * options_.batch - 1)) return {};
  return fail(Error(Kind::kNotFound, "go on in the order of arrival",
                    printable((options_.run / "order").native()) + " does not reach so far")
                  .advise("copy that folder from the run that wrote the checkpoint"));
}

// Checkpoints are known by their steps: what a run that is taken up at an older one writes would
// be older than those, deleted for them, and they would be what --resume auto takes.
Result<> TrainingRun::nothing_newer(std::span<const Path> there, std::uint64_t step) const {
  const std::string last = checkpoint_path(options_.run, step).filename().native();
  for (const Path& one : there) {
    const std::string name = one.filename().native();
    if (std::pair(name.size(), name) > std::pair(last.size(), last))
      return fail(Error(Kind::kExists, "go on from " + printable(options_.resume),
                        "the run holds a newer one: " + printable(name))
                      .advise("choose another --run, or move the newer ones away"));
  }
  return {};
}

// The notes of what would be gone on from, as far as they are there now.
Result<std::optional<Found>> TrainingRun::look_back() {
  if (options_.resume == "auto") return newest_noted(options_.run);
  const std::vector<Path> there = TRY(list_checkpoints(options_.run));
  if (options_.resume != "no") {
    if (!leads()) return std::optional(Found{options_.resume, TRY(read_notes(options_.resume))});
    const Found from{options_.resume, TRY(verify_checkpoint(options_.resume))};
    TRY(nothing_newer(there, from.notes.step));
    return std::optional(from);
  }
  if (there.empty() || !leads()) return std::optional<Found>();
  return fail(Error(Kind::kExists, "start a run in " + printable(options_.run.native()),
                    "it holds checkpoints")
                  .advise("go on with --resume auto, or choose another --run"));
}

Result<> TrainingRun::check_goes_on(const Found& found) {
  Facts before = found.notes.settings;
  settle_older(before);
  TRY(check_same_run(before, facts_, found.folder));
  TRY(of_model(found.folder, learner_->config()));
  Settings steered;
  if (!options_.forget_controls) steered.load(found.notes.numbers);
  if (!options_.consume || !(steered.of("clip", 0) > 0)) return {};
  return fail(Error(Kind::kUsage, "resume with --consume", "clip was set while the run was at work")
                  .advise("--forget-controls takes that back"));
}

Result<> TrainingRun::resume() {
  if (options_.resume != "auto") {
    return restore({options_.resume, TRY(verify_checkpoint(options_.resume))});
  }
  std::vector<std::string> broken;
  const std::optional<Found> found = TRY(newest_valid(options_.run, broken));
  for (const std::string& why : broken) console_.err("longhaul-train: passed over: " + why + "\n");
  return found ? restore(*found) : Result<>();
}

// What was changed on purpose is gone on with, and said: a lower rate, say, is often why one
// resumes.
void TrainingRun::tell_changes(const Found& found) {
  if (!leads()) return;
  Facts before = found.notes.settings;
  settle_older(before);
  const std::string rules = changed_settings(before, facts_);
  const std::string bits = changed_environment(found.notes.environment, environment_);
  const auto tell = [&](const std::string& text) {
    console_.err("longhaul-train: " + text + "\n");
    reporter_->mark(found.notes.step, text);
  };
  if (!rules.empty()) tell("goes on by other rules: differs in " + rules);
  if (!bits.empty()) tell("the same run, not the same bits: differs in " + bits);
}

// What the notes say of the best evaluated, as long as it is in this run: another run's, or one
// that somebody has deleted, is none to keep, and none to beat.
std::optional<TrainingRun::Best> TrainingRun::take_best() {
  const auto step = numbers_.extract("best.step"), loss = numbers_.extract("best.loss");
  if (step.empty() || loss.empty()) return std::nullopt;
  const Best best{static_cast<std::uint64_t>(step.mapped()), loss.mapped()};
  std::error_code none;
  const bool there = std::filesystem::exists(checkpoint_path(options_.run, best.step), none);
  return there ? std::optional(best) : std::nullopt;
}

Result<> TrainingRun::restore(const Found& found) {
  TRY(check_goes_on(found));
  tell_changes(found);
  TRY(learner_->fill([&](std::span<float> weights, std::span<const NamedFloats> state) {
    return load_checkpoint(found.folder, learner_->config(), weights, state);
  }));
  step_ = found.notes.step;
  if (found.notes.next_index != step_ * options_.batch)
    return fail(Kind::kMalformed, "resume from " + printable(found.folder.native()),
                "its sample does not fit its step");
  numbers_ = found.notes.numbers;
  if (!options_.forget_controls) settings_.load(numbers_);
  for (const char* name : {"best.loss", "eval.loss"})  // an older version noted the best alone
    if (numbers_.contains(name)) eval_loss_ = numbers_[name];
  best_ = take_best();
  saved_step_ = step_;
  resumed_from_ = found.folder;
  if (leads()) console_.err(fmt::format("longhaul-train: resumes at step {}\n", step_));
  return {};
}

// What a signal in the midst of a step, or the death of a rank, has left out: of the weights that
// are resumed from, an evaluation that was due. All ranks find the same in the notes.
Result<> TrainingRun::make_up() {
  if (!evaluation_missing() || (!team_ && control_.stop_asked())) return {};
  TRY(evaluate());
  if (resumed_from_ != checkpoint_path(options_.run, step_))
    return want_checkpoint_ ? checkpoint() : Result<>();
  want_checkpoint_ = false;  // its checkpoint is there
  if (const auto found = better()) best_ = found;
  return {};
}

}  // namespace longhaul::trainer
