// The streamer as a daemon of its user: started apart from the terminal or ssh session that asked
// for it, found again by its root, reached over stdin and stdout. All return the exit code; errors
// have been said on the console.
#pragma once

#include <string>

#include "lib/base/log.hpp"
#include "lib/cli/console.hpp"
#include "streamer/commands.hpp"

namespace longhaul::streamer {

struct StartOptions {
  std::string root;
  std::string state;              // as RunOptions
  std::string listen;             // empty: where it listened last; else port 7700, else any
  std::vector<std::string> dial;  // as RunOptions
  std::string gateway;            // as RunOptions; empty: as last
  std::string version;            // of this program
  bool json = false;
};
// Starts a streamer for this root, or finds the one that runs; returns when it listens.
int start(cli::Console& console, Log& log, const StartOptions& options);

struct DaemonOptions {
  std::string root;
  std::string version;  // carry: of this program
  bool json = false;
};
int stop(cli::Console& console, const DaemonOptions& options);
int status(cli::Console& console, const DaemonOptions& options);  // kNotFoundError: none runs

// One connection to the streamer of this root, over stdin and stdout, for `longhaul` at the other
// end of an ssh session. Starts the streamer if none runs. Says kCarrierGreeting first, so that
// what a login shell printed before it can be told apart.
constexpr std::string_view kCarrierGreeting = "longhaul-carrier 1\n";
int carry(cli::Console& console, Log& log, const DaemonOptions& options);

}  // namespace longhaul::streamer
