// RunModel: what is known of a watched run on this side: curves by the name of their series, marks,
// attempts, and the two watermarks. A value that grows; any screen or file is made from it. Older
// attempts' points that a newer one has passed stay out of the curves, as on every chart; nothing
// of them is lost in the mirror.
#pragma once

#include <map>
#include <set>
#include <string>
#include <vector>

#include "lib/feed/viewer.hpp"
#include "lib/run/curve.hpp"

namespace longhaul::feed {

constexpr std::size_t kMarksMax = 10'000;  // the newest are kept

struct Newest {
  std::uint32_t attempt = 0;
  std::uint64_t step = 0;
  double value = 0;
  WallTime at;
  bool passes(const Newest& other) const {
    return attempt != other.attempt ? attempt > other.attempt : at >= other.at;
  }
};

struct SeriesView {
  run::Curve curve;           // what the history holds, the newest attempt's over the others'
  std::uint32_t attempt = 0;  // of the curve's last point
  std::uint64_t points = 0;   // of all attempts
  Newest newest;              // live, or the history's last
};

struct Mark {
  std::uint32_t attempt = 0;
  std::uint64_t number = 0;
  run::RunEvent event;
};

struct AttemptView {
  WallTime began;
  std::string host, config;
  bool ended = false;
  std::string why;
  std::uint64_t next = 0;  // history is here up to this record
  std::uint64_t offset = 0;
  std::uint64_t recorded = 0;  // so many there are
  bool told = false;           // the site said how many
  std::uint64_t lost = 0;      // records that rotted in the log
  std::uint64_t dropped = 0;   // points a full ring turned away
  std::map<run::SeriesId, std::string> names;
};

class RunModel {
 public:
  void on_took(const Took& took);
  void on_heard(const Heard& heard);
  void on_fresh(const Fresh& fresh);

  const std::map<std::string, SeriesView>& series() const { return series_; }
  const std::map<std::uint32_t, AttemptView>& attempts() const { return attempts_; }
  // By attempt and number.
  const std::map<std::pair<std::uint32_t, std::uint64_t>, Mark>& marks() const { return marks_; }
  // Those that came since the last call, as they came; at most kMarksMax.
  std::vector<Mark> take_new_marks() { return std::exchange(new_marks_, {}); }
  std::uint32_t newest_attempt() const { return attempts_.empty() ? 0 : attempts_.rbegin()->first; }
  std::uint64_t live_step() const { return live_step_; }          // of the newest attempt
  std::uint64_t complete_step() const { return complete_step_; }  // the same
  // All that was recorded of every attempt is here, as far as the site has told.
  bool complete() const;
  WallTime wrote() const { return wrote_; }
  std::string name_of(std::uint32_t attempt, run::SeriesId series) const;  // empty: not known yet

 private:
  void on_entry(std::uint32_t attempt, const run::LogEntry& entry);
  void see(std::uint32_t attempt, run::SeriesId series, const Newest& newest);
  void move_on(std::uint32_t attempt);

  std::map<std::string, SeriesView> series_;
  std::map<std::uint32_t, AttemptView> attempts_;
  std::map<std::pair<std::uint32_t, std::uint64_t>, Mark> marks_;
  std::vector<Mark> new_marks_;
  std::map<std::pair<std::uint32_t, run::SeriesId>, Newest> unnamed_;  // live, before their name
  std::uint64_t live_step_ = 0, complete_step_ = 0;
  WallTime wrote_;
};

}  // namespace longhaul::feed
