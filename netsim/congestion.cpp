#include "netsim/congestion.hpp"

#include <algorithm>

#include "netsim/integer_math.hpp"

namespace netsim {
namespace {

using longhaul::Duration;
using longhaul::Time;
using namespace std::chrono_literals;

constexpr double kInitialSegments = 10;  // RFC 6928
constexpr double kUnbounded = 1e18;
constexpr double kCubicBeta = 0.7, kCubicC = 0.4;  // RFC 9438; C in segments per second^3
constexpr double kRenoBeta = 0.5;
constexpr int kRoundSamples = 8;

double seconds(Duration d) {
  return static_cast<double>(d.count()) * 1e-9;
}

}  // namespace

CongestionWindow::CongestionWindow(Congestion kind, std::uint32_t mss_bytes,
                                   std::uint64_t fixed_bytes)
    : kind_(kind),
      mss_(mss_bytes),
      window_(kind == Congestion::kFixed ? static_cast<double>(fixed_bytes)
                                         : kInitialSegments * mss_bytes),
      threshold_(kind == Congestion::kFixed ? 0 : kUnbounded) {}

// Only the first acks of a round trip count: those behind them have queued behind our own burst.
void CongestionWindow::end_slow_start_if_late(Time now, Duration rtt) {
  if (now >= round_end_) {
    round_end_ = now + rtt;
    round_min_ = Duration::max();
    samples_ = 0;
  }
  round_min_ = std::min(round_min_, rtt);
  if (++samples_ != kRoundSamples) return;
  const Duration late = std::clamp<Duration>(rtt_min_ / 8, 4ms, 16ms);
  if (round_min_ > rtt_min_ + late && window_ > 16 * mss_) threshold_ = window_;
}

void CongestionWindow::on_ack(Time now, std::uint64_t bytes, Duration rtt, bool limited) {
  if (kind_ == Congestion::kFixed) return;
  rtt_min_ = std::min(rtt_min_, rtt);
  if (!limited) return;
  const auto acked = static_cast<double>(bytes);
  if (in_slow_start()) {
    window_ += acked;
    return end_slow_start_if_late(now, rtt);
  }
  if (kind_ == Congestion::kReno)
    window_ += mss_ * acked / window_;
  else
    grow_cubic(now, acked, rtt);
}

void CongestionWindow::grow_cubic(Time now, double acked, Duration rtt) {
  if (!epoch_open_) {
    epoch_open_ = true;
    epoch_ = now;
    window_max_ = std::max(window_max_, window_);
    const double gap = (window_max_ - window_) / mss_ / kCubicC;
    k_seconds_ = gap > 0 ? real_cube_root(gap) : 0;
    reno_window_ = window_;
  }
  const double t = seconds(now - epoch_ + rtt) - k_seconds_;
  const double target =
      std::clamp(kCubicC * t * t * t * mss_ + window_max_, window_, 1.5 * window_);
  window_ += (target - window_) / window_ * acked;
  // Not slower than Reno with the same mean window would be (RFC 9438 section 4.3).
  reno_window_ += 3 * (1 - kCubicBeta) / (1 + kCubicBeta) * mss_ * acked / reno_window_;
  window_ = std::max(window_, reno_window_);
}

void CongestionWindow::reduce() {
  const double beta = kind_ == Congestion::kReno ? kRenoBeta : kCubicBeta;
  // Fast convergence: one that loses below its last peak makes room for others.
  window_max_ = window_ < window_max_ ? window_ * (1 + kCubicBeta) / 2 : window_;
  threshold_ = std::max(window_ * beta, 2 * mss_);
  window_ = threshold_;
  epoch_open_ = false;
}

void CongestionWindow::on_loss() {
  if (kind_ != Congestion::kFixed) reduce();
}

void CongestionWindow::on_timeout() {
  if (kind_ == Congestion::kFixed) return;
  reduce();
  window_ = mss_;
}

}  // namespace netsim
