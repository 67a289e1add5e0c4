// Bbr: how fast a simulated TCP sender under BBR version 1 goes, after its authors' paper (Cardwell
// et al., ACM Queue 14:5, 2016) and draft-cardwell-iccrg-bbr-congestion-control-00: it paces at the
// largest delivery rate of ten round trips and keeps two products of that and the least round trip
// in flight, whatever is lost. Not modelled: the detector of policers and the one round trip of
// packet conservation that Linux has after losses. Plain IEEE arithmetic: the same on every
// machine.
//
//   Bbr::Mark mark = bbr.on_sent(now, in_flight);           // kept beside the packet
//   bbr.on_ack(now, mark, bytes, rtt, in_flight_after);     // for each packet acknowledged
#pragma once

#include <array>
#include <cstdint>

#include "lib/base/units.hpp"

namespace netsim {

class Bbr {
 public:
  explicit Bbr(std::uint32_t packet_bytes) : packet_(packet_bytes) {}
  struct Mark {  // what was known when a packet left
    longhaul::Time sent{}, first_sent{}, delivered_at{};
    std::uint64_t delivered = 0;
  };
  Mark on_sent(longhaul::Time now, std::uint64_t in_flight_bytes);
  void on_ack(longhaul::Time now, const Mark& mark, std::uint64_t bytes, longhaul::Duration rtt,
              std::uint64_t in_flight_bytes);

  std::uint64_t window_bytes() const;
  longhaul::BytesPerSecond pacing() const;
  enum class Phase : std::uint8_t { kStartup, kDrain, kProbeRate, kProbeRtt };
  Phase phase() const { return phase_; }

 private:
  static constexpr std::size_t kRateRounds = 10;
  double rate() const;  // bytes a second, the filter's
  double product(double gain) const;
  void end_round(longhaul::Time now);
  void cycle(longhaul::Time now, std::uint64_t in_flight_bytes);
  void probe_rtt(longhaul::Time now, std::uint64_t in_flight_bytes);

  double packet_;
  Phase phase_ = Phase::kStartup;
  double pacing_gain_ = 2.885, window_gain_ = 2.885;  // 2 / ln 2
  std::uint64_t delivered_ = 0;
  longhaul::Time delivered_at_{}, first_sent_{};
  std::array<double, kRateRounds> rates_{};  // the largest of each round trip
  std::uint64_t round_ = 0, round_ends_ = 0;
  double full_rate_ = 0;
  int full_rounds_ = 0;
  std::size_t step_ = 0;
  longhaul::Time step_began_{};
  longhaul::Duration rtt_min_ = longhaul::Duration::max();
  longhaul::Time rtt_seen_{}, probe_until_{};
};

}  // namespace netsim
