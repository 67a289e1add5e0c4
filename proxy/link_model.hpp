// LinkModel: what a session says of itself over time, for screens: newest state, what each lane
// carried of late, and a ledger of waits with their reasons. A value; no clock of its own.
#pragma once

#include <array>
#include <deque>
#include <optional>
#include <string>

#include "lib/session/service.hpp"
#include "lib/session/status.hpp"

namespace longhaul::proxy {

enum class Waiter : std::uint8_t { kLink, kRun };

struct Wait {
  Waiter of = Waiter::kLink;
  WallTime began;
  Duration lasted{};
  std::string why;
  bool over = false;
};

class LinkModel {
 public:
  static constexpr Duration kShort = 500ms;      // what is over sooner is no entry of the ledger
  static constexpr Duration kRatesOver = 3s;     // of lanes
  static constexpr std::size_t kWaitsMax = 200;  // the newest
  static constexpr std::size_t kPast = 120;      // round trips kept, one each kPastEvery
  static constexpr Duration kPastEvery = 500ms;

  // status: null between two sessions.
  void on_status(Time now, WallTime wall, const session::Status* status);
  // The run itself: why nothing comes of it, as far as the site knows; nullopt: it writes.
  void on_run(Time now, WallTime wall, std::optional<std::string> why);

  const std::optional<session::Status>& status() const { return status_; }
  const std::deque<Wait>& waits() const { return waits_; }  // oldest first
  const std::deque<Duration>& round_trips() const { return round_trips_; }
  // Bytes a second of messages, over the last kRatesOver.
  std::array<double, session::kLaneCount> sent() const { return rates(&Sample::sent); }
  std::array<double, session::kLaneCount> received() const { return rates(&Sample::received); }
  // No word of the site for longer than a link that lives allows; zero: there was.
  Duration silent() const { return silent_; }
  // The one that lasts; nullptr: none.
  const Wait* waiting(Waiter of) const;

 private:
  struct Sample {
    Time at{};
    session::LaneBytes sent{}, received{};
  };
  struct Under {  // a wait that may become an entry
    std::string why;
    Time since{};
    WallTime began;
    bool listed = false;
  };
  void judge(Waiter of, Time now, WallTime wall, std::string why, Duration already = {});
  std::array<double, session::kLaneCount> rates(session::LaneBytes Sample::*which) const;

  std::optional<session::Status> status_;
  std::deque<Sample> samples_;
  std::deque<Duration> round_trips_;
  std::optional<Time> round_trip_at_;
  std::array<std::optional<Under>, 2> under_;
  std::deque<Wait> waits_;
  Duration silent_{};
};

// What holds a session back, in a word or two: "nothing to send", "link", "no link", ..
std::string_view wait_of(const session::Status& status);

}  // namespace longhaul::proxy
