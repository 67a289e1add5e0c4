// The program's commands: flags in, words to the console out, an exit code or the error to explain.
#pragma once

#include <span>
#include <string>
#include <vector>

#include "trainer/engine/train.hpp"

namespace longhaul::trainer {

struct CommandEntry {
  const char* name;
  const char* summary;
  Result<int> (*run)(Outside&, std::span<const std::string>);
};
const std::vector<CommandEntry>& commands();

Result<int> bench_command(Outside& outside, std::span<const std::string> arguments);
Result<int> bench_device_command(Outside& outside, std::span<const std::string> arguments);
Result<int> serve_bench_command(Outside& outside, std::span<const std::string> arguments);
Result<int> plan_command(Outside& outside, std::span<const std::string> arguments);

class Options;
// Parses flags; prints help if asked for it. Left-over words are kUsage.
enum class Asked : std::uint8_t { kRun, kHelp };
Result<Asked> read_options(cli::Console& console, Options& options, const char* usage,
                           std::span<const std::string> arguments);

}  // namespace longhaul::trainer
