// RunLines: a site's list of runs as lines of JSON, as the daemon keeps it on the disk and tells it
// to commands. Pure.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "lib/base/result.hpp"
#include "lib/wire/feed.hpp"

namespace longhaul::daemon {

constexpr std::size_t kRunsKnownMax = 10'000;  // of a site; what is beyond is not listed

std::string_view word_of(wire::RunState state);  // "running", ..
std::string to_line(const wire::RunLine& run);   // without its end
// kMalformed: it is not as to_line() writes it.
Result<wire::RunLine> parse_run_line(std::string_view line);

// A list and when it was heard of, by this machine's clock.
struct RunList {
  std::vector<wire::RunLine> runs;
  WallTime heard;
};
std::string to_text(const RunList& list);
Result<RunList> parse_run_list(std::string_view text);

}  // namespace longhaul::daemon
