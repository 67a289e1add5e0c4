#include "proxy/sites.hpp"

#include <fmt/format.h>

#include <algorithm>

#include "lib/base/escape.hpp"
#include "lib/cli/toml_sections.hpp"
#include "proxy/ssh.hpp"

namespace longhaul::proxy {
namespace {

constexpr std::size_t kPinDigits = 64;

bool is_name_character(char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '.' ||
         c == '_' || c == '-';
}

Result<Site> site_of(const std::string& name, const std::map<std::string, std::string>& values) {
  TRY(check_name(name, "site"));
  const auto value = [&](const char* key) {
    const auto found = values.find(key);
    return found == values.end() ? std::string() : found->second;
  };
  Site site{name, {}, value("pin"), value("role"), value("tunnel")};
  site.root = value("root");
  site.listen = value("listen");
  if (!site.tunnel.empty()) {  // both reach a shell
    TRY(check_destination(site.tunnel));
    TRY(check_plain(site.root, "a root"));
  }
  if (!site.listen.empty()) TRY(io::parse_endpoint(site.listen));
  site.address = TRY(io::parse_endpoint(value("address")));
  const bool hex = std::all_of(site.pin.begin(), site.pin.end(), [](char c) {
    return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f');
  });
  if (site.pin.size() != kPinDigits || !hex)
    return fail(
        Error(Kind::kMalformed, "read sites.toml", "the pin of '" + name + "' is not 64 hex digits")
            .advise("mend that line, or remove the site's part and join it again"));
  return site;
}

}  // namespace

std::string way_to(const Site& site) {
  if (!site.listen.empty()) return "called on " + site.listen;
  if (!site.tunnel.empty()) return "through ssh " + site.tunnel;
  return "at " + to_text(site.address);
}

Result<> check_name(std::string_view name, std::string_view noun, std::size_t most) {
  const auto refuse = [&](const std::string& why) {
    return fail(Error(Kind::kUsage,
                      fmt::format("use '{}' as the name of a {}", printable(name, 80), noun), why)
                    .advise(fmt::format("use letters, digits, '.', '_' and '-', at most {}, "
                                        "starting with a letter or digit",
                                        most)));
  };
  if (name.empty()) return refuse("it is empty");
  if (name.size() > most) return refuse(fmt::format("it is longer than {} characters", most));
  if (name.front() == '.' || name.front() == '-') return refuse("it starts with '.' or '-'");
  if (!std::all_of(name.begin(), name.end(), is_name_character))
    return refuse("it has a character that no name may have");
  return {};
}

Result<Place> parse_place(std::string_view text) {
  Place place;
  const std::size_t colon = text.find(':');
  place.site = text.substr(0, colon);
  TRY(check_name(place.site, "site"));
  if (colon == std::string_view::npos) return place;
  std::string_view rest = text.substr(colon + 1);
  const std::size_t at = rest.find('@');
  place.dataset = rest.substr(0, at);
  TRY(check_name(place.dataset, "dataset", kDatasetNameMax));
  if (at == std::string_view::npos) return place;
  place.version = rest.substr(at + 1);
  TRY(check_name(place.version, "version"));
  return place;
}

Result<Sites> Sites::parse(std::string_view toml) {
  Sites out;
  for (const auto& [name, values] : TRY(cli::read_sections(toml, "sites.toml")))
    out.by_name_.emplace(name, TRY(site_of(name, values)));
  return out;
}

std::string Sites::text() const {
  cli::Sections sections;
  for (const auto& [name, site] : by_name_) {
    auto& values = sections[name];
    values = {{"address", to_text(site.address)}, {"pin", site.pin}, {"role", site.role}};
    if (!site.tunnel.empty()) values["tunnel"] = site.tunnel;
    if (!site.root.empty()) values["root"] = site.root;
    if (!site.listen.empty()) values["listen"] = site.listen;
  }
  return cli::write_sections(sections);
}

Result<Site> Sites::find(std::string_view name) const {
  const auto found = by_name_.find(name);
  if (found != by_name_.end()) return found->second;
  std::string known;
  for (const auto& [other, site] : by_name_) known += (known.empty() ? "" : ", ") + other;
  return fail(Error(Kind::kNotFound, fmt::format("find the site '{}'", printable(name, 80)),
                    known.empty() ? "no site is known yet" : "known are: " + known)
                  .advise("pair with it: `longhaul-streamer invite` there, then `longhaul join " +
                          printable(name, 80) + "` here"));
}

Result<> Sites::add(Site site) {
  TRY(check_name(site.name, "site"));
  const auto found = by_name_.find(site.name);
  if (found != by_name_.end() && found->second.pin != site.pin) {
    return fail(
        Error(Kind::kExists, "add the site '" + site.name + "'",
              "that name belongs to a node with another key")
            .advise("choose another name, or `longhaul sites --forget " + site.name + "` first"));
  }
  const std::string name = site.name;
  by_name_[name] = std::move(site);
  return {};
}

Result<> Sites::remove(std::string_view name) {
  const Site site = TRY(find(name));
  by_name_.erase(site.name);
  return {};
}

std::vector<Site> Sites::all() const {
  std::vector<Site> out;
  for (const auto& [name, site] : by_name_) out.push_back(site);
  return out;
}

}  // namespace longhaul::proxy
