// Finding: what one check saw, how bad it is and what mends it. A check is a function from what it
// looks at to one Finding; it never throws and never stops the checks behind it.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "lib/base/error.hpp"

namespace longhaul::doctor {

enum class Level : std::uint8_t {
  kOk,
  kWarn,  // it works, but slower, or not for long
  kFail,  // something will not work
};
std::string_view name_of(Level level);  // "ok", "warn", "fail"

struct Finding {
  Level level = Level::kOk;
  std::string check;  // "identity", "congestion control": stable words for scripts
  std::string found;  // one line, with the figures that decided it
  std::string fix;    // empty when it is ok
  bool operator==(const Finding&) const = default;
};

Finding ok(std::string check, std::string found);
Finding warn(std::string check, std::string found, std::string fix);
Finding broken(std::string check, std::string found, std::string fix);
// What an Error says; its own advice, or `fix` where it has none.
Finding from_error(std::string check, const Error& error, std::string fix);

Level worst(const std::vector<Finding>& findings);
// "ok    clock               2026-11-25, .." with the fix on a line below; ends in a newline.
std::string to_text(const Finding& finding);

}  // namespace longhaul::doctor
