#include "lib/doctor/finding.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <system_error>
#include <utility>

namespace longhaul::doctor {

std::string_view name_of(Level level) {
  switch (level) {
    case Level::kOk:
      return "ok";
    case Level::kWarn:
      return "warn";
    case Level::kFail:
      return "fail";
  }
  return "unknown";
}

Finding ok(std::string check, std::string found) {
  return {Level::kOk, std::move(check), std::move(found), {}};
}
Finding warn(std::string check, std::string found, std::string fix) {
  return {Level::kWarn, std::move(check), std::move(found), std::move(fix)};
}
Finding broken(std::string check, std::string found, std::string fix) {
  return {Level::kFail, std::move(check), std::move(found), std::move(fix)};
}

Finding from_error(std::string check, const Error& error, std::string fix) {
  std::string found = "cannot " + error.message();
  return broken(std::move(check), std::move(found),
                error.advice().empty() ? std::move(fix) : error.advice());
}

Level worst(const std::vector<Finding>& findings) {
  Level level = Level::kOk;
  for (const Finding& finding : findings) level = std::max(level, finding.level);
  return level;
}

std::string to_text(const Finding& finding) {
  std::string text =
      fmt::format("{:<5} {:<20} {}\n", name_of(finding.level), finding.check, finding.found);
  if (!finding.fix.empty()) text += fmt::format("{:<26} do: {}\n", "", finding.fix);
  return text;
}

}  // namespace longhaul::doctor
