#include "lib/session/k_search.hpp"

#include <algorithm>

namespace longhaul::session {

namespace {
constexpr std::uint64_t kRisePercent = 110;
constexpr std::uint64_t kStillRampingPercent = 105;
constexpr std::uint64_t kFellPercent = 70;
constexpr std::uint64_t kFellLossyPercent = 90;  // loss explains it, and more would help
constexpr std::uint32_t kLowEpochsToBelieve = 3;
constexpr std::uint32_t kSettleEpochs = 3;    // dial, handshake, ramp
constexpr std::uint32_t kLossyEpochs = 2;     // one may be the overshoot of a slow start
constexpr std::uint32_t kOpenEpochsMost = 6;  // waiting for dials that do not succeed

// A link is thin for connections that have fewer packets on their way than this; a shorter way than
// the least one here is no reason, as each has its turn soon.
constexpr std::uint64_t kThinPackets = 2, kEasyPackets = 4;
constexpr Duration kThinRtt = 100ms;
constexpr std::uint32_t kThinEpochs = 3;

std::uint64_t packets_on_the_way(const Epoch& epoch) {
  return epoch.sum.bytes_in(std::max(epoch.rtt_min, kThinRtt)).value() / 1448;
}
bool thin(const Epoch& epoch, std::uint32_t connections) {
  return epoch.rtt_min > Duration{} && packets_on_the_way(epoch) < kThinPackets * connections;
}

bool over(BytesPerSecond a, BytesPerSecond b, std::uint64_t percent) {
  return a.value() > b.value() / 100 * percent;
}
}  // namespace

KSearch::KSearch(std::uint32_t most, std::uint32_t start, std::uint32_t remembered)
    : most_(std::max(1U, most)),
      start_(start),
      wanted_(std::clamp(std::max(start, remembered), 1U, most_)) {}

KChanged KSearch::first() const {
  return KChanged{0, wanted_, wanted_ > start_ ? KReason::kRemembered : KReason::kStart, {}};
}

void KSearch::check() const {
  ASSERT(1 <= wanted_ && wanted_ <= most_);
  ASSERT(before_ < wanted_);  // a step is one up
  ASSERT(!resting_ || before_ == 0);
  ASSERT(last_ <= best_);
}

KChanged KSearch::change(std::uint32_t to, KReason reason, BytesPerSecond sum) {
  const KChanged event{wanted_, to, reason, sum};
  wanted_ = to;
  epochs_in_step_ = 0;
  low_epochs_ = 0;
  return event;
}

std::optional<KChanged> KSearch::rest(const Epoch& epoch, KReason reason) {
  resting_ = true;
  before_ = 0;
  return KChanged{wanted_, wanted_, reason, epoch.sum};
}

std::optional<KChanged> KSearch::grow(const Epoch& epoch, KReason reason) {
  if (wanted_ >= most_) return rest(epoch, KReason::kMost);
  if (thin(epoch, wanted_ * 2)) return std::nullopt;  // not yet: it may still ramp up
  before_ = wanted_;
  sum_before_ = epoch.sum;
  return change(std::min(wanted_ * 2, most_), reason, epoch.sum);
}

// The search goes on from there: an outage may have looked like it.
std::optional<KChanged> KSearch::on_thin(const Epoch& epoch) {
  thin_epochs_ = 0;
  resting_ = false;
  before_ = 0;
  best_ = epoch.sum;
  const auto easy = static_cast<std::uint32_t>(packets_on_the_way(epoch) / kEasyPackets);
  return change(std::clamp(easy, kStartPaths, wanted_), KReason::kThin, epoch.sum);
}

std::optional<KChanged> KSearch::on_epoch(const Epoch& epoch) {
  if (!epoch.limited_by_link) {
    last_ = {};
    low_epochs_ = 0;
    return std::nullopt;
  }
  const BytesPerSecond last = std::exchange(last_, epoch.sum);
  best_ = std::max(best_, epoch.sum);
  ++epochs_in_step_;
  thin_epochs_ = wanted_ > kStartPaths && thin(epoch, wanted_) ? thin_epochs_ + 1 : 0;
  if (thin_epochs_ >= kThinEpochs) return on_thin(epoch);
  if (resting_) {
    const std::uint64_t fell = epoch.loss_limited ? kFellLossyPercent : kFellPercent;
    low_epochs_ = !epoch.link_full && !over(epoch.sum, best_, fell) ? low_epochs_ + 1 : 0;
    if (low_epochs_ < kLowEpochsToBelieve) return std::nullopt;
    resting_ = false;
    best_ = epoch.sum;
    return grow(epoch, KReason::kRateFell);
  }
  lossy_epochs_ = epoch.loss_limited ? lossy_epochs_ + 1 : 0;
  if (epoch.link_full) return rest(epoch, KReason::kLinkFull);
  // Connections that are still to open or still ramp up say nothing yet.
  if (epoch.open < wanted_ && epochs_in_step_ < kOpenEpochsMost) return std::nullopt;
  if (epoch.open < wanted_ / 2) return rest(epoch, KReason::kFewStay);
  if (lossy_epochs_ >= kLossyEpochs) return grow(epoch, KReason::kLossLimited);
  if (last.value() == 0 || over(epoch.sum, last, kStillRampingPercent)) return std::nullopt;
  if (before_ != 0) {
    if (epochs_in_step_ < kSettleEpochs) return std::nullopt;
    return judge_step(epoch);
  }
  return grow(epoch, KReason::kSumRose);
}

std::optional<KChanged> KSearch::judge_step(const Epoch& epoch) {
  if (over(epoch.sum, sum_before_, kRisePercent)) return grow(epoch, KReason::kSumRose);
  resting_ = true;
  return change(std::exchange(before_, 0), KReason::kSumFlat, epoch.sum);
}

std::optional<KChanged> KSearch::on_refused(std::uint32_t open) {
  most_ = std::max(1U, open);
  if (wanted_ <= most_) return std::nullopt;
  resting_ = true;
  before_ = 0;
  return change(most_, KReason::kRefusedByPeer, {});
}

}  // namespace longhaul::session
