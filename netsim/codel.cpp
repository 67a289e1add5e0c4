#include "netsim/codel.hpp"

#include "netsim/integer_math.hpp"

namespace netsim {
namespace {

constexpr std::uint64_t kMaxPacketBytes =
    1514;  // RFC 8289 section 5.4: less than a packet is no queue

}  // namespace

bool CoDelState::over_target_for_an_interval(Time now, Duration sojourn,
                                             std::uint64_t backlog_bytes) {
  if (sojourn < config_.target || backlog_bytes <= kMaxPacketBytes) {
    first_above_.reset();
    return false;
  }
  if (!first_above_) {
    first_above_ = now + config_.interval;
    return false;
  }
  return now >= *first_above_;
}

Time CoDelState::next_after(Time from) const {  // from + interval / sqrt(count), in 1/65536 steps
  const std::uint64_t root = square_root(count_ << 32);
  const auto interval = static_cast<std::uint64_t>(config_.interval.count());
  return from + Duration(static_cast<std::int64_t>((interval << 16) / root));
}

bool CoDelState::should_drop(Time now, Duration sojourn, std::uint64_t backlog_bytes) {
  const bool over = over_target_for_an_interval(now, sojourn, backlog_bytes);
  if (dropping_) {
    if (!over) {
      dropping_ = false;
      advance_ = false;
      return false;
    }
    if (advance_) drop_next_ = next_after(drop_next_);
    advance_ = false;
    if (now < drop_next_) return false;
    ++count_;
    advance_ = true;
    return true;
  }
  if (!over) return false;
  // Back within 16 intervals: go on near the rate that had the queue under control before.
  const std::uint64_t gained = count_ - last_count_;
  const bool recent = now - drop_next_ < 16 * config_.interval;
  count_ = gained > 1 && recent ? gained : 1;
  last_count_ = count_;
  dropping_ = true;
  drop_next_ = next_after(now);
  return true;
}

}  // namespace netsim
