// A topology (topology.hpp) built into a Wan: hosts and links in the file's order and by its names.
//
//   Wan wan(seed);
//   const WanNames names = build(wan, *topology_from_json(text));
//   wan.apply(names.link("ocean"), Outage{30s});
#pragma once

#include <map>
#include <string>

#include "netsim/topology.hpp"
#include "netsim/wan.hpp"

namespace netsim {

struct WanNames {
  std::map<std::string, HostId> hosts;
  std::map<std::string, LinkId> links;
  HostId host(const std::string& name) const { return hosts.at(name); }
  LinkId link(const std::string& name) const { return links.at(name); }
};

WanNames build(Wan& wan, const Topology& topology);  // one that check() refuses is a bug

}  // namespace netsim
