// Grace time: how long a job has from the signal that stops it until it is ended by force, and
// whether one more checkpoint fits in there. Pure: what Slurm says is read here, asked for
// elsewhere (ranks/ask_slurm.hpp).
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "lib/base/units.hpp"

namespace longhaul::trainer {

// From `scontrol show job ID` and `scontrol show config`, both with SLURM_TIME_FORMAT=%s, at
// `now_s` seconds since 1970. Of a job that runs, up to its EndTime: that is the time limit's, and
// a preemption with a grace time moves it. Of one that is being ended, KillWait. nullopt: not said.
std::optional<Duration> slurm_grace(std::string_view job, std::string_view config,
                                    std::int64_t now_s);

// Why a checkpoint that takes as long as the last one is not begun at `now`, in words for people;
// nullopt: it fits, or nobody knows that it does not. `end`: when the job is ended by force.
std::optional<std::string> too_late(Time now, std::optional<Time> end,
                                    std::optional<Duration> last_took);

}  // namespace longhaul::trainer
