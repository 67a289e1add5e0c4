// Forward: TCP services of the machine, reachable from behind the link. A process listens on the
// far side (b), and connects each caller to 127.0.0.1:PORT out here. The ocean lies between the
// caller and b; the TCP connection of the caller ends there. No UDP.
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <vector>

#include "netsim/emulator/emulator.hpp"

namespace netsim::emulator {

// Forks it; it ends with us. kBusy or another error: a port cannot be listened on.
Result<pid_t> start_forwarding(const Emulator& emulator, const std::vector<std::uint16_t>& ports);

}  // namespace netsim::emulator
