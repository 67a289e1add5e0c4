#include "proxy/daemon/link_plan.hpp"

#include <algorithm>

namespace longhaul::daemon {

std::string_view name_of(LinkState state) {
  switch (state) {
    case LinkState::kWaiting:
      return "waiting";
    case LinkState::kConnecting:
      return "connecting";
    case LinkState::kUp:
      return "up";
    case LinkState::kDown:
      return "down";
  }
  return "unknown";
}

void LinkPlan::move_to(Time now, LinkState state) {
  if (state_ == state) return;
  state_ = state;
  since_ = now;
}

void LinkPlan::on_begun(Time now) {
  ASSERT(state_ == LinkState::kWaiting);
  move_to(now, LinkState::kConnecting);
}

void LinkPlan::on_session(Time now, bool established, bool up) {
  if (state_ == LinkState::kWaiting) return;
  if (!established) return move_to(now, LinkState::kConnecting);
  move_to(now, up ? LinkState::kUp : LinkState::kDown);
  if (!up) return;
  stood_until_ = now;
  pause_ = kPauseLeast;
  why_.reset();
}

void LinkPlan::on_ended(Time now, const Error& why, bool mends) {
  move_to(now, LinkState::kWaiting);
  why_ = why;
  next_ = now + (mends ? kMendPause : pause_);
  pause_ = std::min(2 * pause_, kPauseMost);
}

void LinkPlan::hurry(Time now) {
  if (state_ != LinkState::kWaiting) return;
  // Twice in a moment, as when an address and its route come, is once.
  next_ = std::min(next_, std::max(now, since_ + kPauseLeast));
  pause_ = kPauseLeast;
}

}  // namespace longhaul::daemon
