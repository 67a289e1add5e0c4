// What is specific to a streamer's root, besides its file system: transfers that were begun and
// never finished, and a private part that is private.
#pragma once

#include <string>
#include <vector>

#include "lib/base/units.hpp"
#include "lib/doctor/finding.hpp"

namespace longhaul::doctor {

// Stagings untouched for a week before `now`; a running transfer touches its own each epoch.
Finding check_stale_staging(const std::string& root, WallTime now);
Finding check_private_part(const std::string& root);

}  // namespace longhaul::doctor
