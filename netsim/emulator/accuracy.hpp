// The accuracy suite behind `netsim check`: sends probes through a real link on this machine and
// measures, with the kernel's clocks and counts, whether delay, rate and loss are what was asked
// for, and whether a kernel's CUBIC does on it what RFC 8312 says. 40 s, and 160 more for CUBIC.
#pragma once

#include <functional>
#include <string>

#include "netsim/emulator/host.hpp"

namespace netsim::emulator {

struct AccuracyRow {
  std::string what;      // "added delay, 75 ms each way"
  std::string bar;       // "mean within 50 us, p99 within 200 us"
  std::string measured;  // "mean +3 us, p99 41 us"
  bool pass = false;
};

enum class Thoroughness : std::uint8_t { kQuick, kWhole };  // quick: without CUBIC
using OnRow = std::function<void(AccuracyRow)>;             // as they become known
Result<> check_accuracy(const HostSettings& host, Thoroughness how, const OnRow& on_row);

}  // namespace netsim::emulator
