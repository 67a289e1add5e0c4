// A command to be run on one side of a link, with what it should know in its environment:
// NETSIM_SIDE (a or b), NETSIM_ADDRESS, NETSIM_ADDRESS6, NETSIM_PEER, NETSIM_PEER6, NETSIM_LINK.
#pragma once

#include <cstdlib>
#include <string>
#include <vector>

#include "netsim/emulator/host.hpp"
#include "netsim/emulator/warden.hpp"

namespace netsim::tool {

inline emulator::Command on_side(std::size_t side, std::vector<std::string> argv,
                                 const std::vector<emulator::Fd>& hosts, const std::string& link) {
  emulator::Command out;
  out.argv = std::move(argv);
  if (out.argv.empty()) {
    const char* shell = std::getenv("SHELL");
    out.argv = {shell != nullptr && *shell != '\0' ? shell : "/bin/sh"};
  }
  const std::size_t far = 1 - side;
  out.environment = {{"NETSIM_SIDE", side == 0 ? "a" : "b"},
                     {"NETSIM_ADDRESS", emulator::kAddress4[side]},
                     {"NETSIM_ADDRESS6", emulator::kAddress6[side]},
                     {"NETSIM_PEER", emulator::kAddress4[far]},
                     {"NETSIM_PEER6", emulator::kAddress6[far]}};
  if (!link.empty()) out.environment.emplace_back("NETSIM_LINK", link);
  out.net_namespace = hosts.at(side).get();
  if (hosts.size() > 2) out.user_namespace = hosts[2].get();
  return out;
}

}  // namespace netsim::tool
