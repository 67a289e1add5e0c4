#include "netsim/bbr.hpp"

#include <algorithm>

namespace netsim {
namespace {

using longhaul::BytesPerSecond;
using longhaul::Duration;
using longhaul::Time;
using namespace std::chrono_literals;

constexpr double kHighGain = 2.885, kWindowGain = 2;
constexpr double kInitialPackets = 10, kLeastPackets = 4;
constexpr std::array<double, 8> kCycle = {1.25, 0.75, 1, 1, 1, 1, 1, 1};
constexpr double kFullGrowth = 1.25;  // less in three round trips: the link is full
constexpr int kFullRounds = 3;
constexpr Duration kRttLife = 10s, kProbeRtt = 200ms;
constexpr Duration kRttGuess = 1ms;  // before the first sample, as Linux
constexpr double kPacingMargin = 0.99;

double seconds(Duration d) {
  return static_cast<double>(d.count()) * 1e-9;
}

}  // namespace

double Bbr::rate() const {
  return *std::max_element(rates_.begin(), rates_.end());
}

double Bbr::product(double gain) const {
  if (rtt_min_ == Duration::max()) return kInitialPackets * packet_;
  return gain * rate() * seconds(rtt_min_) + 3 * packet_;
}

std::uint64_t Bbr::window_bytes() const {
  if (phase_ == Phase::kProbeRtt) return static_cast<std::uint64_t>(kLeastPackets * packet_);
  const double least = (rate() > 0 ? kLeastPackets : kInitialPackets) * packet_;
  return static_cast<std::uint64_t>(std::max(product(window_gain_), least));
}

BytesPerSecond Bbr::pacing() const {
  const Duration rtt = rtt_min_ == Duration::max() ? kRttGuess : rtt_min_;
  const double base =
      rate() > 0 ? rate() * kPacingMargin : kInitialPackets * packet_ / seconds(rtt);
  return BytesPerSecond(static_cast<std::uint64_t>(pacing_gain_ * base));
}

Bbr::Mark Bbr::on_sent(Time now, std::uint64_t in_flight_bytes) {
  if (in_flight_bytes == 0) first_sent_ = delivered_at_ = now;
  return {now, first_sent_, delivered_at_, delivered_};
}

void Bbr::on_ack(Time now, const Mark& mark, std::uint64_t bytes, Duration rtt,
                 std::uint64_t in_flight_bytes) {
  delivered_ += bytes;
  delivered_at_ = now;
  first_sent_ = mark.sent;
  const Duration span = std::max(mark.sent - mark.first_sent, now - mark.delivered_at);
  if (mark.delivered >= round_ends_) end_round(now);
  if (span >= std::min(rtt_min_, rtt)) {
    const double sample = static_cast<double>(delivered_ - mark.delivered) / seconds(span);
    double& best = rates_[round_ % kRateRounds];
    best = std::max(best, sample);
  }
  const bool old = rtt_min_ != Duration::max() && now - rtt_seen_ > kRttLife;
  if (rtt < rtt_min_ || old) {
    rtt_min_ = rtt;
    rtt_seen_ = now;
  }
  if (phase_ == Phase::kDrain && static_cast<double>(in_flight_bytes) <= product(1)) {
    phase_ = Phase::kProbeRate;
    window_gain_ = kWindowGain;
    step_ = 2;
    pacing_gain_ = kCycle[step_];
    step_began_ = now;
  }
  if (phase_ == Phase::kProbeRate) cycle(now, in_flight_bytes);
  if (old && phase_ != Phase::kProbeRtt) {
    phase_ = Phase::kProbeRtt;
    pacing_gain_ = 1;
    probe_until_ = Time{};
  }
  if (phase_ == Phase::kProbeRtt) probe_rtt(now, in_flight_bytes);
}

void Bbr::end_round(Time now) {
  round_ends_ = delivered_;
  ++round_;
  if (phase_ == Phase::kStartup) {
    if (rate() >= full_rate_ * kFullGrowth) {
      full_rate_ = rate();
      full_rounds_ = 0;
    } else if (++full_rounds_ >= kFullRounds) {
      phase_ = Phase::kDrain;
      pacing_gain_ = 1 / kHighGain;
      step_began_ = now;
    }
  }
  rates_[round_ % kRateRounds] = 0;
}

// A step lasts a round trip; the one above the rate until it has filled what it may, the one below
// it no longer than the queue.
void Bbr::cycle(Time now, std::uint64_t in_flight_bytes) {
  const double flying = static_cast<double>(in_flight_bytes), gain = kCycle[step_];
  bool over = now - step_began_ > rtt_min_;
  if (gain < 1) over = over || flying <= product(1);
  if (!over) return;
  step_ = (step_ + 1) % kCycle.size();
  pacing_gain_ = kCycle[step_];
  step_began_ = now;
}

void Bbr::probe_rtt(Time now, std::uint64_t in_flight_bytes) {
  if (probe_until_ == Time{}) {
    if (static_cast<double>(in_flight_bytes) <= kLeastPackets * packet_)
      probe_until_ = now + std::max(kProbeRtt, rtt_min_);
    return;
  }
  if (now < probe_until_) return;
  rtt_seen_ = now;
  const bool full = full_rounds_ >= kFullRounds;
  phase_ = full ? Phase::kProbeRate : Phase::kStartup;
  pacing_gain_ = full ? 1 : kHighGain;
  window_gain_ = full ? kWindowGain : kHighGain;
  step_ = 2;
  step_began_ = now;
}

}  // namespace netsim
