// Log: the port that takes what operators should read. Passed by reference from main; there is no
// default logger. Secrets are never logged, and peer text goes through printable() first.
//
//   LOG(log, kInfo, "session {} resumed after {} ms", id.value(), gap_ms);
#pragma once

#include <fmt/format.h>

#include <cstdint>
#include <string_view>

namespace longhaul {

enum class LogLevel : std::uint8_t { kDebug, kInfo, kWarn, kError };
std::string_view name_of(LogLevel level);

class Log {
 public:
  explicit Log(LogLevel least) : least_(least) {}
  virtual ~Log() = default;
  Log(const Log&) = delete;
  Log& operator=(const Log&) = delete;
  bool wants(LogLevel level) const { return level >= least_; }
  virtual void write(LogLevel level,
                     std::string_view line) noexcept = 0;  // one line, without its end

 private:
  LogLevel least_;
};

class NoLog final : public Log {  // for tests and tools that do not care
 public:
  NoLog() : Log(LogLevel::kError) {}
  void write(LogLevel, std::string_view) noexcept override {}
};

}  // namespace longhaul

#define LOG(log, level, ...)                                                \
  do {                                                                      \
    if ((log).wants(::longhaul::LogLevel::level))                           \
      (log).write(::longhaul::LogLevel::level, ::fmt::format(__VA_ARGS__)); \
  } while (false)
