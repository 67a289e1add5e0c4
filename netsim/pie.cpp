#include "netsim/pie.hpp"

#include <algorithm>

namespace netsim {
namespace {

constexpr double kAlpha = 0.125, kBeta = 1.25;    // per second, RFC 8033 section 4.2
constexpr std::uint64_t kMeanPacketBytes = 1024;  // two of these in the queue are never dropped
constexpr double kMarkBelow = 0.1;           // over this probability even ECN packets are dropped
constexpr std::int64_t kIdleUpdates = 4000;  // after so many idle updates every state is at rest

double seconds(Duration d) {
  return static_cast<double>(d.count()) * 1e-9;
}

double tuned(double change, double probability) {  // the auto-tuning table of section 4.2
  if (probability < 0.000001) return change / 2048;
  if (probability < 0.00001) return change / 512;
  if (probability < 0.0001) return change / 128;
  if (probability < 0.001) return change / 32;
  if (probability < 0.01) return change / 8;
  if (probability < 0.1) return change / 2;
  return change;
}

}  // namespace

PieState::PieState(const Pie& config, Time start)
    : config_(config), next_update_(start + config.update), burst_left_(config.burst) {}

void PieState::catch_up(Time now) {
  if (now < next_update_) return;
  const std::int64_t missed = (now - next_update_) / config_.update;
  if (missed > kIdleUpdates) next_update_ += config_.update * (missed - kIdleUpdates);
  for (; next_update_ <= now; next_update_ += config_.update) update();
}

void PieState::update() {
  double change =
      kAlpha * seconds(delay_ - config_.target) + kBeta * seconds(delay_ - delay_before_);
  change = tuned(change, probability_);
  if (probability_ >= 0.1) change = std::min(change, 0.02);
  probability_ += change;
  if (delay_ == Duration{} && delay_before_ == Duration{}) probability_ *= 0.98;
  probability_ = std::clamp(probability_, 0.0, 1.0);
  const bool calm = delay_ < config_.target / 2 && delay_before_ < config_.target / 2;
  delay_before_ = delay_;
  burst_left_ = std::max(Duration{}, burst_left_ - config_.update);
  if (probability_ == 0 && calm) burst_left_ = config_.burst;
}

PieState::Verdict PieState::on_arrival(Time now, std::uint64_t backlog_bytes, bool can_mark,
                                       longhaul::Rng& rng) {
  catch_up(now);
  if (burst_left_ > Duration{}) return Verdict::kPass;
  if (delay_before_ < config_.target / 2 && probability_ < 0.2) return Verdict::kPass;
  if (backlog_bytes <= 2 * kMeanPacketBytes) return Verdict::kPass;
  if (probability_ == 0) accumulated_ = 0;
  accumulated_ += probability_;
  if (accumulated_ < 0.85) return Verdict::kPass;  // de-randomised: not too close together,
  if (accumulated_ < 8.5 && !rng.chance(probability_)) return Verdict::kPass;  // not too far apart
  accumulated_ = 0;
  return can_mark && probability_ < kMarkBelow ? Verdict::kMark : Verdict::kDrop;
}

void PieState::on_departure(Time now, Duration sojourn) {
  catch_up(now);
  delay_ = sojourn;
}

void PieState::on_empty(Time now) {
  catch_up(now);
  delay_ = Duration{};
}

}  // namespace netsim
