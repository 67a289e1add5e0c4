#include "proxy/link_model.hpp"

#include <algorithm>

namespace longhaul::proxy {

std::string_view wait_of(const session::Status& status) {
  if (status.ended) return "ended";
  if (!status.established) return "connecting";
  if (!status.up) return "no link";
  if (status.waits_for_peer) return "peer's window";
  if (status.queued_bytes == 0) return status.unacked_bytes == 0 ? "nothing to send" : "answers";
  return "link";
}

void LinkModel::on_status(Time now, WallTime wall, const session::Status* status) {
  if (status == nullptr) {
    status_.reset();
    samples_.clear();
    silent_ = {};
    return judge(Waiter::kLink, now, wall, "connecting");
  }
  status_ = *status;
  samples_.push_back({now, status->sent, status->received});
  while (samples_.size() > 2 && now - samples_[1].at >= kRatesOver) samples_.pop_front();
  if (status->rtt.count() > 0 && (!round_trip_at_ || now - *round_trip_at_ >= kPastEvery)) {
    round_trip_at_ = now;
    round_trips_.push_back(status->datagrams ? status->datagram_rtt : status->rtt);
    if (round_trips_.size() > kPast) round_trips_.pop_front();
  }
  silent_ = status->silent(now) ? now - status->heard : Duration{};
  std::string why;
  if (silent_.count() > 0)
    why = "no word of the site";
  else if (!status->up || status->waits_for_peer)
    why = wait_of(*status);
  judge(Waiter::kLink, now, wall, std::move(why), silent_);
}

void LinkModel::on_run(Time now, WallTime wall, std::optional<std::string> why) {
  // Of a run at the other end of a silent link nothing is known.
  if (!status_ || !status_->up || silent_.count() > 0) why.reset();
  judge(Waiter::kRun, now, wall, why.value_or(""));
}

// One wait of a kind lasts at a time; another reason is another entry.
void LinkModel::judge(Waiter of, Time now, WallTime wall, std::string why, Duration already) {
  auto& under = under_[static_cast<std::size_t>(of)];
  const auto entry = [&]() -> Wait* {
    for (auto at = waits_.rbegin(); at != waits_.rend(); ++at)
      if (at->of == of && !at->over) return &*at;
    return nullptr;
  };
  if (under && under->why != why) {
    if (Wait* open = under->listed ? entry() : nullptr) {
      open->lasted = now - under->since;
      open->over = true;
    }
    under.reset();
  }
  if (why.empty()) return;
  if (!under) under = Under{std::move(why), now - already, {wall.ns - already.count()}, false};
  if (!under->listed && now - under->since >= kShort) {
    under->listed = true;
    waits_.push_back({of, under->began, {}, under->why, false});
    if (waits_.size() > kWaitsMax) waits_.pop_front();
  }
  if (Wait* open = under->listed ? entry() : nullptr) open->lasted = now - under->since;
}

const Wait* LinkModel::waiting(Waiter of) const {
  for (auto at = waits_.rbegin(); at != waits_.rend(); ++at)
    if (at->of == of && !at->over) return &*at;
  return nullptr;
}

std::array<double, session::kLaneCount> LinkModel::rates(session::LaneBytes Sample::*which) const {
  std::array<double, session::kLaneCount> rates{};
  if (samples_.size() < 2) return rates;
  const Sample &first = samples_.front(), &last = samples_.back();
  const double seconds = std::chrono::duration<double>(last.at - first.at).count();
  if (seconds <= 0) return rates;
  for (std::size_t i = 0; i < rates.size(); ++i)
    rates[i] = static_cast<double>((last.*which)[i] - (first.*which)[i]) / seconds;
  return rates;
}

}  // namespace longhaul::proxy
