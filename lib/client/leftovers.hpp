// Leftovers: shared logs that killed training programs left in this host's memory, brought into
// their run logs. What the next attempt does when it begins on the same host; here for the end of a
// job, when the run goes on elsewhere or not at all. Blocks on the disk.
//
// A ring's own head says of which run it is. Nothing is taken from one whose process lives, and
// what is in the log already is not taken again, whoever drained it, however far (run/drain.hpp).
#pragma once

#include <string>
#include <vector>

#include "lib/base/result.hpp"
#include "lib/base/units.hpp"

namespace longhaul::client {

enum class LeftoverState : std::uint8_t {
  kDrained,  // its log has all of it, and its memory is free
  kAtWork,   // its process lives
  kHeld,     // its process died, and one that it forked lives
  kFailed,   // `error` says why; it lies where it lay
};

struct Leftover {
  std::string ring;  // the file
  std::string run;   // folder; empty: it does not say
  std::uint32_t attempt = 0;
  std::uint64_t process = 0;
  LeftoverState state = LeftoverState::kFailed;
  std::uint64_t records = 0;  // brought into the log
  Error error;
};

struct LeftoverOptions {
  std::string shared{};             // folder on tmpfs; empty: $LONGHAUL_SHM, else /dev/shm
  std::vector<std::string> runs{};  // folders; none: of all runs of this user on this host
  Duration wait{};                  // at most, for what is kHeld
};

Result<std::vector<Leftover>> drain_leftovers(const LeftoverOptions& options);

}  // namespace longhaul::client
