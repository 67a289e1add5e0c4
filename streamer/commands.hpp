// The commands of `longhaul-streamer`. All return the exit code; errors have been said on the
// console.
#pragma once

#include <string>
#include <vector>

#include "lib/base/log.hpp"
#include "lib/cli/console.hpp"
#include "lib/io/asio_env.hpp"

namespace longhaul::streamer {

constexpr const char* kDefaultListen = "0.0.0.0:7700";

struct RunOptions {
  std::string root;
  std::string state;              // empty: where it was last, else in the root
  std::string listen;             // empty: kDefaultListen, or nowhere if it dials
  std::vector<std::string> dial;  // HOST:PORT of laptops that this site keeps a call open to
  std::string gateway;            // where readers find it: tcp://ADDRESS:PORT, ipc://PATH; or empty
  std::string version;            // of this program
  bool any_port = false;          // if that port is taken, another one will do
  bool lets_stdout_go = false;    // after saying that it is ready: a daemon
  bool json = false;
};
// Until SIGINT or SIGTERM.
int run(cli::Console& console, Log& log, const RunOptions& options);

struct InviteOptions {
  std::string root;
  std::string role = "owner";
  std::string
      address;  // as the invited node can reach this one; empty: guessed from this host's name
  bool json = false;
};
int invite(cli::Console& console, const InviteOptions& options);

struct PeersOptions {
  std::string root;
  std::string revoke;  // a name or the beginning of a key; empty: list
  bool json = false;
};
int peers(cli::Console& console, const PeersOptions& options);

}  // namespace longhaul::streamer
