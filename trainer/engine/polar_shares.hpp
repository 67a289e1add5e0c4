// PolarShares: which rank makes the polar factor of which matrix, and where that factor lies in the
// buffer that ranks gather them in. A pure function of layout and ranks: the same at every rank.
#pragma once

#include <cstdint>
#include <vector>

#include "trainer/parameters.hpp"

namespace longhaul::trainer {

struct PolarShare {
  const MatrixGroup* group;  // of the layout, which outlives this
  std::int64_t k;            // the matrix, in its group
  std::int64_t first_row;    // of its group, among the rows of all matrices
  std::int64_t place;        // of its factor's first element in the buffer
  std::uint64_t owner;       // the rank
};

struct PolarShares {
  std::vector<PolarShare> all;      // by owner; of one owner, by group and then by k
  std::vector<std::size_t> counts;  // elements of each rank, one behind the other; even numbers
  std::int64_t size = 0;            // elements of the buffer
};

PolarShares polar_shares(const ParameterLayout& layout, std::uint64_t ranks);

}  // namespace longhaul::trainer
