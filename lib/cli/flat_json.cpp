#include "lib/cli/flat_json.hpp"

#include <nlohmann/json.hpp>

namespace longhaul::cli {
namespace {

constexpr std::size_t kJsonDepthMax = 16;
constexpr std::size_t kJsonRowsMax = 4096;

void flatten(const nlohmann::json& value, const std::string& name, std::size_t depth,
             std::map<std::string, std::string>& rows) {
  if (rows.size() >= kJsonRowsMax) return;
  if (value.is_object() && depth < kJsonDepthMax) {
    for (const auto& [key, inner] : value.items())
      flatten(inner, name.empty() ? key : name + "/" + key, depth + 1, rows);
    return;
  }
  rows[name] = value.is_string()
                   ? value.get<std::string>()
                   : value.dump(-1, ' ', false, nlohmann::json::error_handler_t::replace);
}

// Nesting is bounded before anything recurses over it.
bool too_deep(std::string_view text) {
  std::size_t depth = 0;
  bool in_text = false;
  for (std::size_t i = 0; i < text.size(); ++i) {
    const char c = text[i];
    if (in_text) {
      if (c == '\\') ++i;
      if (c == '"') in_text = false;
    } else if (c == '"') {
      in_text = true;
    } else if (c == '{' || c == '[') {
      if (++depth > 64) return true;
    } else if ((c == '}' || c == ']') && depth > 0) {
      --depth;
    }
  }
  return false;
}

}  // namespace

Result<std::map<std::string, std::string>> flat_json(std::string_view text) {
  if (too_deep(text)) return fail(Kind::kLimit, "read JSON", "it is nested too deep");
  const auto parsed = nlohmann::json::parse(text, nullptr, false);
  if (parsed.is_discarded() || !parsed.is_object())
    return fail(Kind::kMalformed, "read JSON", "it is no JSON object");
  std::map<std::string, std::string> rows;
  flatten(parsed, "", 0, rows);
  return rows;
}

}  // namespace longhaul::cli
