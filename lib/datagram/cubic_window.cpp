#include "lib/datagram/cubic_window.hpp"

#include <algorithm>

namespace longhaul::datagram {
namespace {

__extension__ using Wide = __int128;
constexpr std::uint64_t kWindowPacketsMin = 4;

}  // namespace

std::uint64_t cube_root(std::uint64_t x) {
  std::uint64_t root = 0;
  for (std::uint64_t bit = std::uint64_t{1} << 21; bit != 0; bit >>= 1) {
    const std::uint64_t trial = root | bit;
    if (trial <= 2'642'245 && trial * trial * trial <= x) root = trial;  // its cube fits 64 bits
  }
  return root;
}

void CubicWindow::restart(Time now, ByteCount window, ByteCount peak) {
  window_ = std::max(window.value(), kWindowPacketsMin * packet_bytes_);
  peak_ = std::max(peak.value(), window_);
  open_epoch(now);
}

// K = cbrt((peak - window) / C), C = 0.4 packets/s^3; in milliseconds: the cube of a second is 1e9.
void CubicWindow::open_epoch(Time now) {
  epoch_ = now;
  reno_ = window_;
  const std::uint64_t gap_packets_e3 = (peak_ - window_) * 1000 / packet_bytes_;
  k_ms_ = static_cast<std::int64_t>(cube_root(gap_packets_e3 * 1'000'000 / 4 * 10));
}

std::uint64_t CubicWindow::target(Duration since) const {
  const std::int64_t t = since.count() / 1'000'000 - k_ms_;  // ms
  const Wide cube = Wide{t} * t * t * packet_bytes_ * 4 / 10 / 1'000'000'000;
  const Wide target = Wide{static_cast<std::int64_t>(peak_)} + cube;
  const Wide low = static_cast<std::int64_t>(window_);
  const Wide high = static_cast<std::int64_t>(window_ + window_ / 2);
  return static_cast<std::uint64_t>(target < low ? low : target > high ? high : target);
}

void CubicWindow::on_acked(Time now, std::uint64_t bytes, Duration rtt) {
  window_ += (target(now - epoch_ + rtt) - window_) * bytes / window_;
  // Not slower than Reno with the same mean window (section 4.3): 3 (1 - b) / (1 + b), b = 0.7.
  reno_ += std::uint64_t{packet_bytes_} * bytes * 9 / 17 / reno_;
  window_ = std::max(window_, reno_);
}

void CubicWindow::on_loss(Time now) {
  // Fast convergence: who loses below its last peak makes room for others.
  peak_ = window_ < peak_ ? window_ * 17 / 20 : window_;
  window_ = std::max(window_ * 7 / 10, kWindowPacketsMin * packet_bytes_);
  peak_ = std::max(peak_, window_);
  open_epoch(now);
}

}  // namespace longhaul::datagram
