// TrainingRun: one attempt of a run on this process. train.cpp begins and ends it,
// run_resume.cpp goes on from an earlier one, run_step.cpp does its steps, run_control.cpp what
// people ask of it, run_ranks.cpp what it has to do with other ranks: rank 0 reports, evaluates the
// commands and saves for all. The training thread.
#pragma once

#include <deque>
#include <map>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "trainer/engine/eval_set.hpp"
#include "trainer/engine/learner.hpp"
#include "trainer/engine/train.hpp"
#include "trainer/engine/train_setup.hpp"
#include "trainer/loader.hpp"
#include "trainer/ranks/team.hpp"

namespace longhaul::trainer {

class TrainingRun {
 public:
  TrainingRun(Outside& outside, const TrainOptions& options, std::unique_ptr<Learner> learner)
      : outside_(outside),
        console_(outside.console),
        control_(outside.control),
        open_reporter_(outside.open_reporter),
        open_feed_(outside.open_feed),
        options_(options),
        schedule_(options.schedule_of()),
        learner_(std::move(learner)) {}

  Result<> open();
  Result<TrainSummary> go();
  void leave(const std::optional<Error>& why);  // lets the other ranks know; none: no error

 private:
  Result<std::optional<Found>> look_back();
  Result<> nothing_newer(std::span<const Path> there, std::uint64_t step) const;
  Result<> check_goes_on(const Found& found);
  Result<> claim();
  Result<> open_data(const std::optional<Found>& before);
  Result<> make_ready();  // but for data
  Result<std::unique_ptr<DataSource>> open_dataset(const std::optional<Found>& before);
  Result<> follow_arrivals();
  Result<> resume();
  Result<> restore(const Found& found);
  void tell_changes(const Found& found);
  bool evaluation_due() const;  // after the last step
  bool evaluation_missing() const;
  Result<> evaluate();
  Result<> make_up();  // for one that an earlier attempt left out
  Result<> checkpoint();
  Result<> wait_for_writer();
  void announce_checkpoints();
  struct Best {  // an evaluation
    std::uint64_t step;
    double loss;
  };
  std::optional<Best> better() const;
  std::optional<Best> take_best();
  void last_checkpoint();
  std::optional<Time> killed_at() const;
  CheckpointNotes notes() const;
  bool extrapolates() const;
  TrainSummary summary() const;
  std::optional<Error> error_of(const Result<>& done) const;
  std::string why_it_ended(const Result<>& done) const;

  Result<> one_step();
  Result<const LoadedBatch*> next_batch();
  struct Asked {  // a step that was asked for and not heard
    std::uint64_t step;
    Time began;
    double rate;  // of the matrices; steered since, perhaps
  };
  Result<> ask(const LoadedBatch& batch, Time began);
  StepInputs step_inputs();
  // Of the steps asked for, until no more than so many are left: reports and judges them.
  Result<> hear(std::size_t left);
  Result<> judge(std::uint64_t step, const StepReport& report);
  void report(const Asked& asked, const StepOutcome& outcome, double seconds);
  void say(std::uint64_t step, double seconds);

  Result<> obey();
  void carry_out(const Command& command);
  void tell_at_go(const Command& command);
  Result<> pause();
  void look_for_newer_attempt();
  void tell_reach();

  bool leads() const { return !team_ || team_->leads(); }
  Result<> form_team();
  Result<> agree();           // on what is trained, and on what
  Result<> begin_together();  // at one step
  void join_sums();
  Result<> end_sums(double& loss);
  Result<> meet();
  Result<> lead();
  Result<> follow();
  Result<> hear_leader(Duration most, bool& may_go);
  Result<> wait_apart(const std::string& lacks);  // while this rank's batch has not come
  Error blame(const Error& error);

  Outside& outside_;
  cli::Console& console_;
  Control& control_;
  const OpenReporter& open_reporter_;
  const OpenFeed& open_feed_;
  const TrainOptions& options_;
  Schedule schedule_;
  std::unique_ptr<Learner> learner_;
  bool ready_ = false;  // the learner, to take a batch
  Settings settings_;
  std::unique_ptr<DataSource> source_;
  std::optional<SampleOrder> order_;
  std::optional<ArrivalOrder> arrival_;  // of --order arrival
  std::unique_ptr<Loader> loader_;
  std::optional<EvalSet> eval_;
  std::unique_ptr<Reporter> reporter_;
  std::unique_ptr<CheckpointWriter> checkpoints_;
  Facts facts_;        // settings_of() this start
  Facts environment_;  // its environment, before a library has loaded others as it needed them
  std::optional<Path> resumed_from_;
  std::unique_ptr<Team> team_;  // none: one rank
  std::unique_ptr<GradientReducer> reducer_;
  std::vector<Command> due_;      // seen at the last step, carried out at the next
  std::vector<Command> to_tell_;  // carried out, not yet told to the other ranks: one a number
  std::map<std::string, double> numbers_;
  std::deque<Asked> asked_;
  Time heard_{};  // the last one
  DeviceClock::Spent device_{};
  std::uint64_t step_ = 0, first_step_ = 0, refused_ = 0, refused_in_a_row_ = 0;
  std::optional<std::uint64_t> saved_step_;
  CheckpointWriter::Outcome last_saved_{};
  std::optional<Best> best_;        // of the steps whose checkpoints are on the disk
  std::optional<Best> writing_;     // the one being written, if it is better
  std::string no_last_checkpoint_;  // why there is none, if there is none
  bool stop_ = false, want_checkpoint_ = false, paused_ = false, told_reach_ = false;
  bool end_known_ = false;  // to every rank since this step's sums: some rank is told to stop
  double loss_ = 0, eval_loss_ = -1, polar_seconds_ = 0;
  std::optional<Error> lost_;  // a newer attempt is at work, or the like: end without writing
  Ledger ledger_{Time{}};
  std::array<Duration, kColumns> booked_{};  // of the ledger, reported so far
};

}  // namespace longhaul::trainer
