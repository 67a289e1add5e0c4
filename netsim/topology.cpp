#include "netsim/topology.hpp"

#include <fmt/format.h>

#include <algorithm>

#include <nlohmann/json.hpp>

#include "lib/base/escape.hpp"
#include "netsim/json_object.hpp"

namespace netsim {
namespace {

using longhaul::fail;
using longhaul::Kind;
using longhaul::printable;
using Json = nlohmann::json;

auto malformed(std::string why) {
  return fail(Kind::kUsage, "read topology", std::move(why));
}

// Names end up in environment variables, in captures and on screens.
Result<> check_name(std::string_view what, const std::string& name) {
  constexpr std::string_view kOther = "._-";
  bool right = !name.empty() && name.size() <= 32 && name[0] != '.' && name[0] != '-';
  for (const char c : name)
    right = right && ((c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') ||
                      kOther.find(c) != std::string_view::npos);
  if (right) return {};
  return malformed(
      fmt::format("{} '{}': letters, digits, '.', '_' and '-' are expected, at most 32 of them",
                  what, printable(name, 40)));
}

Result<std::size_t> find(const std::vector<std::string>& names, const Json& value,
                         std::string_view what) {
  if (!value.is_string()) return malformed(fmt::format("the name of a {} is expected", what));
  const auto& name = value.get_ref<const std::string&>();
  const auto found = std::find(names.begin(), names.end(), name);
  if (found == names.end())
    return malformed(fmt::format("there is no {} '{}'", what, printable(name, 40)));
  return static_cast<std::size_t>(found - names.begin());
}

Result<> allow_keys(const Json& object, std::string_view what,
                    std::initializer_list<std::string_view> allowed) {
  if (!object.is_object()) return malformed(fmt::format("a {} is an object", what));
  for (const auto& [key, value] : object.items())
    if (std::find(allowed.begin(), allowed.end(), key) == allowed.end())
      return malformed(fmt::format("a {} has no '{}'", what, printable(key, 40)));
  return {};
}

Result<TopologyLink> read_link(const Json& json, const std::vector<std::string>& hosts,
                               const TraceFiles& files, const ProfileFinder& find_profile) {
  TRY(allow_keys(json, "link", {"name", "between", "profile", "link"}));
  const auto between = json.find("between");
  if (between == json.end() || !between->is_array() || between->size() != 2)
    return malformed("a link has \"between\": [HOST, HOST]");
  TopologyLink out;
  out.a = TRY(find(hosts, (*between)[0], "host"));
  out.b = TRY(find(hosts, (*between)[1], "host"));
  out.name = hosts[out.a] + "-" + hosts[out.b];
  if (const auto name = json.find("name"); name != json.end()) {
    if (!name->is_string()) return malformed("\"name\" is a string");
    out.name = name->get<std::string>();
  }
  if (const auto profile = json.find("profile"); profile != json.end()) {
    if (!profile->is_string()) return malformed("\"profile\" is a string");
    out.config = TRY(find_profile(profile->get_ref<const std::string&>())).link;
  }
  if (const auto link = json.find("link"); link != json.end()) {
    // Back to text, so that one reader judges every link; this costs a copy, once.
    const std::string text = link->dump(-1, ' ', false, Json::error_handler_t::replace);
    out.config = TRY(link_from_json(text, files, out.config));
  }
  return out;
}

Result<TopologyRoute> read_route(const Json& json, const Topology& topology) {
  TRY(allow_keys(json, "route", {"at", "to", "via"}));
  for (const char* key : {"at", "to", "via"})
    if (!json.contains(key)) return malformed("a route has \"at\", \"to\" and \"via\"");
  std::vector<std::string> links;
  for (const TopologyLink& link : topology.links) links.push_back(link.name);
  return TopologyRoute{TRY(find(topology.hosts, json["at"], "host")),
                       TRY(find(topology.hosts, json["to"], "host")),
                       TRY(find(links, json["via"], "link"))};
}

Result<> check_links(const Topology& topology) {
  std::vector<std::string> seen;
  std::vector<bool> joined(topology.hosts.size());
  for (const TopologyLink& link : topology.links) {
    if (link.name.size() > 65) return malformed("a link's name is over 65 letters long");
    if (std::find(seen.begin(), seen.end(), link.name) != seen.end())
      return malformed(fmt::format("link '{}' is there twice: give one a \"name\"", link.name));
    seen.push_back(link.name);
    if (link.a >= joined.size() || link.b >= joined.size())
      return malformed(fmt::format("link '{}' has no host at one end", link.name));
    if (link.a == link.b)
      return malformed(fmt::format("link '{}' joins a host to itself", link.name));
    joined[link.a] = joined[link.b] = true;
    if (const auto right = check(link.config); !right)
      return malformed(fmt::format("link '{}': {}", link.name, right.error().message()));
  }
  const auto alone = std::find(joined.begin(), joined.end(), false);
  if (alone == joined.end()) return {};
  const auto host = static_cast<std::size_t>(alone - joined.begin());
  return malformed(fmt::format("host '{}' has no link", topology.hosts[host]));
}

}  // namespace

Topology two_hosts(const LinkConfig& link) {
  return {{"a", "b"}, {{"link", 0, 1, link}}, {}};
}

Result<> check(const Topology& topology) {
  if (topology.hosts.size() < 2 || topology.hosts.size() > kHostsMax)
    return malformed(fmt::format("2 to {} hosts are expected", kHostsMax));
  if (topology.links.size() > kLinksMax)
    return malformed(fmt::format("at most {} links are expected", kLinksMax));
  for (auto host = topology.hosts.begin(); host != topology.hosts.end(); ++host) {
    TRY(check_name("host", *host));
    if (std::find(topology.hosts.begin(), host, *host) != host)
      return malformed(fmt::format("host '{}' is there twice", *host));
  }
  TRY(check_links(topology));
  for (const TopologyRoute& route : topology.routes) {
    const TopologyLink& via = topology.links.at(route.via);
    if (via.a != route.at && via.b != route.at)
      return malformed(fmt::format("a route at '{}' leaves by link '{}', which is not there",
                                   topology.hosts[route.at], via.name));
  }
  return {};
}

Result<Topology> topology_from_json(std::string_view text, const TraceFiles& files,
                                    const ProfileFinder& find_profile) {
  const Json json = TRY(parse_json_object("topology", text, kLinkJsonMax));
  TRY(allow_keys(json, "topology", {"netsim_topology", "about", "hosts", "links", "routes"}));
  const auto version = json.find("netsim_topology");
  if (version == json.end() || *version != 1)
    return malformed("\"netsim_topology\": 1 is missing; is this a topology?");
  for (const char* key : {"hosts", "links"})
    if (!json.contains(key) || !json[key].is_array())
      return malformed(fmt::format("\"{}\" is a list", key));
  Topology out;
  for (const Json& host : json["hosts"]) {
    if (!host.is_string()) return malformed("\"hosts\" are strings");
    out.hosts.push_back(host.get<std::string>());
  }
  if (json["links"].size() > kLinksMax)
    return malformed(fmt::format("at most {} links are expected", kLinksMax));
  for (const Json& link : json["links"])
    out.links.push_back(TRY(read_link(link, out.hosts, files, find_profile)));
  if (const auto routes = json.find("routes"); routes != json.end()) {
    if (!routes->is_array() || routes->size() > kHostsMax * kHostsMax)
      return malformed("\"routes\" is a list of at most 4096");
    for (const Json& route : *routes) out.routes.push_back(TRY(read_route(route, out)));
  }
  TRY(check(out));
  return out;
}

NextHops next_hops(const Topology& topology) {
  const std::size_t hosts = topology.hosts.size();
  NextHops out(hosts, std::vector<std::optional<std::size_t>>(hosts));
  for (std::size_t here = 0; here < hosts; ++here) {  // breadth first
    auto& table = out[here];
    std::vector<std::size_t> frontier{here};
    for (std::size_t i = 0; i < frontier.size(); ++i) {
      const std::size_t from = frontier[i];
      for (std::size_t l = 0; l < topology.links.size(); ++l) {
        const TopologyLink& link = topology.links[l];
        if (link.a != from && link.b != from) continue;
        const std::size_t to = link.a == from ? link.b : link.a;
        if (to == here || table[to]) continue;
        table[to] = from == here ? std::optional(l) : table[from];
        frontier.push_back(to);
      }
    }
  }
  for (const TopologyRoute& route : topology.routes) out[route.at][route.to] = route.via;
  return out;
}

}  // namespace netsim
