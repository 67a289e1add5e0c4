#include "lib/datagram/rate_state.hpp"

#include <fmt/format.h>

#include <array>

namespace longhaul::datagram {

std::string_view name_of(RatePhase phase) {
  constexpr std::array<std::string_view, 9> kNames = {
      "start", "resume", "steady", "dip", "probe", "compete", "yield", "test", "outage"};
  return kNames[static_cast<std::size_t>(phase)];
}

std::string_view name_of(RateMode mode) {
  constexpr std::array<std::string_view, 3> kNames = {"fair", "background", "max"};
  return kNames[static_cast<std::size_t>(mode)];
}

std::string to_text(const RateState& s) {
  const auto micros = [](Duration d) { return d.count() / 1000; };
  return fmt::format(
      "mode={} phase={} pacing_kbit={} delivered_kbit={} capacity_kbit={} window={} in_flight={} "
      "rtt_min_us={} rtt_us={} queue_us={} target_us={} loss_ppm={} congestion_ppm={} "
      "skew_ppb={} trials={} acked={} lost={}",
      name_of(s.mode), name_of(s.phase), s.pacing.bits() / 1000, s.delivered.bits() / 1000,
      s.capacity.bits() / 1000, s.window.value(), s.in_flight.value(), micros(s.rtt_min),
      micros(s.rtt_smooth), micros(s.queue), micros(s.queue_target), s.loss_ppm,
      s.congestion_loss_ppm, s.skew_ppb, s.trials, s.acked_bytes, s.lost_bytes);
}

}  // namespace longhaul::datagram
