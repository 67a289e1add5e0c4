// Pacer: how long to sleep before a deadline. Waking takes a machine 20 to 200 us, and a sleep
// until the deadline would be late by that; so it learns how late sleeps end and sleeps that much
// less. The rest is spun away by polling, at most a third of the time, so that programs get the
// processor. Pure.
#pragma once

#include <optional>

#include "netsim/config.hpp"

namespace netsim::emulator {

class Pacer {
 public:
  // Zero: do not sleep, poll again.
  Duration nap(Time now, std::optional<Time> deadline);
  // After a nap that nothing but its end interrupted.
  void on_wake(Time now);

 private:
  Duration lead_ = std::chrono::microseconds(150);  // how much earlier to wake
  Time planned_{}, window_{}, last_{};
  Duration spun_{};  // in this window
  bool spinning_ = false;
};

}  // namespace netsim::emulator
