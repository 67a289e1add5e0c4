// The accuracy suite's TCP: one kernel flow against a published law.
#pragma once

#include <vector>

#include "netsim/emulator/accuracy.hpp"

namespace netsim::emulator {

// One CUBIC flow each over 150 ms with every 1,000th and every 10,000th packet lost, side by side,
// over their loss cycles 5 to 25, against RFC 8312, equation 6. 160 s.
Result<std::vector<AccuracyRow>> check_cubic(const HostSettings& host);

}  // namespace netsim::emulator
