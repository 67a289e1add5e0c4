// The UDP half of forward.hpp: a process that carries datagrams between callers on side b's ports
// and the same ports of this machine.
#pragma once

#include <cstdint>
#include <vector>

#include "netsim/emulator/emulator.hpp"

namespace netsim::emulator {

Result<> start_forwarding_datagrams(const Emulator& emulator,
                                    const std::vector<std::uint16_t>& ports);

}  // namespace netsim::emulator
