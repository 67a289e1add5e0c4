#include "proxy/daemon/run_lines.hpp"

#include <charconv>
#include <cmath>
#include <cstring>

#include "lib/cli/json_line.hpp"
#include "proxy/daemon/lines.hpp"

namespace longhaul::daemon {
namespace {

constexpr std::size_t kSeriesTextMax = 247;

// All 64 bits, so that NaN and infinities survive.
std::uint64_t bits_of(double value) {
  std::uint64_t bits = 0;
  static_assert(sizeof bits == sizeof value);
  std::memcpy(&bits, &value, sizeof bits);
  return bits;
}
double double_of(std::uint64_t bits) {
  double value = 0;
  std::memcpy(&value, &bits, sizeof value);
  return value;
}

std::optional<wire::RunState> run_state_of(std::string_view word) {
  for (const auto& known : wire_values(wire::RunState{}))
    if (known.name == word) return known.value;
  return std::nullopt;
}

}  // namespace

std::string_view word_of(wire::RunState state) {
  for (const auto& known : wire_values(wire::RunState{}))
    if (known.value == state) return known.name;
  return "unknown";
}

std::string to_line(const wire::RunLine& run) {
  cli::JsonLine values;
  for (std::size_t i = 0; i < run.values.size(); ++i) {
    const wire::NamedValue& value = run.values[i];
    cli::JsonLine one;
    one.add("series", value.series).add("step", value.step).add("value", value.value);
    if (!std::isfinite(value.value)) one.add("bits", bits_of(value.value));
    values.add(std::to_string(i), std::move(one));
  }
  cli::JsonLine line;
  line.add("event", "run").add("name", run.name).add("state", word_of(run.state));
  line.add("attempts", run.attempts).add("last_step", run.last_step);
  line.add("began_ns", run.began.ns).add("wrote_ns", run.wrote.ns).add("host", run.host);
  line.add("why", run.why).add("config", run.config).add("values", std::move(values));
  return line.text();
}

Result<wire::RunLine> parse_run_line(std::string_view line) {
  const Fields fields = TRY(Fields::parse(line));
  const auto broken = [] { return fail(Kind::kMalformed, "read a run's line"); };
  wire::RunLine run;
  run.name = fields.text("name");
  const auto state = run_state_of(fields.text("state"));
  if (fields.text("event") != "run" || run.name.empty() || !state) return broken();
  run.state = *state;
  run.attempts = static_cast<std::uint32_t>(fields.count("attempts").value_or(0));
  run.last_step = fields.count("last_step").value_or(0);
  run.began.ns = fields.number("began_ns").value_or(0);
  run.wrote.ns = fields.number("wrote_ns").value_or(0);
  run.host = fields.text("host");
  run.why = fields.text("why");
  run.config = fields.text("config");
  for (std::size_t i = 0; i < wire::kRunValuesMax; ++i) {
    const std::string row = "values/" + std::to_string(i) + "/";
    if (!fields.has(row + "series")) break;
    wire::NamedValue value;
    value.series = fields.text(row + "series");
    value.step = fields.count(row + "step").value_or(0);
    if (const auto bits = fields.count(row + "bits")) {
      value.value = double_of(*bits);
    } else {
      const std::string text = fields.text(row + "value");
      const auto [end, status] =
          std::from_chars(text.data(), text.data() + text.size(), value.value);
      if (status != std::errc{} || end != text.data() + text.size()) return broken();
    }
    if (value.series.size() > kSeriesTextMax) return broken();
    run.values.push_back(std::move(value));
  }
  if (!run.name.fits() || !run.host.fits() || !run.why.fits() || !run.config.fits())
    return broken();
  return run;
}

std::string to_text(const RunList& list) {
  std::string text = cli::JsonLine().add("event", "heard").add("heard_ns", list.heard.ns).text();
  text += '\n';
  for (const wire::RunLine& run : list.runs) text += to_line(run) + "\n";
  return text;
}

Result<RunList> parse_run_list(std::string_view text) {
  RunList list;
  bool first = true;
  while (!text.empty()) {
    const std::size_t end = text.find('\n');
    if (end == std::string_view::npos)
      return fail(Kind::kMalformed, "read a list of runs", "it is torn");
    const std::string_view line = text.substr(0, end);
    text.remove_prefix(end + 1);
    if (first) {
      list.heard.ns = TRY(Fields::parse(line)).number("heard_ns").value_or(0);
      first = false;
      continue;
    }
    if (list.runs.size() >= kRunsKnownMax) break;
    list.runs.push_back(TRY(parse_run_line(line)));
  }
  return list;
}

}  // namespace longhaul::daemon
