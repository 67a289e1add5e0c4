// What a command line came to: filled by the callbacks of the command tree.
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
};

inline CLI::App* add(CLI::App& root, Chosen& chosen, const char* name, const char* about) {
  CLI::App* command = root.add_subcommand(name, about);
  command->add_flag("--json", chosen.json, "one JSON object a line on stdout");
  return command;
}

}  // namespace longhaul
