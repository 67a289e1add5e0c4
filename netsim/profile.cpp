#include "netsim/profile.hpp"

#include <fmt/format.h>

#include <algorithm>

#include <nlohmann/json.hpp>

#include "lib/base/escape.hpp"
#include "netsim/json_object.hpp"
#include "netsim/profile_table.hpp"
#include "netsim/quantity.hpp"

namespace netsim {
namespace {

using longhaul::fail;
using longhaul::Kind;
using longhaul::printable;
using Json = nlohmann::json;
using OrderedJson = nlohmann::ordered_json;

constexpr std::size_t kNameMax = 64, kAboutMax = 200, kNotesMax = 100, kNoteMax = 2'000;

auto malformed(std::string why) {
  return fail(Kind::kUsage, "read profile", std::move(why));
}

bool is_name(std::string_view name) {
  const auto fits = [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-' ||
           c == '_' || c == '.';
  };
  return !name.empty() && name.size() <= kNameMax && std::all_of(name.begin(), name.end(), fits);
}

Result<std::map<std::string, std::string>> notes_of(const Json& object) {
  if (!object.is_object() || object.size() > kNotesMax)
    return malformed("\"notes\" is an object of at most 100 strings");
  std::map<std::string, std::string> out;
  for (const auto& [key, value] : object.items()) {
    if (!value.is_string() || key.size() > kNameMax ||
        value.get_ref<const std::string&>().size() > kNoteMax)
      return malformed("a note is a short name and a string of at most 2000 bytes");
    out[key] = value.get<std::string>();
  }
  return out;
}

// Names with the most letters in common at their start, for "did you mean".
std::string nearest(std::string_view wanted) {
  std::size_t best = 2;
  std::string out;
  for (const BuiltIn& known : built_ins()) {
    const auto apart =
        std::mismatch(wanted.begin(), wanted.end(), known.name.begin(), known.name.end());
    const auto common = static_cast<std::size_t>(apart.first - wanted.begin());
    if (common < best) continue;
    if (common > best) out.clear();
    best = common;
    out += fmt::format("{}{}", out.empty() ? "" : ", ", known.name);
  }
  return out;
}

std::string way_text(const LinkConfig& link, std::string_view key) {
  const auto up = value_of(link, fmt::format("up.{}", key));
  const auto down = value_of(link, fmt::format("down.{}", key));
  return *up == *down ? *up : fmt::format("{} / {}", *up, *down);
}

}  // namespace

std::vector<std::string_view> profile_names() {
  std::vector<std::string_view> out;
  for (const BuiltIn& known : built_ins()) out.push_back(known.name);
  return out;
}

Result<Profile> built_in_profile(std::string_view name) {
  for (const BuiltIn& known : built_ins())
    if (known.name == name) return profile_from_json(known.json);
  const std::string near = nearest(name);
  return fail(Kind::kNotFound, fmt::format("find profile '{}'", printable(name, 80)),
              near.empty() ? std::string("netsim profiles lists them; a file needs a / or .json")
                           : fmt::format("did you mean {}?", near));
}

Result<Profile> profile_from_json(std::string_view text, const TraceFiles& files) {
  const Json json = TRY(parse_json_object("profile", text, kLinkJsonMax));
  const auto version = json.find("netsim_profile");
  if (version == json.end() || *version != 1)
    return malformed("\"netsim_profile\": 1 is missing; is this a profile?");
  Profile out;
  for (const auto& [key, value] : json.items()) {
    if (key == "netsim_profile" || key == "link") continue;
    if (key == "notes") {
      out.notes = TRY(notes_of(value));
    } else if ((key == "name" || key == "about") && value.is_string()) {
      (key == "name" ? out.name : out.about) = value.get<std::string>();
    } else {
      return malformed(fmt::format("'{}' is unknown or not a string", printable(key, 80)));
    }
  }
  if (!is_name(out.name))
    return malformed("\"name\" is of letters, digits, - _ . and at most 64 long");
  if (out.about.size() > kAboutMax) return malformed("\"about\" is over 200 bytes");
  const auto link = json.find("link");
  if (link == json.end()) return malformed("\"link\" is missing");
  // Back to text, so that one reader judges every link; this costs a copy, once.
  out.link = TRY(link_from_json(link->dump(-1, ' ', false, Json::error_handler_t::replace), files));
  return out;
}

std::string to_json(const Profile& profile) {
  OrderedJson json;
  json["netsim_profile"] = 1;
  json["name"] = profile.name;
  json["about"] = profile.about;
  if (!profile.notes.empty()) json["notes"] = profile.notes;
  json["link"] = OrderedJson::parse(to_json(profile.link));
  return json.dump(2, ' ', false, Json::error_handler_t::replace);
}

bool is_profile_file(std::string_view argument) {
  return argument.find('/') != std::string_view::npos || argument.ends_with(".json");
}

std::string profile_table() {
  std::string out = fmt::format("{:<27} {:>7}  {:<20} {:<18} {}\n", "NAME", "RTT", "RATE UP / DOWN",
                                "LOSS UP / DOWN", "WHAT");
  for (const BuiltIn& known : built_ins()) {
    const auto profile = profile_from_json(known.json);
    ASSERT(profile.has_value());  // tests read every one
    out += fmt::format("{:<27} {:>7}  {:<20} {:<18} {}\n", profile->name,
                       *value_of(profile->link, "rtt"), way_text(profile->link, "rate"),
                       way_text(profile->link, "loss"), profile->about);
  }
  return out;
}

std::string profile_list_json() {
  OrderedJson list = OrderedJson::array();
  for (const BuiltIn& known : built_ins()) {
    const auto profile = profile_from_json(known.json);
    ASSERT(profile.has_value());
    OrderedJson item;
    item["name"] = profile->name;
    item["about"] = profile->about;
    item["rtt"] = *value_of(profile->link, "rtt");
    item["link"] = OrderedJson::parse(to_json(profile->link));
    list.push_back(std::move(item));
  }
  return list.dump();
}

std::string describe(const Profile& profile) {
  const LinkConfig plain;
  std::string out = fmt::format("{}: {}\n", profile.name, printable(profile.about));
  out += fmt::format("  {:<12} {}\n", "rtt", *value_of(profile.link, "rtt"));
  for (const KeyHelp& help : key_help()) {
    if (help.key == "rtt" || help.key == "delay") continue;
    const std::string text = way_text(profile.link, help.key);
    if (text != way_text(plain, help.key)) out += fmt::format("  {:<12} {}\n", help.key, text);
  }
  for (const Event& event : profile.link.events) out += fmt::format("  {}\n", event_text(event));
  for (const auto& [name, note] : profile.notes)
    out += fmt::format("  ({}: {})\n", printable(name), printable(note));
  return out;
}

}  // namespace netsim
