// A command to be run on one host, with what it should know in its environment: NETSIM_HOST (also
// as NETSIM_SIDE), NETSIM_ADDRESS and NETSIM_ADDRESS6 of its own, NETSIM_ADDRESS_HOST and
// NETSIM_ADDRESS6_HOST of every host (its name in capitals, '-' and '.' as '_'), with two hosts
// also NETSIM_PEER and NETSIM_PEER6; NETSIM_LINK.
#pragma once

#include <cstdlib>
#include <string>
#include <vector>

#include "netsim/emulator/addresses.hpp"
#include "netsim/emulator/emulator.hpp"
#include "netsim/emulator/warden.hpp"

namespace netsim::tool {

inline std::string variable_of(std::string host) {
  for (char& c : host) {
    if (c >= 'a' && c <= 'z') c = static_cast<char>(c - 'a' + 'A');
    if (c == '-' || c == '.') c = '_';
  }
  return host;
}

inline emulator::Command on_host(std::size_t host, std::vector<std::string> argv,
                                 const emulator::Spaces& spaces, const std::string& link) {
  emulator::Command out;
  out.argv = std::move(argv);
  if (out.argv.empty()) {
    const char* shell = std::getenv("SHELL");
    out.argv = {shell != nullptr && *shell != '\0' ? shell : "/bin/sh"};
  }
  const auto own = static_cast<emulator::AddressId>(host);
  out.environment = {{"NETSIM_HOST", spaces.names.at(host)},
                     {"NETSIM_SIDE", spaces.names.at(host)},
                     {"NETSIM_ADDRESS", emulator::address4(own)},
                     {"NETSIM_ADDRESS6", emulator::address6(own)}};
  for (emulator::AddressId id = 0; id < spaces.names.size(); ++id) {
    const std::string name = variable_of(spaces.names[id]);
    out.environment.emplace_back("NETSIM_ADDRESS_" + name, emulator::address4(id));
    out.environment.emplace_back("NETSIM_ADDRESS6_" + name, emulator::address6(id));
  }
  if (spaces.names.size() == 2) {
    out.environment.emplace_back("NETSIM_PEER", emulator::address4(1 - own));
    out.environment.emplace_back("NETSIM_PEER6", emulator::address6(1 - own));
  }
  if (!link.empty()) out.environment.emplace_back("NETSIM_LINK", link);
  out.net_namespace = spaces.hosts.at(host).get();
  if (spaces.user) out.user_namespace = spaces.user->get();
  return out;
}

}  // namespace netsim::tool
