#include "netsim/json_object.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <string>
#include <vector>

namespace netsim {

using longhaul::fail;
using longhaul::Kind;

constexpr int kDepthMax = 8;
constexpr std::size_t kKeysMax = 1000;  // of one object; keeps the search for doubles short

longhaul::Result<nlohmann::json> parse_json_object(std::string_view what, std::string_view text,
                                                   std::size_t bytes_max) {
  const auto refuse = [&](std::string why) {
    return fail(Kind::kUsage, fmt::format("read {}", what), std::move(why));
  };
  if (text.size() > bytes_max) return refuse(fmt::format("over {} bytes", bytes_max));
  std::string why;
  std::vector<std::vector<std::string>> open;  // keys of the objects around the present place
  const auto watch = [&](int depth, nlohmann::json::parse_event_t event, nlohmann::json& parsed) {
    if (depth > kDepthMax) why = "nested too deeply";
    if (event == nlohmann::json::parse_event_t::object_start) open.emplace_back();
    if (event == nlohmann::json::parse_event_t::object_end && !open.empty()) open.pop_back();
    if (event == nlohmann::json::parse_event_t::key && !open.empty() && why.empty()) {
      auto& seen = open.back();
      const auto& key = parsed.get_ref<const std::string&>();
      if (seen.size() == kKeysMax) why = "too many keys";
      if (std::find(seen.begin(), seen.end(), key) != seen.end()) why = "a key is given twice";
      seen.push_back(key);
    }
    return why.empty();
  };
  nlohmann::json json = nlohmann::json::parse(text, watch, /*allow_exceptions=*/false);
  if (!why.empty()) return refuse(why);
  if (json.is_discarded() || !json.is_object()) return refuse("not a JSON object");
  return json;
}

}  // namespace netsim
