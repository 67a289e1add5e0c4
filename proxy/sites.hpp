// Sites: the clusters this researcher has paired with, by the names they were given here. A value;
// `config/sites.toml` holds it. Pins decide who a site is; addresses only say where to look for it.
#pragma once

#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "lib/base/result.hpp"
#include "lib/io/endpoint.hpp"

namespace longhaul::proxy {

struct Site {
  std::string name;
  io::Endpoint address;
  std::string pin;          // 64 hex digits: SHA-256 of the site's public key
  std::string role;         // what this node may do there: owner, observer
  std::string tunnel;       // empty, or the ssh destination through which to reach it
  std::string root = {};    // with a tunnel: the streamer's root there
  std::string listen = {};  // empty, or ADDRESS:PORT here, at which the site calls us
  bool operator==(const Site&) const = default;
};

// "at HOST:PORT", "through ssh HOST", "called on ADDRESS:PORT".
std::string way_to(const Site& site);
inline bool is_direct(const Site& site) {
  return site.tunnel.empty() && site.listen.empty();
}

// "name" or "name:dataset" or "name:dataset@version", "name/run": the parts as given.
struct Place {
  std::string site, dataset, version;
  bool operator==(const Place&) const = default;
};
Result<Place> parse_place(std::string_view text);
constexpr std::size_t kNameMax = 64;
constexpr std::size_t kDatasetNameMax = 200;  // as at the site
// Names of sites and runs: 1..most of a-z A-Z 0-9 . _ -, not starting with '.' or '-'.
Result<> check_name(std::string_view name, std::string_view noun, std::size_t most = kNameMax);

class Sites {
 public:
  static Result<Sites> parse(std::string_view toml);
  std::string text() const;
  Result<Site> find(std::string_view name) const;  // kNotFound lists what there is
  Result<> add(Site site);  // kExists, unless it is the same pin: then it moves
  Result<> remove(std::string_view name);
  std::vector<Site> all() const;

 private:
  std::map<std::string, Site, std::less<>> by_name_;
};

}  // namespace longhaul::proxy
