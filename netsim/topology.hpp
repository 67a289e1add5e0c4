// Topology: a network of named hosts and links as data, read from a file; the same for virtual time
// and the packet emulator. The way between two hosts is the one with the fewest links, among equals
// the one whose links come first in the file, unless a route says otherwise. Pure.
//
//   {"netsim_topology": 1,
//    "hosts": ["laptop", "exchange", "site"],
//    "links": [
//      {"between": ["laptop", "exchange"], "link": {"rtt": "12ms", "up": {"rate": "40mbit"}}},
//      {"name": "ocean", "between": ["exchange", "site"], "profile": "nyc-saopaulo"}],
//    "routes": [{"at": "laptop", "to": "site", "via": "laptop-exchange"}]}
//
// In a link, `up` goes from the first host to the second. `link` has the settings of settings.hpp
// and changes what `profile` gave. A link without a name is called FIRST-SECOND.
#pragma once

#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "netsim/profile.hpp"

namespace netsim {

inline constexpr std::size_t kHostsMax = 64, kLinksMax = 256;

struct TopologyLink {
  std::string name;
  std::size_t a = 0, b = 0;  // places in Topology::hosts; a sends `up`
  LinkConfig config;
  bool operator==(const TopologyLink&) const = default;
};
struct TopologyRoute {  // packets at host `at` for host `to` leave by link `via`
  std::size_t at = 0, to = 0, via = 0;
  bool operator==(const TopologyRoute&) const = default;
};
struct Topology {
  std::vector<std::string> hosts;
  std::vector<TopologyLink> links;
  std::vector<TopologyRoute> routes;
  bool operator==(const Topology&) const = default;
};

Topology two_hosts(const LinkConfig& link);  // "a" and "b", joined by "link"

// First nonsense in one line, kUsage: a name twice or unknown, a host without a link, a link from a
// host to itself, anything check(LinkConfig) refuses.
Result<> check(const Topology& topology);

// Gives the profile that a link names; by default the built-in ones alone.
using ProfileFinder = std::function<Result<Profile>(std::string_view)>;
Result<Topology> topology_from_json(std::string_view json, const TraceFiles& files = {},
                                    const ProfileFinder& find_profile = built_in_profile);

// next_hops(t)[here][to]: the link to leave by; nullopt: no way.
using NextHops = std::vector<std::vector<std::optional<std::size_t>>>;
NextHops next_hops(const Topology& topology);

}  // namespace netsim
