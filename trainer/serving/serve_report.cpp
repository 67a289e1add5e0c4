#include "trainer/serving/serve_report.hpp"

#include <algorithm>

namespace longhaul::trainer {
namespace {

double seconds(Duration span) {
  return std::chrono::duration<double>(span).count();
}

}  // namespace

double percentile(std::vector<double> values, double p) {
  ASSERT(!values.empty() && p >= 0 && p <= 100);
  std::sort(values.begin(), values.end());
  const double place = p / 100 * static_cast<double>(values.size() - 1);
  const auto below = static_cast<std::size_t>(place);
  const std::size_t above = std::min(below + 1, values.size() - 1);
  return values[below] + (place - static_cast<double>(below)) * (values[above] - values[below]);
}

Spread3 spread_of(const std::vector<double>& values) {
  if (values.empty()) return {};
  double sum = 0;
  for (const double value : values) sum += value;
  return {sum / static_cast<double>(values.size()), percentile(values, 50), percentile(values, 99)};
}

ServeReport report_of(const std::vector<Served>& served, const ServeLimits& limits) {
  ServeReport out;
  out.requests = served.size();
  if (served.empty()) return out;
  std::vector<double> ttft, tpot, itl, end_to_end;
  Time first = Time::max(), last{};
  std::uint64_t made = 0, read = 0;
  for (const Served& one : served) {
    ASSERT(!one.tokens.empty());
    first = std::min(first, one.arrived);
    last = std::max(last, one.tokens.back());
    made += one.tokens.size();
    read += one.prompt;
    const Duration to_first = one.tokens.front() - one.arrived;
    ttft.push_back(seconds(to_first));
    end_to_end.push_back(seconds(one.tokens.back() - one.arrived));
    bool within = to_first <= limits.ttft;
    if (one.tokens.size() > 1) {  // one token has no pace
      const double pace = seconds(one.tokens.back() - one.tokens.front()) /
                          static_cast<double>(one.tokens.size() - 1);
      tpot.push_back(pace);
      within = within && pace <= seconds(limits.tpot);
    }
    if (within) ++out.within;
    for (std::size_t i = 1; i < one.tokens.size(); ++i)
      itl.push_back(seconds(one.tokens[i] - one.tokens[i - 1]));
  }
  out.seconds = std::max(1e-9, seconds(last - first));
  out.requests_per_second = static_cast<double>(out.requests) / out.seconds;
  out.output_per_second = static_cast<double>(made) / out.seconds;
  out.total_per_second = static_cast<double>(made + read) / out.seconds;
  out.goodput = static_cast<double>(out.within) / out.seconds;
  out.ttft = spread_of(ttft);
  out.tpot = spread_of(tpot);
  out.itl = spread_of(itl);
  out.end_to_end = spread_of(end_to_end);
  return out;
}

}  // namespace longhaul::trainer
