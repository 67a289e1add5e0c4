// The JSON forms of settings.hpp: links, control requests and their answers.
#include <fmt/format.h>

#include <algorithm>

#include <nlohmann/json.hpp>

#include "lib/base/escape.hpp"
#include "netsim/json_object.hpp"
#include "netsim/settings.hpp"
#include "netsim/spec_words.hpp"

namespace netsim {
namespace {

using longhaul::fail;
using longhaul::Kind;
using longhaul::printable;
using Json = nlohmann::json;
using OrderedJson = nlohmann::ordered_json;

Result<std::vector<Assignment>> assignments_of(const Json& object, const std::string& prefix) {
  std::vector<Assignment> out;
  for (const auto& [key, value] : object.items()) {
    if (!value.is_string())
      return fail(Kind::kUsage, fmt::format("read '{}'", printable(prefix + key, 80)),
                  "a string is expected, as \"150ms\"");
    out.push_back({prefix + key, value.get<std::string>()});
  }
  return out;
}

Result<std::vector<Event>> events_of(const Json& list, const TraceFiles& files) {
  if (!list.is_array() || list.size() > kEventsMax)
    return fail(Kind::kUsage, "read 'events'", "a list of at most 10000 strings is expected");
  std::vector<Event> out;
  for (const Json& item : list) {
    if (!item.is_string())
      return fail(Kind::kUsage, "read 'events'", "strings are expected, as \"at 1h outage 2s\"");
    out.push_back(TRY(parse_event(item.get_ref<const std::string&>(), files)));
  }
  std::stable_sort(out.begin(), out.end(),
                   [](const Event& a, const Event& b) { return a.at < b.at; });
  return out;
}

void write_direction(OrderedJson& json, const LinkConfig& link, const char* name) {
  const LinkConfig plain;
  OrderedJson object = OrderedJson::object();
  for (const KeyHelp& help : key_help()) {
    if (help.key == "rtt") continue;
    const std::string key = fmt::format("{}.{}", name, help.key);
    const auto value = value_of(link, key);
    if (value && *value != *value_of(plain, key)) object[std::string(help.key)] = *value;
  }
  if (!object.empty()) json[name] = std::move(object);
}

std::string dump(const auto& json) {
  return json.dump(-1, ' ', false, Json::error_handler_t::replace);
}

}  // namespace

Result<LinkConfig> link_from_json(std::string_view text, const TraceFiles& files, LinkConfig base) {
  Json json = TRY(parse_json_object("link", text, kLinkJsonMax));
  std::vector<Assignment> all;
  for (const char* name : {"up", "down"}) {
    if (!json.contains(name)) continue;
    if (!json[name].is_object())
      return fail(Kind::kUsage, fmt::format("read '{}'", name), "an object is expected");
    const auto some = TRY(assignments_of(json[name], fmt::format("{}.", name)));
    all.insert(all.end(), some.begin(), some.end());
    json.erase(name);
  }
  if (json.contains("events")) {
    base.events = TRY(events_of(json["events"], files));
    json.erase("events");
  }
  const auto rest = TRY(assignments_of(json, ""));
  all.insert(all.end(), rest.begin(), rest.end());
  return with(base, all, files);
}

std::string to_json(const LinkConfig& link) {
  OrderedJson json = OrderedJson::object();
  write_direction(json, link, "up");
  write_direction(json, link, "down");
  for (const Event& event : link.events) json["events"].push_back(event_text(event));
  return dump(json);
}

Result<ControlRequest> request_from_json(std::string_view line, std::string* link) {
  Json json = TRY(parse_json_object("request", line, kControlLineMax));
  const auto bad = [](std::string why) {
    return fail(Kind::kUsage, "read request", std::move(why));
  };
  if (const auto named = json.find("link"); link != nullptr && named != json.end()) {
    if (!named->is_string()) return bad("\"link\" takes the name of one");
    *link = named->get<std::string>();
    json.erase("link");
  }
  if (json.size() != 1) return bad("exactly one of \"set\", \"do\", \"get\" is expected");
  const std::string& verb = json.begin().key();
  const Json& value = json.begin().value();
  if (verb == "set") {
    if (!value.is_object() || value.empty()) return bad("\"set\" takes an object of settings");
    return SetRequest{TRY(assignments_of(value, ""))};
  }
  if (verb != "do" && verb != "get")
    return bad("exactly one of \"set\", \"do\", \"get\" is expected");
  if (!value.is_string()) return bad("\"do\" and \"get\" take a string");
  if (verb == "do") return DoRequest{value.get<std::string>()};
  return GetRequest{value.get<std::string>()};
}

std::string to_json(const ControlRequest& request, const std::string& link) {
  OrderedJson json = OrderedJson::object();
  if (!link.empty()) json["link"] = link;
  if (const auto* set = std::get_if<SetRequest>(&request)) {
    json["set"] = OrderedJson::object();
    for (const Assignment& a : set->assignments) json["set"][a.key] = a.value;
  } else if (const auto* todo = std::get_if<DoRequest>(&request)) {
    json["do"] = todo->words;
  } else {
    json["get"] = std::get<GetRequest>(request).what;
  }
  return dump(json);
}

Result<ControlRequest> request_from_words(std::span<const std::string> words) {
  if (words.empty()) return fail(Kind::kUsage, "read request", "nothing is asked for");
  if (words[0] == "get" && words.size() == 2) return GetRequest{words[1]};
  if (words[0] != "set") {
    DoRequest todo;
    for (const std::string& word : words) todo.words += (todo.words.empty() ? "" : " ") + word;
    return todo;
  }
  SetRequest set;
  for (const std::string& word : words.subspan(1))
    set.assignments.push_back(TRY(parse_assignment(word)));
  if (set.assignments.empty()) return fail(Kind::kUsage, "read request", "set what? as rtt=300ms");
  return set;
}

std::string ok_reply(std::string_view result_json) {
  return fmt::format(R"({{"ok":true,"result":{}}})", result_json);
}

std::string error_reply(const longhaul::Error& error) {
  OrderedJson json;
  json["ok"] = false;
  json["kind"] = std::string(name_of(error.kind()));
  json["error"] = error.message();
  return dump(json);
}

Result<ControlReply> parse_reply(std::string_view line) {
  const Json json = TRY(parse_json_object("reply", line, kLinkJsonMax));
  const auto ok = json.find("ok");
  if (ok == json.end() || !ok->is_boolean())
    return fail(Kind::kMalformed, "read reply", "\"ok\" is missing");
  if (ok->get<bool>()) {
    const auto result = json.find("result");
    return ControlReply{true, result == json.end() ? "{}" : dump(*result)};
  }
  const auto why = json.find("error");
  const bool said = why != json.end() && why->is_string();
  return ControlReply{false, said ? printable(why->get<std::string>()) : "no reason given"};
}

}  // namespace netsim
