#include "tools/longhaul/settings.hpp"

#include <fstream>
#include <iterator>

#include "lib/base/escape.hpp"

namespace longhaul {
namespace {

Result<> add_file_if_there(cli::Config& config, const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  if (!file) return {};
  const std::string text((std::istreambuf_iterator<char>(file)), {});
  return config.add_file(text, path);
}

}  // namespace

Result<> read_files(cli::Config& config, const proxy::HomePaths& home) {
  TRY(add_file_if_there(config, "longhaul.toml"));
  return add_file_if_there(config, home.config + "/config.toml");
}

Result<LogLevel> least_logged(const cli::Config& config) {
  const auto set = config.find("log.level");
  if (!set) return LogLevel::kWarn;
  for (const LogLevel level :
       {LogLevel::kDebug, LogLevel::kInfo, LogLevel::kWarn, LogLevel::kError}) {
    if (set->value == name_of(level)) return level;
  }
  return fail(Error(Kind::kUsage, "read log.level from " + set->origin,
                    "there is no level '" + printable(set->value, 80) + "'")
                  .advise("it is debug, info, warn or error"));
}

}  // namespace longhaul
