// Where a run's mirror lies: STATE/runs/SITE/RUN/mirror, and how one goes that nothing is in.
#pragma once

#include <string>

namespace longhaul::proxy {

// Whoever calls this appends there: nobody else does. Takes the folders of the run's name along
// that hold nothing else; those of a mirror with anything in it stay. Blocks, for a moment.
void remove_empty_mirror(const std::string& site_folder, const std::string& run);

}  // namespace longhaul::proxy
