// Announced: the checkpoints that a run's programs said are whole (docs/run.md, event 5), found in
// its run logs. A checkpoint is a folder below the run's; its program names it by a path of its
// own, of which the longest end that is a folder there counts. One that is announced again, by a
// newer attempt or the same, is that one from then on. Blocks on the disk: for jobs.
#pragma once

#include <optional>
#include <string_view>
#include <vector>

#include "lib/run/run_log.hpp"
#include "lib/store/files.hpp"

namespace longhaul::checkpoint {

constexpr std::size_t kAnnouncedMax = 10'000;  // the newest are kept

struct Announced {
  std::uint32_t attempt = 0;
  std::uint64_t step = 0;
  WallTime at;
  std::string path;  // as it was announced
};

// Reads a run's logs, the oldest attempt first, in portions.
class AnnouncedReader {
 public:
  // folder: the run's. The files outlive it.
  AnnouncedReader(store::Files& files, store::TreeName folder)
      : files_(files), folder_(std::move(folder)) {}
  enum class Progress : std::uint8_t { kMore, kDone };
  // Reads about `most` bytes on. kNotFound: there is no such run.
  Result<Progress> step(std::uint64_t most);
  // In the order in which they were announced; one of each step, the newest.
  std::vector<Announced> take();

 private:
  void note(std::uint32_t attempt, const run::LogEntry& entry);

  store::Files& files_;
  const store::TreeName folder_;
  std::uint32_t attempt_ = 0, newest_ = 0;  // of them `attempt_` is being read; 0: none yet
  std::uint64_t offset_ = 0;
  run::LogDecoder decoder_;
  std::vector<Announced> found_;
};

// The folder that was announced as `path`, seen from the files' root; nullopt: it is not there.
std::optional<store::TreeName> find_announced(store::Files& files, const store::TreeName& run,
                                              std::string_view path);

}  // namespace longhaul::checkpoint
