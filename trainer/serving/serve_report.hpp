// What serving is measured by, under vLLM's definitions: TTFT from arrival to the first token; TPOT
// = (end - first token) / (tokens - 1) of a request; ITL every gap between two tokens of a request;
// end-to-end from arrival to the last. Goodput: requests a second that meet all limits. Pure.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "lib/base/units.hpp"

namespace longhaul::trainer {

struct Served {  // one request that was answered in full
  Time arrived{};
  std::uint32_t prompt = 0;
  std::vector<Time> tokens{};  // when each was made
};
struct Spread3 {  // of some times, in seconds
  double mean = 0, median = 0, p99 = 0;
};
Spread3 spread_of(const std::vector<double>& values);
struct ServeReport {
  std::size_t requests = 0, within = 0;  // within: both limits were met
  double seconds = 0;                    // from the first arrival to the last token
  double requests_per_second = 0, output_per_second = 0, total_per_second = 0, goodput = 0;
  Spread3 ttft, tpot, itl, end_to_end;
};
struct ServeLimits {
  Duration ttft = 1s, tpot = 100ms;
};
ServeReport report_of(const std::vector<Served>& served, const ServeLimits& limits);
// Percentile p of [0, 100] as numpy makes it: linear between the two nearest ranks.
double percentile(std::vector<double> values, double p);

}  // namespace longhaul::trainer
