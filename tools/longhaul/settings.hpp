// Settings: where `longhaul` looks them up, and those it needs before any command runs
// (docs/config.md).
#pragma once

#include "lib/base/log.hpp"
#include "lib/cli/config.hpp"
#include "proxy/home.hpp"

namespace longhaul {

Result<> read_files(cli::Config& config, const proxy::HomePaths& home);  // those that there are
Result<LogLevel> least_logged(const cli::Config& config);  // by log.level; else warnings and up

}  // namespace longhaul
