// What the command line names by file: profiles and traces.
#pragma once

#include <string>

#include "netsim/profile.hpp"

namespace netsim::tool {

Result<std::string> read_file(const std::string& path);     // at most kLinkJsonMax bytes
Result<Profile> find_profile(const std::string& argument);  // built in, or a file
TraceFiles
trace_files();  // rate: mahimahi's format; loss: a text of 0 and 1, blanks between ignored

}  // namespace netsim::tool
