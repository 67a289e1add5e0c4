// What the daemon wants of a mirror: where each attempt is, and what became of commands, by one
// pass over a history of any length within a bounded memory. Called from a job.
#pragma once

#include <map>

#include "lib/feed/mirror.hpp"
#include "proxy/daemon/run_board.hpp"

namespace longhaul::daemon {

constexpr std::size_t kMirrorHeldMost = 16U << 20;  // of what may be the last of its attempt
constexpr std::size_t kDecidedMax = 16'384;         // the newest

struct MirrorReading {
  MirrorRead read;
  std::map<std::uint32_t, WallTime> began;  // attempts
};
// The mirror is new: nothing was read of it.
Result<MirrorReading> read_mirror(feed::Mirror& mirror, std::size_t held_most = kMirrorHeldMost);

}  // namespace longhaul::daemon
