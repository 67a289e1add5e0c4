// What a run says about itself: counters, lateness, validity; as JSON and as lines for people.
// Pure.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "netsim/emulator/engine.hpp"
#include "netsim/emulator/socket_watch.hpp"

namespace netsim::emulator {

struct RunFacts {  // what the engine does not know
  std::string backend;
  bool realtime = false;
  std::uint64_t seed = 0;
  std::vector<std::string> notes;
  Duration elapsed{};
  std::uint64_t dropped_before_link = 0;  // packets the kernel dropped before we could read them
  std::uint64_t capture_lost = 0;         // packets that the capture file lacks
  std::vector<HostFacts> sockets;         // one a host
};

// {"valid": true, "why": "", "lateness_us": {..}, "up": {..}, "down": {..}, ..}: docs/netsim.md.
std::string report_json(const Engine& engine, const RunFacts& facts);
// Of that only what packets did, for who looks often: {"up": {..}, "down": {..}}, or "links" and
// "hosts"; it takes 0.1 ms and not 0.8.
std::string counters_json(const Engine& engine);

}  // namespace netsim::emulator
