// Sockets on a side of a link, for a process that stays outside: a socket belongs to the namespace
// it was made in, whoever holds it.
#pragma once

#include <functional>

#include "netsim/emulator/emulator.hpp"

namespace netsim::emulator {

// Calls `open` in a short-lived process on side 0 (a) or 1 (b) and brings the descriptor out. Call
// before starting threads.
Result<Fd> open_inside(const Emulator& emulator, std::size_t side,
                       const std::function<Result<Fd>()>& open);

}  // namespace netsim::emulator
