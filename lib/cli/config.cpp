#include "lib/cli/config.hpp"

#include <fmt/format.h>
#include <toml++/toml.h>

#include <algorithm>
#include <sstream>

#include "lib/base/escape.hpp"

namespace longhaul::cli {
namespace {

constexpr int kDepthMax = 4;

std::string value_text(const toml::node& node) {
  if (const auto* text = node.as_string()) return text->get();
  std::ostringstream out;
  node.visit([&](const auto& value) { out << value; });
  return out.str();
}

Result<> flatten(const toml::table& table, const std::string& prefix, int depth,
                 const std::string& file, std::map<std::string, Setting>& out) {
  for (const auto& [name, node] : table) {
    const std::string key = prefix + std::string(name.str());
    const auto line = node.source().begin.line;
    if (const auto* inner = node.as_table(); inner != nullptr && depth < kDepthMax) {
      TRY(flatten(*inner, key + ".", depth + 1, file, out));
      continue;
    }
    const auto& known = Config::known_keys();
    if (std::find(known.begin(), known.end(), key) == known.end()) {
      return fail(Kind::kUsage, fmt::format("read {}:{}", file, line),
                  "there is no setting '" + printable(key, 80) + "'");
    }
    out[key] = Setting{value_text(node), fmt::format("{}:{}", file, line)};
  }
  return {};
}

}  // namespace

const std::vector<std::string_view>& Config::known_keys() {
  static const std::vector<std::string_view> kKeys{
      "push.exclude_from", "push.limit_rate", "pull.limit_rate", "session.connections_max",
      "session.mode",      "log.level",       "trace",           "udp",
      "telemetry",         "ssh.command",
  };
  return kKeys;
}

std::string Config::variable_of(std::string_view key) {
  std::string name = "LONGHAUL_";
  for (const char c : key) {
    const bool lower = c >= 'a' && c <= 'z';
    name.push_back(c == '.' ? '_' : lower ? static_cast<char>(c - 'a' + 'A') : c);
  }
  return name;
}

Result<> Config::add_file(std::string_view text, const std::string& file_name) {
  toml::table parsed;
  try {  // the distribution's library reports by throwing; it stops here
    parsed = toml::parse(text, file_name);
  } catch (const toml::parse_error& error) {
    const auto at = error.source().begin;
    return fail(Kind::kMalformed, fmt::format("read {}:{}:{}", file_name, at.line, at.column),
                printable(error.description()));
  }
  std::map<std::string, Setting> layer;
  TRY(flatten(parsed, "", 0, file_name, layer));
  files_.push_back(std::move(layer));
  return {};
}

std::optional<Setting> Config::find(const std::string& key) const {
  const std::string variable = variable_of(key);
  if (auto value = environment_(variable)) return Setting{*std::move(value), variable};
  for (const auto& layer : files_) {
    if (const auto found = layer.find(key); found != layer.end()) return found->second;
  }
  return std::nullopt;
}

}  // namespace longhaul::cli
