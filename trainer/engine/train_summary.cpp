#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <cmath>

#include "trainer/engine/train.hpp"

namespace longhaul::trainer {

std::string to_text(const TrainSummary& s, bool json) {
  const auto seconds = [](Duration d) { return std::chrono::duration<double>(d).count(); };
  const auto number = [](double value) {  // JSON has no other
    return std::isfinite(value) ? fmt::format("{:.9g}", value) : "null";
  };
  const double wall = std::max(1e-9, seconds(s.wall));
  std::string columns;
  for (std::size_t i = 0; i < kColumns; ++i) {
    const auto name = name_of(static_cast<Column>(i));
    columns += json ? fmt::format("{}\"{}\":{:.6f}", i == 0 ? "" : ",", name, seconds(s.columns[i]))
                    : fmt::format("  {:<12}{:>10.3f} s {:>6.2f} %\n", name, seconds(s.columns[i]),
                                  100 * seconds(s.columns[i]) / wall);
  }
  const std::string device =
      s.device_busy == 0 ? ""
                         : fmt::format("  the device: busy {:.3f} s, idle {:.3f} s between steps\n",
                                       s.device_busy, s.device_idle);
  const bool all_told = s.untold.dropped == 0 && s.untold.unwritten == 0;
  const std::string untold = all_told
                                 ? ""
                                 : fmt::format(",\"reports_dropped\":{},\"reports_unwritten\":{}",
                                               s.untold.dropped, s.untold.unwritten);
  const char* loss_at = s.at_extrapolated ? "extrapolated" : "weights";
  std::string more;
  if (s.at_extrapolated)
    more =
        "  training losses and norms are those at the extrapolated point, evaluations those at "
        "the weights\n";
  if (!all_told)
    more += fmt::format("  not all was reported: {} numbers or marks dropped, {} writes failed\n",
                        s.untold.dropped, s.untold.unwritten);
  if (!json)
    return fmt::format(
        "steps {} (from {}), loss {:.4f}{}, {:.0f} tok/s, polar factors {:.1f} % of the time\n{}"
        "  longest wait for data {:.3f} s, for a checkpoint {:.3f} s\n{}{}",
        s.steps, s.first_step, s.loss,
        s.eval_loss < 0 ? "" : fmt::format(", eval {:.4f}", s.eval_loss), s.tokens_per_second,
        100 * s.polar_seconds / wall, columns, seconds(s.longest_data_wait),
        seconds(s.checkpoint_longest), device, more);
  return fmt::format(
      "{{\"attempt\":{},\"first_step\":{},\"steps\":{},\"stopped\":{},\"loss\":{},\"loss_at\":\"{}"
      "\","
      "\"eval_loss\":{},\"tokens_per_second\":{:.1f},\"polar_seconds\":{:.6f},"
      "\"device_busy\":{:.6f},\"device_idle\":{:.6f},\"refused\":{},"
      "\"wall\":{:.6f},\"columns\":{{{}}},\"longest_data_wait\":{:.6f},"
      "\"longest_checkpoint\":{:.6f},\"checkpoint_bytes\":{},\"checkpoint_seconds\":{:.3f}{}}}\n",
      s.attempt, s.first_step, s.steps, s.stopped, number(s.loss), loss_at,
      s.eval_loss < 0 ? "null" : number(s.eval_loss), s.tokens_per_second, s.polar_seconds,
      s.device_busy, s.device_idle, s.refused, wall, columns, seconds(s.longest_data_wait),
      seconds(s.checkpoint_longest), s.checkpoint_bytes, s.checkpoint_seconds, untold);
}

}  // namespace longhaul::trainer
