// LogLines: the Log of our programs: "2026-11-23T20:38:11Z warn text" a line, to the console's
// stderr.
#pragma once

#include "lib/base/log.hpp"
#include "lib/cli/console.hpp"

namespace longhaul::cli {

class LogLines final : public Log {
 public:
  LogLines(Console& console, LogLevel least) : Log(least), console_(console) {}
  void write(LogLevel level, std::string_view line) noexcept override;

 private:
  Console& console_;
};

}  // namespace longhaul::cli
