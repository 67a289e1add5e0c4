// Chosen: what a command line asks for, as CLI11's callbacks note it down.
#pragma once

#include <functional>

#include <CLI/CLI.hpp>

#include "proxy/app.hpp"

namespace longhaul {

using Start = std::function<io::Task<int>(proxy::App&)>;

struct Chosen {
  Start start;        // what the command line asks for
  bool json = false;  // of whichever command
  bool verbose = false;
  bool serves_many = false;  // goes on without what an allocation was for, if it can
};

// A command below `root` that knows --json.
inline CLI::App* add(CLI::App& root, Chosen& chosen, const char* name, const char* about) {
  CLI::App* command = root.add_subcommand(name, about);
  command->add_flag("--json", chosen.json, "one JSON object a line on stdout");
  return command;
}

}  // namespace longhaul
