// The emulator's clock: CLOCK_MONOTONIC. The pure core gets its readings as arguments.
#pragma once

#include <ctime>

#include "netsim/config.hpp"

namespace netsim::emulator {

inline Time now() {
  timespec t{};
  ::clock_gettime(CLOCK_MONOTONIC, &t);
  return Time(std::chrono::seconds(t.tv_sec) + Duration(t.tv_nsec));
}

}  // namespace netsim::emulator
