#include "lib/transfer/demand_places.hpp"

#include <algorithm>

namespace longhaul::transfer {

void DemandPlaces::take(const Part& part) {
  runs_.clear();
  std::uint64_t place = 0;
  for (const wire::ChunkRun& run : part.runs) {
    const std::uint64_t from = std::max(part.first, place),
                        to = std::min(part.end, place + run.count);
    if (from < to) runs_.push_back({run.first + (from - place), run.first + (to - place), from});
    place += run.count;
  }
  std::sort(runs_.begin(), runs_.end(),
            [](const Run& a, const Run& b) { return a.first < b.first; });
}

std::optional<std::uint64_t> DemandPlaces::place_of(
    const std::vector<wire::ChunkRun>& block) const {
  std::optional<std::uint64_t> least;
  for (const wire::ChunkRun& run : block) {
    // Where runs are apart, as an honest peer's, those before the first that ends behind it are
    // too.
    auto at = std::partition_point(runs_.begin(), runs_.end(),
                                   [&](const Run& other) { return other.end <= run.first; });
    for (; at != runs_.end() && at->first < run.first + run.count; ++at) {
      const std::uint64_t place = at->place + (std::max(run.first, at->first) - at->first);
      least = std::min(least.value_or(place), place);
    }
  }
  return least;
}

}  // namespace longhaul::transfer
