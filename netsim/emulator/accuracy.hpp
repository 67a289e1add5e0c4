// The accuracy suite behind `netsim check`: sends probes through a real link on this machine and
// measures, with the kernel's clocks and counts, whether delay, rate and loss are what was asked
// for. Takes about 15 s.
#pragma once

#include <string>
#include <vector>

#include "netsim/emulator/host.hpp"

namespace netsim::emulator {

struct AccuracyRow {
  std::string what;      // "added delay, 75 ms each way"
  std::string bar;       // "mean within 50 us, p99 within 200 us"
  std::string measured;  // "mean +3 us, p99 41 us"
  bool pass = false;
};

Result<std::vector<AccuracyRow>> check_accuracy(const HostSettings& host);

}  // namespace netsim::emulator
