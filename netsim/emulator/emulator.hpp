// The emulator process: builds the hosts, moves packets between them, answers requests. It is
// forked off by `netsim run` and `netsim link` and has one thread. It ends when asked to, when its
// owner is gone, or when a port fails; the hosts go with it.
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "netsim/emulator/channel.hpp"
#include "netsim/emulator/host.hpp"
#include "netsim/topology.hpp"

namespace netsim::emulator {

struct EmulatorOptions {
  Topology topology = two_hosts({});
  std::uint64_t seed = 1;
  HostSettings host;
  std::string capture_path;  // a pcapng file; empty: none
  std::string name;          // for `netsim exec` and `ctl`; empty: none
  bool outlives_us = false;  // stays when its starter ends (--detach)
};

// The namespaces of a link's hosts, to be entered.
struct Spaces {
  std::vector<std::string> names;  // of the hosts
  std::vector<Fd> hosts;
  std::optional<Fd> user;  // around them, where one was needed
  static Spaces of(std::vector<std::string> names, std::vector<Fd> fds);
  // Of the host with this name; kNotFound names those that are there.
  Result<std::size_t> find(const std::string& name) const;
};

// A running emulator as its starter sees it. Closing the channel ends it.
struct Emulator {
  pid_t pid = -1;
  Channel channel;
  std::string backend;
  std::vector<std::string> notes;
  Spaces spaces;
};

// Forks it and waits until both hosts are ready for the first packet. Call before starting threads.
Result<Emulator> start_emulator(const EmulatorOptions& options);

}  // namespace netsim::emulator
