#include "lib/run/drain.hpp"

#include <algorithm>
#include <utility>

namespace longhaul::run {
namespace {

constexpr std::size_t kTakeMost = 8192;  // points of a frame: at most 180 KB of log

}  // namespace

void Drained::on_entry(const LogEntry& entry) {
  if (const auto* name = std::get_if<NameSeries>(&entry.record)) {
    series_ = std::max(series_, name->id.value() + 1);
  } else if (const auto* drops = std::get_if<Drops>(&entry.record)) {
    dropped_ = drops->points;
  } else if (std::holds_alternative<End>(entry.record)) {
    ended_ = true;
  } else if (const auto* points = std::get_if<Points>(&entry.record)) {
    for (const Taken& taken : points->taken) {
      const auto same = [&](const Taken& t) { return t.ring == taken.ring; };
      const auto found = std::find_if(taken_.begin(), taken_.end(), same);
      if (found == taken_.end())
        taken_.push_back(taken);
      else
        found->end = taken.end;
    }
    for (const TakenKept& kept : points->kept) {
      const auto same = [&](const TakenKept& k) {
        return k.ring == kept.ring && k.slot == kept.slot;
      };
      const auto found = std::find_if(kept_.begin(), kept_.end(), same);
      if (found == kept_.end())
        kept_.push_back(kept);
      else
        found->version = kept.version;
    }
  }
}

Drain::Drain(SharedLog& shared, LogEncoder log, const Drained& drained)
    : shared_(shared),
      log_(log),
      before_(drained),
      series_(drained.series()),
      dropped_(drained.dropped()) {
  claim();
}

// Rings that threads took since the last look; an earlier drainer's place in each.
void Drain::claim() {
  for (auto i = static_cast<std::uint32_t>(rings_.size()); i < shared_.rings_claimed(); ++i) {
    RingConsumer& ring = rings_.emplace_back(shared_.consumer(i));
    for (const Taken& taken : before_.taken())
      if (taken.ring == i) ring.resume_at(taken.end);
    for (const TakenKept& kept : before_.kept())
      if (kept.ring == i) ring.resume_kept({kept.slot, kept.version});
  }
}

bool Drain::gather(Points& points) {
  std::vector<KeptMark> marks;
  const std::size_t share = std::max<std::size_t>(256, kTakeMost / (rings_.size() + 1));
  for (std::uint32_t i = 0; i < rings_.size(); ++i) {
    if (points.points.size() + share + kKeptSlots > kLogPointsMax) break;  // the next frame's
    if (rings_[i].take(share, points.points) > 0) points.taken.push_back({i, rings_[i].position()});
    marks.clear();
    // They are newer than all that stood in the full ring: behind it.
    if (rings_[i].waiting() == 0) rings_[i].take_kept(points.points, marks);
    for (const KeptMark& mark : marks) points.kept.push_back({i, mark.slot, mark.version});
  }
  // A producer that went astray cannot make the log name a series that is not there.
  const std::uint32_t known = shared_.series_count();
  std::erase_if(points.points, [known](const Point& p) { return p.series.value() >= known; });
  const auto by_step = [](const Point& a, const Point& b) { return a.step < b.step; };
  if (points.taken.size() > 1 || !points.kept.empty())
    std::stable_sort(points.points.begin(), points.points.end(), by_step);
  return !points.taken.empty() || !points.kept.empty();
}

std::optional<ByteVector> Drain::next_frame() {
  ASSERT(!unwritten_);
  claim();
  if (!pending_) {
    Points points;
    if (gather(points)) pending_ = std::move(points);
  }
  // Names after points were gathered, and before they are written: none is logged without its name.
  if (series_ < shared_.series_count()) {
    const SeriesId id(series_++);
    return log_.frame(NameSeries{id, shared_.series_name(id)});
  }
  if (pending_) {
    unwritten_ = true;
    return log_.frame(*std::exchange(pending_, std::nullopt));
  }
  if (const std::uint64_t now = shared_.dropped(); now != dropped_) {
    dropped_ = now;
    return log_.frame(Drops{now});
  }
  return std::nullopt;
}

void Drain::check() const {
  ASSERT(rings_.size() <= shared_.rings_claimed());
  ASSERT(series_ <= shared_.series_count());
  ASSERT(dropped_ <= shared_.dropped());
  if (!pending_) return;
  ASSERT(!unwritten_);  // one frame at a time
  ASSERT(!pending_->taken.empty() || !pending_->kept.empty());
  const std::uint32_t known = shared_.series_count();
  for (const Point& point : pending_->points) ASSERT(point.series.value() < known);
}

void Drain::written() {
  if (!unwritten_) return;
  for (RingConsumer& ring : rings_) ring.let_go();
  unwritten_ = false;
}

}  // namespace longhaul::run
