// The emulator process: builds the two hosts, moves packets between them, answers requests. It is
// forked off by `netsim run` and `netsim link` and has one thread. It ends when asked to, when its
// owner is gone, or when a port fails; the hosts go with it.
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "netsim/config.hpp"
#include "netsim/emulator/channel.hpp"
#include "netsim/emulator/host.hpp"

namespace netsim::emulator {

struct EmulatorOptions {
  LinkConfig link;
  std::uint64_t seed = 1;
  HostSettings host;
  std::string capture_path;  // a pcapng file; empty: none
  std::string name;          // for `netsim exec` and `ctl`; empty: none
  bool outlives_us = false;  // stays when its starter ends (--detach)
};

// A running emulator as its starter sees it. Closing the channel ends it.
struct Emulator {
  pid_t pid = -1;
  Channel channel;
  std::string backend;
  std::vector<std::string> notes;
  std::vector<Fd> hosts;  // network namespaces of a and b, then the user namespace if any
};

// Forks it and waits until both hosts are ready for the first packet. Call before starting threads.
Result<Emulator> start_emulator(const EmulatorOptions& options);

}  // namespace netsim::emulator
