// What a folder's file system can do, tried with files of our own in it: space, locks, rename, hard
// link, reflink, syncfs. Blocks on the disk; on NFS it may take a while.
#pragma once

#include <string>
#include <vector>

#include "lib/doctor/finding.hpp"

namespace longhaul::doctor {

// `check` names of the findings begin with this noun: "store: locks".
std::vector<Finding> examine_folder(const std::string& folder, const std::string& noun);

struct Space {
  std::uint64_t free_bytes = 0, free_files = 0;
  bool counts_files = true;  // some file systems have no fixed number
};
Finding check_space(const std::string& check, const Space& space);

}  // namespace longhaul::doctor
