#include "netsim/wan_topology.hpp"

#include <vector>

namespace netsim {

WanNames build(Wan& wan, const Topology& topology) {
  ASSERT(check(topology).has_value());
  WanNames out;
  std::vector<HostId> hosts;
  std::vector<LinkId> links;
  for (const std::string& name : topology.hosts)
    out.hosts[name] = hosts.emplace_back(wan.add_host(name));
  for (const TopologyLink& link : topology.links)
    out.links[link.name] =
        links.emplace_back(wan.connect(hosts[link.a], hosts[link.b], link.config));
  for (const TopologyRoute& route : topology.routes)
    wan.route(hosts[route.at], hosts[route.to], links[route.via]);
  return out;
}

}  // namespace netsim
