#include "proxy/run_text.hpp"

#include <fmt/chrono.h>
#include <fmt/format.h>

#include <cmath>
#include <ctime>

#include "lib/base/escape.hpp"
#include "lib/run/command.hpp"

namespace longhaul::proxy {

std::string date_text(WallTime at) {
  const std::time_t seconds = at.ns / 1'000'000'000;
  return fmt::format("{:%Y-%m-%d %H:%M}", fmt::gmtime(seconds));
}

std::string number_text(double value) {
  if (std::isnan(value)) return "nan";
  if (std::isinf(value)) return value > 0 ? "inf" : "-inf";
  const double size = std::abs(value);
  if (size == 0 || (size >= 1e-4 && size < 1e7)) return fmt::format("{:.5g}", value);
  return fmt::format("{:.2e}", value);
}

std::string_view name_of(run::EventKind kind) {
  for (const auto& known : wire_values(kind))
    if (known.value == kind) return known.name;
  return "unknown";
}

std::string id_text(std::uint64_t id) {
  return fmt::format("{:016x}", id);
}

cli::JsonLine event_line(const feed::Mark& mark) {
  cli::JsonLine line;
  line.add("event", "mark").add("attempt", mark.attempt);
  line.add("number", mark.number).add("kind", name_of(mark.event.kind));
  line.add("step", mark.event.step).add("time_ns", mark.event.at.ns);
  if (mark.event.id != 0) line.add("id", id_text(mark.event.id));
  if (!mark.event.who.empty()) line.add("who", mark.event.who);
  return std::move(line.add("text", mark.event.text));
}

std::string mark_text(const feed::Mark& mark) {
  std::string text(name_of(mark.event.kind));
  if (!mark.event.text.empty()) text += " " + printable(mark.event.text, 200);
  if (!mark.event.who.empty()) text += " by " + printable(mark.event.who, 60);
  return text;
}

}  // namespace longhaul::proxy
