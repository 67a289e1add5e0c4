// Tail: the newest of a run, whatever lies behind: newest value of each series, new records that
// are no points, a new attempt. It reads the end of the newest attempt's log, and its beginning for
// the names of series, never the middle: a log of gigabytes costs it half a megabyte. What it jumps
// over stands in the history.
//
// It lives in a job while it reads and with the feeder between; it is one watch's own.
#pragma once

#include <map>
#include <optional>
#include <set>
#include <vector>

#include "lib/base/job.hpp"
#include "lib/run/run_log.hpp"
#include "lib/store/files.hpp"
#include "lib/wire/feed.hpp"

namespace longhaul::feed {

class Tail {
 public:
  // `files` outlives it. first: an attempt whose beginning is wanted; 0: none.
  Tail(store::Files& files, store::TreeName folder, std::uint32_t first = 0)
      : files_(files), folder_(std::move(folder)), first_(first) {}

  // Reads what is new. kNotFound: there is no such run. kChanged: it was removed, and another was
  // begun under its name; it is seen within kReadsPerRound reads.
  Result<> read();

  std::uint32_t attempt() const { return attempt_; }
  std::uint64_t recorded() const { return recorded_; }
  std::uint64_t offset() const { return offset_ + (decoder_ ? decoder_->whole_bytes() : 0); }
  WallTime wrote() const { return wrote_; }
  const std::map<std::uint32_t, wire::LiveValue>& values() const { return values_; }
  std::uint32_t first() const { return first_; }
  const std::optional<WallTime>& began() const { return began_; }  // that attempt; once read
  // Newest values of the newest attempt: of each group (a series' id / kLiveGroupMax) in which one
  // changed since the last call, all of them. Made where the reading is: there may be 8,192.
  using Group = wire::List<wire::LiveValue, wire::kLiveGroupMax>;
  std::map<std::uint32_t, Group> take_fresh() { return std::exchange(fresh_, {}); }
  // New since the last call.
  std::vector<run::LogEntry> take_entries() { return std::exchange(entries_, {}); }
  // Sizes of the logs of attempts that may have grown: of the newest each time, of the others now
  // and then.
  const std::vector<std::pair<std::uint32_t, std::uint64_t>>& sizes() const { return sizes_; }
  bool grew() const { return grew_; }  // the last read() found something

 private:
  Result<> read_all();
  void read_beginning();
  Result<std::unique_ptr<store::File>> open_log();  // of attempt_
  Result<> see_the_same(store::File& file) const;
  Result<> open_newest(std::uint32_t attempt);
  Result<> jump(store::File& file, std::uint64_t size);
  void go_to(std::uint64_t offset);
  Result<> read_on(store::File& file, std::uint64_t size);
  void take(run::LogEntry& entry);

  store::Files& files_;
  const store::TreeName folder_;
  const std::uint32_t first_;
  std::optional<WallTime> began_;
  std::uint32_t attempt_ = 0;
  std::uint64_t offset_ = 0, read_ = 0;  // where decoder_ began; bytes fed to it
  std::optional<run::LogDecoder> decoder_;
  std::optional<WallTime> start_;  // of the newest attempt, as its log says
  bool replaced_ = false;          // and then said otherwise
  std::uint64_t recorded_ = 0;
  WallTime wrote_;
  std::map<std::uint32_t, wire::LiveValue> values_;
  std::set<std::uint32_t> groups_;  // changed in this read()
  std::map<std::uint32_t, Group> fresh_;
  std::vector<run::LogEntry> entries_;
  std::vector<std::pair<std::uint32_t, std::uint64_t>> sizes_;
  std::uint64_t reads_ = 0;
  bool grew_ = false;
};

class TailWork final : public Work {
 public:
  explicit TailWork(std::unique_ptr<Tail> held) : tail(std::move(held)) {}
  void run() override {
    if (auto done = tail->read(); !done) error = done.error();
  }
  std::unique_ptr<Tail> tail;
  std::optional<Error> error;
};

}  // namespace longhaul::feed
