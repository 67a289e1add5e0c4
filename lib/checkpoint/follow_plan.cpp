#include "lib/checkpoint/follow_plan.hpp"

#include <algorithm>

namespace longhaul::checkpoint {

FollowPlan::FollowPlan(FollowOptions options, const std::vector<Held>& held)
    : options_(std::move(options)) {
  for (const Held& one : held) {
    if (one.run != options_.run) continue;
    held_.push_back(one.what);
    if (one.what.form == Form::kFull && (!full_at_ || full_at_->ns < one.arrived.ns))
      full_at_ = one.arrived;
  }
}

void FollowPlan::on_listed(const std::vector<Checkpoint>& there) {
  there_ = std::set<Checkpoint>(there.begin(), there.end());
}

// One that is announced again is that one from then on, whatever is told in between.
void FollowPlan::on_announced(Checkpoint checkpoint) {
  const auto known = std::find_if(there_.begin(), there_.end(), [&](const Checkpoint& one) {
    return one.attempt == checkpoint.attempt && one.step == checkpoint.step;
  });
  if (known != there_.end() && known->at >= checkpoint.at) return;
  if (known != there_.end()) there_.erase(known);
  there_.insert(checkpoint);
}

bool FollowPlan::holds(const Wanted& wanted) const {
  return std::any_of(held_.begin(), held_.end(),
                     [&wanted](const Wanted& held) { return is_home(held, wanted); });
}

void FollowPlan::on_staged(const std::function<bool(const Wanted&)>& is_staged) {
  for (auto one = there_.rbegin(); one != there_.rend() && !begun_; ++one) {
    const Wanted wanted{*one, options_.form};
    if (!holds(wanted) && is_staged(wanted)) begun_ = *one;
  }
}

std::optional<Wanted> FollowPlan::next(Time now, WallTime wall) const {
  if (there_.empty() || now < not_before_) return std::nullopt;
  const Checkpoint newest = *there_.rbegin();
  // Links that end oftener than a checkpoint takes would else bring none home, ever.
  const bool ends_one = begun_ && there_.contains(*begun_);
  const Wanted main{ends_one ? *begun_ : newest, options_.form};
  if (!holds(main)) return main;
  if (!options_.full_daily || options_.form == Form::kFull) return std::nullopt;
  if (full_at_ && wall.ns - full_at_->ns < kFullEvery.count()) return std::nullopt;
  // One that was begun is ended, as long as it is there: it costs only what is missing.
  const bool resumes = full_begun_ && there_.contains(*full_begun_);
  const Wanted full{resumes ? *full_begun_ : newest, Form::kFull};
  return holds(full) ? std::nullopt : std::optional(full);
}

bool FollowPlan::gives_way(const Wanted& running, Time now, WallTime wall) const {
  if (running.form == options_.form) return false;
  const auto other = next(now, wall);
  return other && other->form == options_.form;
}

std::vector<Wanted> FollowPlan::begun() const {
  std::vector<Wanted> out;
  if (begun_) out.push_back({*begun_, options_.form});
  if (full_begun_) out.push_back({*full_begun_, Form::kFull});
  return out;
}

void FollowPlan::on_done(const Wanted& wanted, WallTime wall) {
  held_.push_back(wanted);
  if (wanted.form == options_.form) begun_.reset();
  if (wanted.form != Form::kFull) return;
  full_at_ = wall;
  full_begun_.reset();
}

void FollowPlan::on_failed(const Wanted& wanted, Kind kind, Time now) {
  const bool daily = wanted.form != options_.form;
  if (!daily) begun_.reset();
  if (kind == Kind::kNotFound) {
    there_.erase(wanted.checkpoint);
    return;
  }
  if (!daily && (kind == Kind::kLink || kind == Kind::kInterrupted)) begun_ = wanted.checkpoint;
  if (daily) full_begun_ = wanted.checkpoint;
  if (kind != Kind::kInterrupted && kind != Kind::kLink) not_before_ = now + kRetryAfter;
}

}  // namespace longhaul::checkpoint
