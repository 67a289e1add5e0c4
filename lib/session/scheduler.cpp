#include "lib/session/scheduler.hpp"

#include <algorithm>

namespace longhaul::session {

namespace {
constexpr std::uint64_t kLiveShare = 20;             // one part of this many
constexpr BytesPerSecond kLiveRateLeast{32U << 10};  // while the rate is not known
constexpr Duration kLiveTurn = 2ms;                  // how long a turn stays open

std::size_t place(Lane lane) {
  return static_cast<std::size_t>(lane);
}
}  // namespace

void Scheduler::set_link(Duration rtt, BytesPerSecond rate) {
  pace_ = std::clamp<Duration>(rtt / 2, kLivePaceLeast, kLivePaceMost);
  rate_ = rate;
}

BytesPerSecond Scheduler::live_rate() const {
  return std::max(BytesPerSecond(rate_.value() / kLiveShare), kLiveRateLeast);
}

std::int64_t Scheduler::live_credit(Time now) const {
  const std::uint64_t earned =
      std::min<std::uint64_t>(live_rate().bytes_in(now - credit_at_).value(), 2 * kLiveBurst);
  return std::min(kLiveBurst, live_credit_ + static_cast<std::int64_t>(earned));
}

std::optional<Time> Scheduler::live_at(Time now) const {
  if (live_may(now)) return std::nullopt;
  Time at = next_turn_;
  const std::int64_t lacking = 1 - live_credit(now);
  if (lacking > 0) {
    at = std::max(at, now + live_rate().time_for(ByteCount(static_cast<std::uint64_t>(lacking))));
  }
  return std::max(at, now + 1ns);
}

std::optional<Lane> Scheduler::pick(Time now, const Offers& offers, LaneSet allowed) {
  const auto may = [&](Lane lane) { return (allowed & only(lane)) != 0; };
  if (may(Lane::kLive) && offers[place(Lane::kLive)].ready && live_may(now)) return Lane::kLive;

  const Offer& update = offers[place(Lane::kUpdate)];
  const Offer& demand = offers[place(Lane::kDemand)];
  const bool demand_first = demand.ready && demand.start_by < update.start_by;
  if (may(Lane::kUpdate) && update.ready && !demand_first) return Lane::kUpdate;
  if (may(Lane::kDemand) && demand.ready) return Lane::kDemand;

  const bool bulk = offers[place(Lane::kBulk)].ready;
  const bool backfill = offers[place(Lane::kBackfill)].ready;
  // Who comes back from having nothing to send gets its share from now on, not for the past.
  if (bulk && !bulk_waited_) bulk_pass_ = std::max(bulk_pass_, backfill_pass_);
  if (backfill && !backfill_waited_) backfill_pass_ = std::max(backfill_pass_, bulk_pass_);
  bulk_waited_ = bulk;
  backfill_waited_ = backfill;
  if (may(Lane::kBulk) && bulk && (!backfill || bulk_pass_ <= backfill_pass_)) return Lane::kBulk;
  if (may(Lane::kBackfill) && backfill) return Lane::kBackfill;
  return std::nullopt;
}

void Scheduler::on_sent(Time now, Lane lane, std::uint64_t bytes) {
  if (lane == Lane::kLive) {
    live_credit_ = live_credit(now) - static_cast<std::int64_t>(bytes);
    credit_at_ = now;
    if (now >= next_turn_) {  // the first of a turn
      turn_end_ = now + kLiveTurn;
      next_turn_ = now + pace_;
    }
    return;
  }
  if (lane == Lane::kBulk) bulk_pass_ += bytes * 100 / kBulkWeight;
  if (lane == Lane::kBackfill) backfill_pass_ += bytes * 100 / kBackfillWeight;
}

}  // namespace longhaul::session
