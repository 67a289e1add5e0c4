// The options that describe a link and its hosts, shared by `run` and `link`.
#pragma once

#include <map>
#include <string>
#include <vector>

#include "netsim/emulator/emulator.hpp"
#include "tools/netsim/commands.hpp"

namespace netsim::tool {

class LinkOptions {
 public:
  void add_to(CLI::App& command);
  bool clamps_sockets() const { return tuning_ == "untuned"; }
  // All of them together, checked; kUsage or kNotFound in one line.
  Result<emulator::EmulatorOptions> read() const;

 private:
  Result<LinkConfig> read_link() const;
  Result<Topology> read_topology() const;
  bool describes_a_link() const;  // by options of its own

  std::string profile_, topology_;
  std::map<std::string, std::string> settings_;  // by key: --rtt, --up.loss, ..
  std::vector<std::string> outages_, events_;
  std::string seed_;
  std::string backend_ = "auto", tuning_ = "as-is", congestion_;
  std::string capture_path_;
  bool user_namespace_ = false, no_offload_ = false;
};

}  // namespace netsim::tool
