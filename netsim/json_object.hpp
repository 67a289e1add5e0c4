// Strict reading of one JSON object; for the .cpp files that read JSON (the header is heavy).
#pragma once

#include <string_view>

#include <nlohmann/json.hpp>

#include "lib/base/result.hpp"

namespace netsim {

// Refuses more than `bytes_max` bytes, nesting over 8, and a key given twice, which nlohmann by
// itself would answer with the last one. kUsage, "read WHAT: ..".
longhaul::Result<nlohmann::json> parse_json_object(std::string_view what, std::string_view text,
                                                   std::size_t bytes_max);

}  // namespace netsim
