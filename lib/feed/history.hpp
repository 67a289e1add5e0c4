// HistoryWork: reads the next stretch of an attempt's run log and packs it as one History message.
// A stretch ends at a frame of the log, so that (attempt, number) says exactly what somebody has,
// and at rot: what was skipped stands between a message's `after` and `first`.
//
// unpack_history() is the way back. Both run in jobs: a full stretch is some milliseconds.
#pragma once

#include <optional>
#include <vector>

#include "lib/base/job.hpp"
#include "lib/run/run_log.hpp"
#include "lib/store/files.hpp"
#include "lib/wire/feed.hpp"

namespace longhaul::feed {

// A message holds fewer points than this and one frame of the log.
constexpr std::size_t kHistoryPoints = 32'768;

class HistoryWork final : public Work {
 public:
  enum class Trust : std::uint8_t { kOurs, kPeers };
  // `files` outlives it. A peer's `place.offset` is believed only as far as the log agrees.
  HistoryWork(store::Files& files, store::TreeName folder, wire::LogPlace place, Trust trust);
  void run() override;

  std::optional<wire::History> message;  // without its watch; nothing: no whole frame is there yet
  wire::LogPlace after;                  // where to go on
  std::optional<Error> error;

 private:
  Result<> read();
  Result<> seek(store::File& file);
  bool add(run::LogEntry& entry);
  void finish();

  store::Files& files_;
  const store::TreeName folder_;
  wire::LogPlace place_;
  const Trust trust_;
  ByteVector frames_;
  std::vector<run::Point> points_;
  std::uint64_t first_ = 0, next_ = 0;
  bool any_ = false;
};

// What it costs to hold, also when there is nothing in it.
inline std::size_t size_of(const wire::History& message) {
  return 512 + message.frames.size() + message.segment.size();
}

struct Unpacked {
  std::vector<run::LogEntry> entries;  // no points among them
  std::vector<run::Point> points;
};
// Frames of a log, one behind the other; kMalformed when they are not all whole, or hold points.
Result<std::vector<run::LogEntry>> unpack_frames(Bytes frames);
Result<Unpacked> unpack_history(const wire::History& message);

}  // namespace longhaul::feed
