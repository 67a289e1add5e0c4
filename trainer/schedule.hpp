// Schedule: the factor on a learning rate (and on kappa, if asked) at a step; 1 is the peak. Pure.
#pragma once

#include <cstdint>
#include <string_view>

#include "lib/base/result.hpp"

namespace longhaul::trainer {

enum class ScheduleKind : std::uint8_t {
  kConstant,  // 1 after the warm-up
  kCosine,    // floor + (1 - floor) (1 + cos(pi x)) / 2, x from the warm-up's end to the run's
  kLinear,    // a straight line to the floor over the last `cooldown` of the steps, 1 before
  kWsd,       // warm-up, stable, decay: 1 - sqrt(x) over the last `cooldown` (Haegele et al. 2024)
};
Result<ScheduleKind> parse_schedule(std::string_view name);  // constant, cosine, linear, wsd

struct Schedule {
  ScheduleKind kind = ScheduleKind::kCosine;
  std::uint64_t warmup = 0;  // steps from (1 / warmup) up to 1
  std::uint64_t total = 1;   // steps of the run
  double floor = 0.1;
  double cooldown = 0.2;                    // share of the steps
  double factor(std::uint64_t step) const;  // of step 0, 1, ..
};

}  // namespace longhaul::trainer
