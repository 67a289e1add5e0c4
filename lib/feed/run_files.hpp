// Where a run keeps what the feed reads, below a site's root (docs/run.md, "The client"):
//
//   runs/RUN/log/000001.run   the run log of attempt 1
//   runs/RUN/control/ID.cmd   a command that waits
//
// A run's name is a path of at most kRunDepthMax components. Everything here blocks on the disk but
// for the names: it belongs into jobs. Paths are followed through no symbolic link.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "lib/store/files.hpp"
#include "lib/wire/feed.hpp"

namespace longhaul::feed {

constexpr std::size_t kRunDepthMax = 4;
constexpr std::uint32_t kAttemptsMax = 999'999;
// Of one run on a laptop, which a site could name without end.
constexpr std::size_t kAttemptsHeldMax = 65'536;

// kUsage: no run can have this name.
Result<store::TreeName> run_folder(std::string_view name);
// Drops the lines of a list whose name no run can have: a peer wrote them, and names become paths.
void drop_impossible(std::vector<wire::RunLine>& lines);
store::TreeName log_name(const store::TreeName& folder, std::uint32_t attempt);
// The newest attempt, counted from one that exists or 0. 0: the run has none.
std::uint32_t newest_attempt(store::Files& files, const store::TreeName& folder,
                             std::uint32_t from);
// Up to `most` bytes from `offset`; fewer at the end of the file.
Result<ByteVector> read_part(store::File& file, std::uint64_t offset, std::size_t most);

}  // namespace longhaul::feed
