#include <fmt/format.h>

#include <array>
#include <cmath>

#include "lib/base/escape.hpp"
#include "trainer/engine/run.hpp"
#include "trainer/ranks/nccl_collectives.hpp"
#include "trainer/wait_notice.hpp"

namespace longhaul::trainer {
namespace {

constexpr Duration kMeetLook = 20ms;  // between looks at commands, while others are waited for
constexpr std::int64_t kSampled = 256;

// Some of the weights, others at each step, added up: equal weights give equal bits.
double sample_of(const at::Tensor& weights, std::uint64_t step) {
  const auto n = static_cast<std::uint64_t>(weights.numel());
  std::uint64_t place = step * 0x9E3779B97F4A7C15U;
  const at::Tensor places = at::empty({kSampled}, at::kLong);
  for (std::int64_t i = 0; i < kSampled; ++i) {
    place = place * 6364136223846793005U + 1442695040888963407U;
    places.data_ptr<std::int64_t>()[i] = static_cast<std::int64_t>((place >> 16) % n);
  }
  const at::Tensor taken = weights.index_select(0, places.to(weights.device())).to(at::kCPU);
  double sum = 0;
  for (std::int64_t i = 0; i < kSampled; ++i)
    sum += std::abs(taken.data_ptr<float>()[i]) * static_cast<double>(1 + i % 7);
  return sum;
}

// As all ranks were told it: what it leads to may have another name on another host.
std::string run_name(const Path& folder) {
  const Path plain = folder.lexically_normal();
  return (plain.has_filename() ? plain : plain.parent_path()).native();
}

}  // namespace

Result<> TrainingRun::form_team() {
  Team::Join& join = options_.device.starts_with("cuda") ? nccl_collectives : gloo_collectives;
  RankPlace place = outside_.place;
  place.run = run_name(options_.run);
  team_ = TRY(Team::form(
      place, std::chrono::seconds(options_.rank_wait), [this] { return control_.stop_asked(); },
      join));
  return {};
}

// All train the same model on the same data.
Result<> TrainingRun::agree() {
  std::string settings;
  for (const auto& [key, value] : facts_) settings += key + "=" + value + "\n";
  settings += fmt::format("model={}\n", learner_->weights().numel());
  const std::vector<std::string> all = TRY(team_->exchange(settings));
  for (std::size_t rank = 0; rank < all.size(); ++rank)
    if (all[rank] != all[0])
      return fail(Kind::kUsage, "train with several ranks",
                  fmt::format("rank {} has other data or settings than rank 0", rank));
  return {};
}

// From the checkpoint that rank 0 has found.
Result<> TrainingRun::begin_together() {
  const std::string mine = resumed_from_ ? resumed_from_->native() : "";
  const std::vector<std::string> all = TRY(team_->exchange(mine));
  if (leads() || all[0].empty()) return {};
  return restore({all[0], TRY(verify_checkpoint(all[0]))});
}

void TrainingRun::join_sums() {
  reducer_ = std::make_unique<GradientReducer>(team_->collectives(), learner_->gradients(),
                                               kBucketFloats, learner_->mark());
  learner_->spread({team_->rank(), team_->ranks(),
                    [this](std::span<float> all, std::span<const std::size_t> counts) {
                      ledger_.enter(Column::kSync, time_now());
                      Result<> done = team_->collectives().gather(all, counts);
                      ledger_.enter(Column::kCompute, time_now());
                      return done;
                    }});
}

Result<> TrainingRun::end_sums(double& loss) {
  constexpr double kRounding = 1e-9;  // of a sum of equal numbers
  ledger_.enter(Column::kSync, time_now());
  const double sample = sample_of(learner_->weights(), step_);
  const bool asked = control_.stop_asked() || team_->gate().stop_asked();
  std::array<double, 3> numbers = {loss, sample, asked ? 1.0 : 0.0};
  if (const Result<> summed = reducer_->finish(numbers); !summed)
    return fail(blame(summed.error()));
  ledger_.enter(Column::kCompute, time_now());
  loss = numbers[0];
  end_known_ = numbers[2] > 0;
  const double expected = sample * static_cast<double>(team_->ranks());
  if (!(std::abs(numbers[1] - expected) > kRounding * expected)) return {};
  return fail(Error(Kind::kIntegrity, fmt::format("train at step {}", step_),
                    "the ranks hold different weights")
                  .advise("go on from the last checkpoint; if it comes back, report it"));
}

Error TrainingRun::blame(const Error& error) {
  return team_->who_is_gone(error);
}

// Until every rank holds the batch of this step: none waits for data inside a sum.
Result<> TrainingRun::meet() {
  ledger_.enter(Column::kSync, time_now());
  return leads() ? lead() : follow();
}

Result<> TrainingRun::lead() {
  const Time began = time_now();
  WaitNotice notice(began);
  TRY(team_->look(Duration::zero()));
  while (!team_->gate().open(step_)) {
    TRY(team_->look(kMeetLook));
    TRY(team_->expect_words(step_, time_now() - began));
    while (const std::optional<Command> command = reporter_->poll(step_)) carry_out(*command);
    stop_ = stop_ || control_.stop_asked();
    look_for_newer_attempt();
    if (stop_ || lost_ || team_->gate().stop_asked()) break;
    const std::string lacks = team_->gate().waits_for(step_);
    const bool first = notice.said().empty();
    const std::optional<std::string> text = notice.due(time_now(), lacks);
    if (!text) continue;
    console_.err(fmt::format("longhaul-train: step {} {}\n", step_, *text));
    if (first) reporter_->mark(step_, *text);
  }
  stop_ = stop_ || team_->gate().stop_asked();
  TRY(pause());  // asked for while the ranks were waited for: before this step, as was answered
  if (!stop_ && !lost_) team_->go(step_, std::exchange(to_tell_, {}));
  return {};
}

Result<> TrainingRun::follow() {
  bool stop_said = control_.stop_asked(), may_go = false;
  team_->say_ready(step_, stop_said);
  while (!may_go && !stop_) {
    TRY(hear_leader(kMeetLook, may_go));
    if (control_.stop_asked() && !std::exchange(stop_said, true)) team_->say_ready(step_, true);
  }
  return {};
}

Result<> TrainingRun::hear_leader(Duration most, bool& may_go) {
  const std::optional<Team::Told> told = TRY(team_->told(most));
  if (!told) return {};
  if (told->ends) {
    stop_ = true;
    return {};
  }
  if (told->step != step_)
    return fail(Kind::kMalformed, "hear from rank 0",
                fmt::format("it is at step {}, this rank at {}", told->step, step_));
  for (const Command& command : told->settings) carry_out(command);
  may_go = true;
  return {};
}

Result<> TrainingRun::wait_apart(const std::string& lacks) {
  if (leads()) {
    TRY(team_->look(Duration::zero()));
    stop_ = stop_ || team_->gate().stop_asked();
    return {};
  }
  team_->say_waits(time_now(), step_, lacks, control_.stop_asked());
  bool may_go = false;
  TRY(hear_leader(Duration::zero(), may_go));
  if (may_go) return fail(Kind::kMalformed, "hear from rank 0", "it goes without this rank");
  return {};
}

void TrainingRun::leave(const std::optional<Error>& why) {
  if (team_) team_->leave(why);
}

}  // namespace longhaul::trainer
