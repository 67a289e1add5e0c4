// Debounce: when a watched folder is walked and pushed again. Pure: it hears of changes and of
// rounds and says when the next one begins. A round begins once nothing has changed for `quiet`;
// where changes never stop, `most` after the first. Without any, all is walked every `patrol`, for
// changes that nobody told of (docs/transfer.md, "Watching"). Walking takes at most a fifth of the
// time, patrols a fiftieth, however large the folder. A round that failed is tried again after
// pauses that double.
//
//   debounce.on_change(now);
//   if (now >= debounce.next_round()) { debounce.begin(); ..walk, push..
//                                       debounce.end(now, walk_took, succeeded); }
#pragma once

#include <optional>

#include "lib/base/units.hpp"

namespace longhaul::proxy {

struct DebounceTimes {
  Duration quiet = 1s;
  Duration most = 15s;
  Duration patrol = 60s;
};

class Debounce {
 public:
  // The first round is due at once.
  Debounce(Time now, DebounceTimes times) : times_(times), patrol_at_(now), not_before_(now) {}

  void on_change(Time now);
  void set_patrol(Duration patrol) { times_.patrol = patrol; }
  // A round begins: it sees every change until now. What changes while it runs is for the next one.
  void begin();
  void end(Time now, Duration walk_took, bool succeeded);
  // When the next round is due; while one runs, when it would be.
  Time next_round() const;
  bool failed() const { return retry_pause_.count() > 0; }

 private:
  DebounceTimes times_;
  std::optional<Time> first_, last_;  // changes that no round has seen
  Time patrol_at_;
  Time not_before_;
  Duration retry_pause_{};  // zero: the last round succeeded
};

}  // namespace longhaul::proxy
