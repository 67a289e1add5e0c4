// Scheduler: virtual time. Callbacks run one by one in (time, sequence) order, on one thread; time
// jumps from one to the next and never passes on its own. What a callback schedules for now runs
// after all that was already scheduled for now.
#pragma once

#include <cstdint>
#include <limits>
#include <optional>
#include <vector>

#include "lib/base/ids.hpp"
#include "netsim/callback.hpp"
#include "netsim/time_queue.hpp"

namespace netsim {

using TimerId = longhaul::Id<struct TimerTag>;  // 0: none

class Scheduler {
 public:
  longhaul::Time now() const { return now_; }
  TimerId at(longhaul::Time when, Callback callback);  // in the past: now
  TimerId after(longhaul::Duration delay, Callback callback) {
    return at(now_ + delay, std::move(callback));
  }
  void cancel(TimerId timer);  // one that has run or was cancelled already is no error

  bool step();                                 // runs the next callback; false if there is none
  std::optional<longhaul::Time> next() const;  // its time
  void advance_to(longhaul::Time when);        // with nothing to run before it
  std::size_t pending() const { return pending_; }

 private:
  struct Slot {
    Callback callback;
    std::uint32_t generation = 1;
  };
  struct Entry {
    std::uint32_t slot, generation;
  };
  bool stale(const Entry& entry) const { return slots_[entry.slot].generation != entry.generation; }
  void skip_cancelled();
  void release(std::uint32_t slot);

  longhaul::Time now_{};
  TimeQueue<Entry> queue_;
  std::vector<Slot> slots_;
  std::vector<std::uint32_t> free_;
  std::size_t pending_ = 0;
};

}  // namespace netsim
