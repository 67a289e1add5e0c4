// What is specific to a streamer's root, besides its file system: transfers that were begun and
// never finished, and a private part that is private.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "lib/base/units.hpp"
#include "lib/doctor/finding.hpp"

namespace longhaul::doctor {

// Stagings untouched for a week before `now`; a running transfer touches its own each epoch.
Finding check_stale_staging(const std::string& root, WallTime now);
Finding check_private_part(const std::string& root);

// Where the index and locks are: a disk of this host is right. `folder`: of the state.
struct StatePlace {
  std::string folder;
  bool own = false;  // --state was given
  bool is_there = true;
  std::optional<std::string> shared_by;  // "NFS" ..: the file system it is on; nullopt: local
};
Finding check_state(const StatePlace& place);

}  // namespace longhaul::doctor
