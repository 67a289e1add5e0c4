// Forward: TCP and UDP services of the machine, reachable from behind the link. A process listens
// on the far side (b), and connects each caller to 127.0.0.1:PORT out here. The ocean lies between
// the caller and b; the TCP connection of the caller ends there. Each caller's datagrams have a
// socket of their own out here, for five silent minutes.
#pragma once

#include <cstdint>
#include <vector>

#include "netsim/emulator/emulator.hpp"

namespace netsim::emulator {

// Forks a process each for TCP and UDP; they end with us. kBusy or another error: a port cannot be
// listened on.
Result<> start_forwarding(const Emulator& emulator, const std::vector<std::uint16_t>& ports);

}  // namespace netsim::emulator
