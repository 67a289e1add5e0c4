#include "trainer/schedule.hpp"

#include <algorithm>
#include <cmath>
#include <string>

#include "lib/base/escape.hpp"

namespace longhaul::trainer {

Result<ScheduleKind> parse_schedule(std::string_view name) {
  if (name == "constant") return ScheduleKind::kConstant;
  if (name == "cosine") return ScheduleKind::kCosine;
  if (name == "linear") return ScheduleKind::kLinear;
  if (name == "wsd") return ScheduleKind::kWsd;
  return fail(Kind::kUsage, "choose the schedule \"" + printable(name, 32) + "\"",
              "there is: constant, cosine, linear, wsd");
}

double Schedule::factor(std::uint64_t step) const {
  if (step < warmup) return static_cast<double>(step + 1) / static_cast<double>(warmup);
  const auto at = static_cast<double>(step), end = static_cast<double>(total);
  if (kind == ScheduleKind::kConstant) return 1;
  if (kind == ScheduleKind::kCosine) {
    const double begin = static_cast<double>(warmup);
    const double x = end > begin ? std::min(1.0, (at - begin) / (end - begin)) : 1.0;
    return floor + (1 - floor) * 0.5 * (1 + std::cos(3.141592653589793 * x));
  }
  const double span = end * cooldown, begin = end - span;
  if (at < begin || span <= 0) return 1;
  const double x = std::min(1.0, (at - begin) / span);
  return floor + (1 - floor) * (kind == ScheduleKind::kLinear ? 1 - x : 1 - std::sqrt(x));
}

}  // namespace longhaul::trainer
