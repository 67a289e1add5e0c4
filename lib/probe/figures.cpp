#include "lib/probe/figures.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

namespace longhaul::probe {
namespace {

std::string microseconds(double us) {
  return fmt::format("{}us", static_cast<std::int64_t>(std::llround(std::max(us, 0.0))));
}

std::string loss_text(const WayFigures& way) {
  if (!way.loss || way.lost == 0) return "none";
  const double percent = std::min(way.loss->value, 0.99) * 100;
  if (way.loss_burst < 1.05) return fmt::format("{:.4f}%", percent);
  return fmt::format("ge:{:.4f}%/{:.2f}", percent, way.loss_burst);
}

std::string jitter_text(const WayFigures& way) {
  if (!way.jitter || way.jitter->back() < 1) return "none";
  std::string text = "table:";
  for (std::size_t i = 0; i < kJitterPoints; ++i)
    text += (i > 0 ? "/" : "") + microseconds((*way.jitter)[i]);
  return text;
}

std::string way_text(const WayFigures& way) {
  std::string text =
      fmt::format(R"("loss": "{}", "jitter": "{}")", loss_text(way), jitter_text(way));
  // A floor is no rate: a link that was never full has none in the profile.
  if (way.capacity && !way.capacity_is_floor) {
    text += fmt::format(R"(, "rate": "{}kbit")", std::llround(way.capacity->value * 8 / 1000));
    if (way.buffer && !way.buffer_is_floor) {
      text += fmt::format(R"(, "queue": "{}B")",
                          std::max<std::int64_t>(std::llround(way.buffer->value), 1500));
    }
  }
  if (way.policer) {
    text += fmt::format(R"(, "policer": "{}kbit,{}B")", std::llround(way.policer->rate * 8 / 1000),
                        std::max<std::int64_t>(std::llround(way.policer->bucket), 1500));
  }
  return text;
}

}  // namespace

std::string profile_text(const Figures& figures, const std::string& name,
                         const std::string& source) {
  std::string text = "{\n";
  text += fmt::format("  \"netsim_profile\": 1,\n  \"name\": \"{}\",\n", name);
  text += "  \"about\": \"measured by longhaul probe\",\n";
  text += fmt::format("  \"notes\": {{\"source\": \"{}\"}},\n", source);
  text += fmt::format("  \"link\": {{\n    \"rtt\": \"{}\"",
                      microseconds(figures.propagation_ms * 1000));
  if (figures.mtu_bytes > 0 && figures.mtu_bytes < 1500)
    text += fmt::format(", \"mtu\": \"{}\"", figures.mtu_bytes);
  text += fmt::format(",\n    \"up\": {{{}}},\n    \"down\": {{{}}}\n  }}\n}}\n",
                      way_text(figures.up), way_text(figures.down));
  return text;
}

}  // namespace longhaul::probe
