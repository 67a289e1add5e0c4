// Garbage: what nobody can reach any more. A removed version is gone at once (Root::remove); here
// go what the index says of it, and stagings that no transfer came back for.
#pragma once

#include "lib/store/chunk_index.hpp"
#include "lib/store/version.hpp"

namespace longhaul::store {

// Removes the version and makes the index forget it; chunks that the newest remaining version of
// the dataset also has stay known.
Result<> remove_version(Root& root, ChunkIndex& index, const DatasetName& dataset,
                        VersionNo version);

struct Collected {
  std::uint64_t stagings = 0;
};
// Removes stagings last touched before `older_than` in which no transfer is at work, and locks that
// guard nothing any more. Goes on past one that cannot be removed; then the first error is the
// result.
Result<Collected> collect_staging(Files& files, WallTime older_than);

}  // namespace longhaul::store
