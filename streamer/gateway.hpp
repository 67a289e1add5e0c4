// The streamer's gateway (lib/gateway): readers on hosts that do not see the ROOT, or must not,
// read its datasets through it. Its keys and passes lie in ROOT/.longhaul/gateway, mode 0600.
#pragma once

#include <memory>
#include <string>

#include "lib/cli/console.hpp"
#include "lib/gateway/server.hpp"
#include "streamer/root.hpp"

namespace longhaul::streamer {

// Serves `root` at an endpoint of ZeroMQ until it is destroyed.
Result<std::unique_ptr<gateway::GatewayServer>> open_gateway(const Root& root,
                                                             const std::string& at);

struct GatewayOptions {
  std::string root;
  std::string run;  // whose pass
  std::string at;   // pass: the gateway as the run's hosts reach it; empty: from what runs
  bool json = false;
};
// Makes the pass of a run, anew if it has one, and prints the file that holds it.
int gateway_pass(cli::Console& console, const GatewayOptions& options);
int gateway_list(cli::Console& console, const GatewayOptions& options);
int gateway_revoke(cli::Console& console, const GatewayOptions& options);

}  // namespace longhaul::streamer
