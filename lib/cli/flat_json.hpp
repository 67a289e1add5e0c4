// A JSON object as rows of name and value, nested names joined by '/': what a run was started with,
// to be shown and compared. Values are JSON again but for text, which stands as it is.
#pragma once

#include <map>
#include <string>
#include <string_view>

#include "lib/base/result.hpp"

namespace longhaul::cli {

// kMalformed: no JSON object. Deeper than 16 or more than 4096 rows: what is beyond stays whole or
// out.
Result<std::map<std::string, std::string>> flat_json(std::string_view text);

}  // namespace longhaul::cli
