#include "lib/base/stage_clock.hpp"

namespace longhaul {

// The clock is read under the lock: else a thread that read it earlier could come later.
Duration StageClock::enter(WorkStage stage) {
  Meter& at = meter(stage);
  const std::lock_guard lock(at.mutex);
  const Duration now = now_();
  if (at.inside++ == 0) at.since = now;
  return now;
}

void StageClock::leave(WorkStage stage, Duration began) {
  Meter& at = meter(stage);
  const std::lock_guard lock(at.mutex);
  const Duration now = now_();
  at.figures.spent += now - began;
  if (--at.inside == 0) at.figures.busy += now - at.since;
}

StageClock::Figures StageClock::at(WorkStage stage) const {
  const Meter& at = meters_[static_cast<std::size_t>(stage)];
  const std::lock_guard lock(at.mutex);
  return at.figures;
}

}  // namespace longhaul
