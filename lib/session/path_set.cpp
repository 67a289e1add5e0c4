#include "lib/session/path_set.hpp"

#include <algorithm>

namespace longhaul::session {

namespace {
bool fresher(const Path& one, const Path& other) {
  if (one.accepted != other.accepted) return one.accepted;
  if (one.in_flight.bytes() != other.in_flight.bytes()) {
    return one.in_flight.bytes() < other.in_flight.bytes();
  }
  return one.progress_at > other.progress_at;
}
}  // namespace

Path& PathSet::add(PathRole role, Time now) {
  paths_.push_back(std::make_unique<Path>(next_, role, now));
  next_ = next_.next();
  return *paths_.back();
}

Path* PathSet::find(PathId id) {
  for (const auto& path : paths_) {
    if (path->id == id) return path.get();
  }
  return nullptr;
}

void PathSet::remove(PathId id) {
  std::erase_if(paths_, [id](const auto& path) { return path->id == id; });
}

bool PathSet::any_alive(Time now) const {
  return std::any_of(begin(), end(), [now](const auto& path) { return path->alive(now); });
}

bool PathSet::any_bulk(Time now) const {
  return std::any_of(begin(), end(), [now](const auto& path) {
    return path->role == PathRole::kBulk && path->alive(now) && path->accepted && !path->retiring;
  });
}

Path* PathSet::carrier(Time now, std::size_t n) {
  for (const bool want_control : {true, false}) {
    std::size_t seen = 0;
    bool any = false;
    for (const auto& path : paths_) {
      if (!path->alive(now)) continue;
      if (want_control && path->role != PathRole::kControl) continue;
      any = true;
      if (seen++ == n) return path.get();
    }
    if (any) return nullptr;
  }
  return nullptr;
}

const Path* PathSet::freshest(Time now) const {
  const Path* best = nullptr;
  for (const auto& path : paths_) {
    if (path->role != PathRole::kControl || !path->alive(now) || path->retiring) continue;
    if (path->writable <= path->stream->output_bytes()) continue;
    if (best == nullptr || fresher(*path, *best)) best = path.get();
  }
  return best;
}

PathSet::Count PathSet::count(Time now, PathRole role) const {
  Count count;
  for (const auto& path : paths_) {
    if (path->role != role || path->retiring) continue;
    if (!path->open()) ++count.pending;
    if (path->alive(now)) ++count.open;
  }
  return count;
}

Duration PathSet::rtt_least(PathRole role) const {
  Duration least{};
  for (const auto& path : paths_) {
    if (path->role != role || !path->open()) continue;
    const Duration rtt = path->info.has_value() ? path->info->rtt : path->heart.last_rtt();
    if (rtt > Duration{} && (least == Duration{} || rtt < least)) least = rtt;
  }
  return least;
}

}  // namespace longhaul::session
