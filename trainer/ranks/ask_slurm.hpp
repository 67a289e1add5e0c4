// What Slurm says of the job that this process belongs to. Runs scontrol; blocks for at most 3 s.
#pragma once

#include <optional>

#include "lib/base/units.hpp"
#include "trainer/ranks/place.hpp"

namespace longhaul::trainer {

// How long it has from now until it is ended by force, once it was told to end. nullopt: it is no
// job of Slurm's, or Slurm does not answer.
std::optional<Duration> ask_slurm_grace(const Lookup& variable);

}  // namespace longhaul::trainer
