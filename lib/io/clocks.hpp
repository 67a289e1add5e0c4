// Clocks of this machine, for whoever is given one as a function: stages and codecs are measured by
// them. Any thread; neither goes back.
#pragma once

#include "lib/base/units.hpp"

namespace longhaul::io {

Duration steady_time();      // since some moment, without the sleep of the machine
Duration thread_cpu_time();  // of a processor, used by the calling thread

}  // namespace longhaul::io
