#include "lib/datagram/received.hpp"

#include <algorithm>

namespace longhaul::datagram {

void Received::on_packet(Time now, PacketNumber number, bool eliciting, Duration ago) {
  const bool newest = count_ == 0 || number > ranges_[0].last;
  const bool late = count_ > 0 && number < ranges_[0].last;
  insert(number);
  const Time came = std::max(now - ago, start_);
  arrivals_[number % kArrivals] = {number, came - start_};
  if (newest) largest_at_ = came;
  if (!eliciting) return;
  ++owed_;
  // One that comes late may be thought lost: tell before it is sent again.
  const bool at_once = owed_ >= kAckPackets || (late && owed_ >= kAckPackets / 2);
  const Time at = at_once ? now : now + kAckDelay;
  ack_at_ = std::min(ack_at_.value_or(Time::max()), at);
}

void Received::insert(PacketNumber number) {
  std::size_t i = 0;  // the first range that does not lie wholly above
  while (i < count_ && ranges_[i].first > number + 1) ++i;
  if (i < count_ && ranges_[i].first == number + 1) {
    ranges_[i].first = number;
    if (i + 1 < count_ && ranges_[i + 1].last + 1 == number) {
      ranges_[i].first = ranges_[i + 1].first;
      std::copy(ranges_.begin() + static_cast<std::ptrdiff_t>(i) + 2,
                ranges_.begin() + static_cast<std::ptrdiff_t>(count_),
                ranges_.begin() + static_cast<std::ptrdiff_t>(i) + 1);
      --count_;
    }
    return;
  }
  if (i < count_ && ranges_[i].last + 1 == number) {
    ranges_[i].last = number;
    return;
  }
  if (i < count_ && number >= ranges_[i].first && number <= ranges_[i].last) return;
  if (i == kAckRangesMax) return;  // below all that is remembered
  const std::size_t kept = std::min(count_, kAckRangesMax - 1);
  std::copy_backward(ranges_.begin() + static_cast<std::ptrdiff_t>(i),
                     ranges_.begin() + static_cast<std::ptrdiff_t>(kept),
                     ranges_.begin() + static_cast<std::ptrdiff_t>(kept) + 1);
  ranges_[i] = {number, number};
  count_ = kept + 1;
}

std::optional<Duration> Received::arrival_of(PacketNumber number) const {
  const Arrival& arrival = arrivals_[number % kArrivals];
  if (arrival.number != number) return std::nullopt;
  return arrival.at;
}

AckFrame Received::frame(Time now) const {
  ASSERT(count_ > 0);
  AckFrame ack;
  ack.held = now - largest_at_;
  ack.ranges = ranges_;
  ack.range_count = count_;
  const auto newest = arrival_of(ack.largest());
  ack.received = newest.value_or(largest_at_ - start_);
  Duration above = ack.received;
  for (std::size_t i = 0; i < count_; ++i) {
    for (PacketNumber n = ranges_[i].last + 1; n-- > ranges_[i].first;) {
      if (n == ack.largest()) continue;
      const auto at = arrival_of(n);
      if (!at.has_value() || ack.time_count == kAckTimesMax) return ack;
      // Whole microseconds on both sides, or the rounding would add up.
      ack.earlier_us[ack.time_count++] = above / 1us - *at / 1us;
      above = *at;
    }
  }
  return ack;
}

void Received::on_ack_sent() {
  owed_ = 0;
  ack_at_.reset();
}

}  // namespace longhaul::datagram
