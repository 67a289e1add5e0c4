#include "netsim/emulator/pacer.hpp"

#include <algorithm>

namespace netsim::emulator {
namespace {

constexpr Duration kNapMost = std::chrono::seconds(1);
constexpr Duration kLeadMost = std::chrono::microseconds(250);
constexpr Duration kMargin = std::chrono::microseconds(15);
constexpr Duration kWindow = std::chrono::milliseconds(100), kSpinMost = kWindow / 3;

}  // namespace

Duration Pacer::nap(Time now, std::optional<Time> deadline) {
  if (now - window_ >= kWindow) {
    window_ = now;
    spun_ = {};
  }
  if (spinning_) spun_ += now - last_;
  spinning_ = false;
  if (!deadline) {
    planned_ = now + kNapMost;
    return kNapMost;
  }
  if (*deadline <= now) return {};
  Duration sleep = std::min(*deadline - now, kNapMost);
  if (spun_ < kSpinMost) sleep -= lead_ + kMargin;
  if (sleep > Duration(0)) {
    planned_ = now + sleep;
    return sleep;
  }
  spinning_ = true;
  last_ = now;
  return {};
}

void Pacer::on_wake(Time now) {
  const Duration late = std::clamp(now - planned_, Duration(0), kLeadMost);
  // Up quickly, down slowly: one sleep that ends late costs more than a few short spins.
  lead_ += late > lead_ ? (late - lead_) / 4 : (late - lead_) / 32;
}

}  // namespace netsim::emulator
