// Scheduler: which lane sends next. Live goes first but is paced and takes at most a twentieth of
// the rate; then update and demand, whichever has less slack; then bulk and backfill share by
// weight. Control never asks: it goes before all of these. A pure rule over what the lanes report;
// its only memory is what each has had. Not thread-safe.
#pragma once

#include <array>
#include <cstdint>
#include <optional>

#include "lib/base/units.hpp"
#include "lib/session/service.hpp"

namespace longhaul::session {

constexpr Duration kLivePaceLeast = 20ms;
constexpr Duration kLivePaceMost = 250ms;
constexpr std::int64_t kLiveBurst = 64 << 10;                    // bytes
constexpr std::uint64_t kBulkWeight = 85, kBackfillWeight = 15;  // of 100; never below 5

using LaneSet = std::uint8_t;  // bit i: Lane i
constexpr LaneSet only(Lane lane) {
  return static_cast<LaneSet>(1U << static_cast<unsigned>(lane));
}
constexpr LaneSet kDeadlineLanes = only(Lane::kUpdate) | only(Lane::kDemand);
constexpr LaneSet kUrgentLanes = only(Lane::kLive) | kDeadlineLanes;
constexpr LaneSet kBulkLanes = only(Lane::kBulk) | only(Lane::kBackfill);

class Scheduler {
 public:
  // What a lane has to send, as far as the scheduler cares.
  struct Offer {
    bool ready = false;
    Time start_by = Time::max();  // update, demand
  };
  using Offers = std::array<Offer, kLaneCount>;

  void set_link(Duration rtt, BytesPerSecond rate);
  // The lane to send from, of those `allowed` (what this path carries) that offer and may send now.
  // Offers are of all lanes, so that a path's limits do not look like a lane without work.
  std::optional<Lane> pick(Time now, const Offers& offers, LaneSet allowed);
  void on_sent(Time now, Lane lane, std::uint64_t bytes);
  // When live may send again, if it may not now.
  std::optional<Time> live_at(Time now) const;

 private:
  bool live_may(Time now) const {
    return (now >= next_turn_ || now < turn_end_) && live_credit(now) > 0;
  }
  std::int64_t live_credit(Time now) const;
  BytesPerSecond live_rate() const;

  Duration pace_ = 100ms;
  BytesPerSecond rate_;
  Time next_turn_ = Time::min(), turn_end_ = Time::min();  // in a turn all that waits may go
  std::int64_t live_credit_ = kLiveBurst;
  Time credit_at_{};
  std::uint64_t bulk_pass_ = 0, backfill_pass_ = 0;  // bytes had, over the weight
  bool bulk_waited_ = false, backfill_waited_ = false;
};

}  // namespace longhaul::session
