// FollowPlan: which checkpoint `ckpt follow` fetches next: one of which some is here, as long as it
// is there; else the newest that the run announced; and, where it is asked for, once a day all of
// one, behind everything else. What is slower than the run skips those between. Pure; a value.
//
//   plan.on_listed(..);                       // after every connect
//   plan.on_announced(..);                    // as the run tells of it
//   if (auto wanted = plan.next(now, wall)) fetch(*wanted);
#pragma once

#include <functional>
#include <optional>
#include <set>
#include <vector>

#include "lib/checkpoint/home_sink.hpp"

namespace longhaul::checkpoint {

constexpr Duration kFullEvery = std::chrono::hours(24);
constexpr Duration kRetryAfter = 30s;  // a full disk, a checkpoint that changed

struct FollowOptions {
  std::string run;  // "SITE/RUN"
  Form form = Form::kWeights;
  bool full_daily = false;
};

class FollowPlan {
 public:
  FollowPlan(FollowOptions options, const std::vector<Held>& held);
  void on_listed(const std::vector<Checkpoint>& there);
  void on_announced(Checkpoint checkpoint);
  // What an earlier start has begun: the newest there that is staged.
  void on_staged(const std::function<bool(const Wanted&)>& is_staged);
  std::optional<Wanted> next(Time now, WallTime wall) const;
  // Whether what is under way should make room for what next() says, and be resumed later.
  bool gives_way(const Wanted& running, Time now, WallTime wall) const;
  // What is to be ended later, and is staged.
  std::vector<Wanted> begun() const;
  void on_done(const Wanted& wanted, WallTime wall);
  void on_failed(const Wanted& wanted, Kind kind, Time now);

 private:
  bool holds(const Wanted& wanted) const;

  const FollowOptions options_;
  std::set<Checkpoint> there_;
  std::vector<Wanted> held_;
  std::optional<Checkpoint> begun_;       // in the usual form, one of which some is here
  std::optional<WallTime> full_at_;       // the last that came
  std::optional<Checkpoint> full_begun_;  // one of which some is here
  Time not_before_{};
};

}  // namespace longhaul::checkpoint
