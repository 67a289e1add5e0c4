// What the command line names by file: profiles and traces.
#pragma once

#include <fstream>
#include <string>

#include "netsim/profile.hpp"

namespace netsim::tool {

Result<std::string> read_file(const std::string& path);  // at most kLinkJsonMax bytes
// What was found wrong in a file, told with its name.
longhaul::Error named(const std::string& path, const longhaul::Error& error);
Result<Profile> find_profile(const std::string& argument);  // built in, or a file
TraceFiles
trace_files();  // rate: mahimahi's format; loss: a text of 0 and 1, blanks between ignored

// A report that was asked for: opened before anything starts, so that a run does not end without
// the account it was made for.
class ReportFile {
 public:
  static Result<ReportFile> open(const std::string& path);  // empty: none was asked for
  bool is_wanted() const { return !path_.empty(); }
  Result<> write(const std::string& report);

 private:
  std::string path_;
  std::ofstream file_;
};

}  // namespace netsim::tool
