#include "lib/datagram/mtu_search.hpp"

namespace longhaul::datagram {

namespace {
constexpr std::uint32_t kFailuresMax = 3;       // RFC 8899 MAX_PROBES
constexpr std::uint32_t kBlackHoleLosses = 12;  // in a row; at 10 % loss once in 10^12 packets
constexpr Duration kRaisePause = 10min;         // RFC 8899 PMTU_RAISE_TIMER
}  // namespace

std::optional<Time> MtuSearch::next_probe() const {
  if (under_way_ || size_ == kMtuSizes[0]) return std::nullopt;
  return not_before_;
}

std::optional<std::uint32_t> MtuSearch::wanted(Time now) const {
  const auto at = next_probe();
  if (!at.has_value() || *at > now) return std::nullopt;
  return kMtuSizes[next_ < kMtuSizes.size() && kMtuSizes[next_] > size_ ? next_ : 0];
}

void MtuSearch::on_probe_sent(Time now) {
  if (next_ >= kMtuSizes.size() || kMtuSizes[next_] <= size_)
    next_ = 0;  // the raise timer's search
  under_way_ = true;
  not_before_ = now;
}

void MtuSearch::on_probe_acked(std::uint32_t bytes) {
  if (!under_way_ || next_ >= kMtuSizes.size() || bytes != kMtuSizes[next_]) return;
  under_way_ = false;
  failures_ = 0;
  if (bytes <= size_) return;
  size_ = bytes;
  lost_in_a_row_ = 0;
  not_before_ += kRaisePause;
}

void MtuSearch::on_probe_lost(Time now, std::uint32_t bytes) {
  under_way_ = false;
  if (next_ >= kMtuSizes.size() || bytes != kMtuSizes[next_]) return;
  if (++failures_ < kFailuresMax) return;
  failures_ = 0;
  ++next_;
  if (next_ < kMtuSizes.size() && kMtuSizes[next_] > size_) return;
  not_before_ = now + kRaisePause;
}

void MtuSearch::on_too_big(std::uint32_t bytes) {
  if (under_way_ && next_ < kMtuSizes.size() && bytes >= kMtuSizes[next_]) {
    failures_ = kFailuresMax - 1;  // the probe's loss is certain: one is enough
  }
}

void MtuSearch::on_full_lost(Time now) {
  if (size_ == kMtuBase || ++lost_in_a_row_ < kBlackHoleLosses) return;
  restart(now);
}

void MtuSearch::restart(Time now) {
  size_ = kMtuBase;
  next_ = 0;
  failures_ = lost_in_a_row_ = 0;
  under_way_ = false;
  not_before_ = now;
}

}  // namespace longhaul::datagram
