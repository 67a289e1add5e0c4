#include "lib/cli/log_lines.hpp"

#include <fmt/chrono.h>

#include <ctime>
#include <exception>

namespace longhaul::cli {

void LogLines::write(LogLevel level, std::string_view line) noexcept {
  try {
    const std::time_t now = std::time(nullptr);
    console_.err(
        fmt::format("{:%Y-%m-%dT%H:%M:%SZ} {} {}\n", fmt::gmtime(now), name_of(level), line));
  } catch (const std::exception&) {
    // Out of memory for a log line: the program goes on without it.
  }
}

}  // namespace longhaul::cli
