#include "trainer/engine/polar_shares.hpp"

#include <algorithm>

namespace longhaul::trainer {

// Largest matrices first, each to the rank with the least to do so far.
PolarShares polar_shares(const ParameterLayout& layout, std::uint64_t ranks) {
  PolarShares out;
  std::int64_t first_row = 0;
  for (const MatrixGroup& group : layout.groups()) {
    for (std::int64_t k = 0; k < group.count; ++k) out.all.push_back({&group, k, first_row, 0, 0});
    first_row += group.count * group.rows;
  }
  std::stable_sort(out.all.begin(), out.all.end(), [](const PolarShare& a, const PolarShare& b) {
    return polar_cost(*a.group) > polar_cost(*b.group);
  });
  std::vector<double> load(ranks, 0);
  for (PolarShare& share : out.all) {
    const auto least = std::min_element(load.begin(), load.end());
    share.owner = static_cast<std::uint64_t>(least - load.begin());
    *least += polar_cost(*share.group);
  }
  std::stable_sort(out.all.begin(), out.all.end(), [](const PolarShare& a, const PolarShare& b) {
    if (a.owner != b.owner) return a.owner < b.owner;
    return a.group != b.group && a.group->offset < b.group->offset;
  });
  out.counts.assign(ranks, 0);
  std::uint64_t owner = 0;
  for (PolarShare& share : out.all) {
    // A rank's part is an even number of elements: two of bf16 travel as one float.
    if (share.owner != owner) out.size += out.size % 2;
    owner = share.owner;
    share.place = out.size;
    const std::int64_t elements = share.group->rows * share.group->columns;
    out.size += elements;
    out.counts[owner] += static_cast<std::size_t>(elements);
  }
  out.size += out.size % 2;
  for (std::size_t& count : out.counts) count += count % 2;
  return out;
}

}  // namespace longhaul::trainer
