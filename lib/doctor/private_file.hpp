// A file that holds a secret must be its owner's alone: an identity, a ledger of invites.
#pragma once

#include <string>

#include "lib/doctor/finding.hpp"

namespace longhaul::doctor {

// `missing`: what to do when it is not there.
Finding check_private_file(const std::string& check, const std::string& path,
                           const std::string& missing);

}  // namespace longhaul::doctor
