// DemandPlaces: where in a Demand, or in a part of it, the chunks of a block stand. A value.
#pragma once

#include <cstdint>
#include <optional>
#include <vector>

#include "lib/wire/transfer.hpp"

namespace longhaul::transfer {

class DemandPlaces {
 public:
  static constexpr std::uint64_t kNone = ~std::uint64_t{0};

  struct Part {
    const std::vector<wire::ChunkRun>& runs;  // soonest first
    std::uint64_t first, end;                 // of their chunks, counted through
  };
  void clear() { runs_.clear(); }
  void take(const Part& part);
  // Of the block's chunk that stands first; nullopt: it has none of these.
  std::optional<std::uint64_t> place_of(const std::vector<wire::ChunkRun>& block) const;

 private:
  struct Run {
    std::uint64_t first, end;  // chunk numbers
    std::uint64_t place;       // of the first
  };
  std::vector<Run> runs_;  // by number; a peer's may overlap
};

}  // namespace longhaul::transfer
