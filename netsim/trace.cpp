#include "netsim/trace.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <iterator>

#include "netsim/rate_clock.hpp"

namespace netsim {
namespace {

using longhaul::fail;
using longhaul::Kind;

constexpr std::int64_t kLastMillisecond = 1'000'000'000;  // 11 days; far from any overflow

tl::unexpected<longhaul::Error> malformed(std::size_t line, std::string_view why) {
  return fail(Kind::kMalformed, fmt::format("read trace, line {}", line), std::string(why));
}

std::string_view without_blanks(std::string_view line) {
  const auto first = line.find_first_not_of(" \t\r");
  if (first == std::string_view::npos) return {};
  return line.substr(first, line.find_last_not_of(" \t\r") - first + 1);
}

}  // namespace

Result<TraceRate> read_trace(std::string_view text) {
  TraceRate trace;
  std::int64_t last = 0;
  for (std::size_t number = 1; !text.empty(); ++number) {
    const auto end = text.find('\n');
    const std::string_view line = without_blanks(text.substr(0, end));
    text = end == std::string_view::npos ? std::string_view{} : text.substr(end + 1);
    if (line.empty() || line.front() == '#') continue;
    std::int64_t ms = 0;
    const auto [rest, error] = std::from_chars(line.data(), line.data() + line.size(), ms);
    if (error != std::errc{} || rest != line.data() + line.size() || ms < 0 ||
        ms > kLastMillisecond)
      return malformed(number, "not a time in whole milliseconds");
    if (ms < last)
      return malformed(number, fmt::format("time goes back, from {} ms to {} ms", last, ms));
    if (trace.opportunities.size() == kTraceLinesMax)
      return malformed(number, fmt::format("more than {} lines", kTraceLinesMax));
    trace.opportunities.push_back(std::chrono::milliseconds(ms));
    last = ms;
  }
  if (trace.opportunities.empty()) return malformed(1, "the trace is empty");
  if (last == 0) return malformed(1, "all opportunities lie at 0 ms, so the trace has no length");
  trace.period = trace.opportunities.back();
  return trace;
}

Result<std::string> write_trace(const TraceRate& trace) {
  const auto ms = [](Duration d) { return d / std::chrono::milliseconds(1); };
  if (trace.opportunities.empty() || ms(trace.period) != ms(trace.opportunities.back()) ||
      ms(trace.period) == 0)
    return fail(Kind::kUnsupported, "write trace",
                std::string("mahimahi's format ends a period with an opportunity, after 0 ms"));
  std::string text;
  for (const Duration at : trace.opportunities)
    fmt::format_to(std::back_inserter(text), "{}\n", ms(at));
  return text;
}

BytesPerSecond mean_rate(const TraceRate& trace) {
  const std::uint64_t bytes = trace.opportunities.size() * std::uint64_t{kOpportunityBytes};
  const auto us = std::max<std::int64_t>(1, trace.period / std::chrono::microseconds(1));
  return BytesPerSecond(bytes * 1'000'000U / static_cast<std::uint64_t>(us));
}

}  // namespace netsim
