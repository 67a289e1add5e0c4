#include "lib/datagram/delay_base.hpp"

#include <algorithm>

namespace longhaul::datagram {
namespace {

__extension__ using Wide = __int128;

}  // namespace

void DelayBase::restart(Time now, Duration delay) {
  first_ = count_ = 0;
  skew_ppb_ = 0;
  add(now, delay);
}

void DelayBase::add(Time now, Duration delay) {
  if (count_ > 0) {
    Point& last = points_[(first_ + count_ - 1) % kBuckets];
    if (now - last.at < kBucket) {
      if (delay < last.delay) {
        last.delay = delay;
        if (delay < line(now)) floor_ = {now, delay};
      }
      return;
    }
  }
  if (count_ == kBuckets) {
    first_ = (first_ + 1) % kBuckets;
    --count_;
  }
  points_[(first_ + count_) % kBuckets] = {now, delay};
  ++count_;
  fit();
}

// The edge of the lower convex hull that spans the middle of the window has the skew as its slope
// (Moon, Skelly, Towsley 1999: the line under all points that is nearest to their mean).
void DelayBase::fit() {
  std::array<std::size_t, kBuckets> hull{};
  std::size_t size = 0;
  for (std::size_t i = 0; i < count_; ++i) {
    const Point& c = point(i);
    while (size >= 2) {
      const Point &a = point(hull[size - 2]), &b = point(hull[size - 1]);
      const Wide cross = Wide{(b.at - a.at).count()} * (c.delay - a.delay).count() -
                         Wide{(c.at - a.at).count()} * (b.delay - a.delay).count();
      if (cross > 0) break;
      --size;
    }
    hull[size++] = i;
  }
  skew_ppb_ = 0;
  floor_ = point(hull[0]);
  if (count_ < kFitBuckets) {
    for (std::size_t i = 0; i < count_; ++i)
      if (point(i).delay < floor_.delay) floor_ = point(i);
    return;
  }
  const Time middle = point(0).at + (point(count_ - 1).at - point(0).at) / 2;
  for (std::size_t i = 0; i + 1 < size; ++i) {
    const Point &a = point(hull[i]), &b = point(hull[i + 1]);
    if (b.at < middle) continue;
    skew_ppb_ = static_cast<std::int64_t>(Wide{(b.delay - a.delay).count()} * 1'000'000'000 /
                                          (b.at - a.at).count());
    floor_ = b;
    break;
  }
  if (skew_ppb_ >= -kSkewMaxPpb && skew_ppb_ <= kSkewMaxPpb) return;
  skew_ppb_ = 0;  // no clock runs so badly: the delays moved for another reason
  for (std::size_t i = 0; i < count_; ++i)
    if (point(i).delay < floor_.delay) floor_ = point(i);
}

Duration DelayBase::line(Time now) const {
  const Wide drift = Wide{(now - floor_.at).count()} * skew_ppb_ / 1'000'000'000;
  return floor_.delay + Duration(static_cast<std::int64_t>(drift));
}

Duration DelayBase::queue(Time now, Duration delay) const {
  return count_ == 0 ? Duration{} : std::max(Duration{}, delay - line(now));
}

}  // namespace longhaul::datagram
