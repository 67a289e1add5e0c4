// The subcommands of netsim: each adds itself to the tree, and when it is chosen, sets `run`, which
// main calls once everything is parsed and whose result is the exit code. Exit codes: the command's
// own; 2 nonsense on the command line; 125 netsim itself failed or the run is INVALID.
#pragma once

#include <functional>
#include <string>
#include <vector>

#include <CLI/CLI.hpp>

namespace netsim::tool {

struct Context {
  std::vector<std::string> command;  // what stands behind the first "--"
  bool has_command = false;          // there was a "--"
  std::function<int()> run;
};

inline constexpr int kUsageExit = 2, kOwnFailureExit = 125;

void add_run(CLI::App& app, Context& context);
void add_link(CLI::App& app, Context& context);
void add_exec(CLI::App& app, Context& context);
void add_ctl(CLI::App& app, Context& context);
void add_profiles(CLI::App& app, Context& context);
void add_relay(CLI::App& app, Context& context);
void add_check(CLI::App& app, Context& context);

}  // namespace netsim::tool
