#include "proxy/daemon/mirror_reading.hpp"

#include <algorithm>

#include "lib/feed/history.hpp"
#include "lib/run/segment.hpp"

namespace longhaul::daemon {
namespace {

// Of each attempt the points that came last: only these are unpacked.
class LastPoints {
 public:
  explicit LastPoints(std::size_t held_most) : held_most_(held_most) {}
  Result<> take(const wire::History& message, MirrorRead& read) {
    if (message.segment.empty()) return {};
    Slice& slot = last_[message.attempt];
    held_ += message.segment.size();
    held_ -= slot.size();
    slot = Slice::copy_of(message.segment.bytes());
    return held_ > held_most_ ? settle(read) : Result<>();
  }
  Result<> settle(MirrorRead& read) {
    for (const auto& [attempt, segment] : last_) {
      const auto points = TRY(run::decode_segment(segment.bytes()));
      for (const run::Point& point : points)
        read.steps[attempt] = std::max(read.steps[attempt], point.step);
    }
    last_.clear();
    held_ = 0;
    return {};
  }

 private:
  const std::size_t held_most_;
  std::map<std::uint32_t, Slice> last_;
  std::size_t held_ = 0;
};

void note(const wire::History& message, const run::LogEntry& entry, MirrorReading& out) {
  auto& decided = out.read.decided;
  if (const auto* event = std::get_if<run::RunEvent>(&entry.record);
      event != nullptr && event->id != 0)
    decided.emplace_back(message.attempt, *event);
  if (const auto* start = std::get_if<run::Start>(&entry.record))
    out.began.emplace(message.attempt, start->at);
  if (decided.size() >= 2 * kDecidedMax)
    decided.erase(decided.begin(), decided.begin() + kDecidedMax);
}

}  // namespace

Result<MirrorReading> read_mirror(feed::Mirror& mirror, std::size_t held_most) {
  MirrorReading out;
  LastPoints last(held_most);
  while (auto message = TRY(mirror.next())) {
    const auto entries = TRY(feed::unpack_frames(message->frames.bytes()));
    for (const run::LogEntry& entry : entries) note(*message, entry, out);
    TRY(last.take(*message, out.read));
  }
  TRY(last.settle(out.read));
  out.read.have = mirror.have();
  out.read.appends = mirror.appends();
  return out;
}

}  // namespace longhaul::daemon
