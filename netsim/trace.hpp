// Rate traces in mahimahi's format: one line per delivery opportunity of 1504 bytes, holding the
// millisecond of it since the start; lines never go back, equal lines are several opportunities in
// one millisecond, and the trace repeats from its last line on. Text in, text out: reading files is
// the caller's.
#pragma once

#include <string>
#include <string_view>

#include "netsim/config.hpp"

namespace netsim {

constexpr std::size_t kTraceLinesMax = 20'000'000;

// kMalformed with the line's number: not a number, goes back, empty, or ends at 0 ms. Lines may end
// in CR; blank lines and lines beginning with # are skipped.
Result<TraceRate> read_trace(std::string_view text);
// Times are rounded down to the millisecond. kUnsupported if the period does not end with an
// opportunity, which the format cannot say.
Result<std::string> write_trace(const TraceRate& trace);
// The mean rate of a trace, for people.
BytesPerSecond mean_rate(const TraceRate& trace);

}  // namespace netsim
