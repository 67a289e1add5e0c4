// `longhaul-streamer drain`: what killed training programs left in this host's memory, into their
// run logs. Returns the exit code; errors have been said on the console.
#pragma once

#include <string>
#include <vector>

#include "lib/cli/console.hpp"

namespace longhaul::streamer {

struct DrainOptions {
  std::vector<std::string> runs;  // folders; none: all of this user's on this host
  std::string shared;             // as longhaul_options' in lib/client/longhaul.h
  std::string wait = "10s";       // for processes that a dead one started to end, at most
  bool json = false;
};
int drain(cli::Console& console, const DrainOptions& options);

}  // namespace longhaul::streamer
