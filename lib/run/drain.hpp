// Drain: carries points from a SharedLog's rings into frames of the run log, in step order, each
// exactly once: whoever drains after a crash reads in the log how far the one before came.
//
//   Drain drain(shared, log, resumed);           // on the writer's thread
//   while (auto frame = drain.next_frame()) {
//     file.append(*frame);                        // in the page cache: a kill -9 cannot lose it
//     drain.written();                            // now the rings may be overwritten
//   }
#pragma once

#include <optional>
#include <vector>

#include "lib/run/run_log.hpp"
#include "lib/run/shared_log.hpp"

namespace longhaul::run {

// What a log already holds of a shared log: fold every entry of the attempt into it, in order.
class Drained {
 public:
  void on_entry(const LogEntry& entry);
  std::uint32_t series() const { return series_; }
  const std::vector<Taken>& taken() const { return taken_; }
  const std::vector<TakenKept>& kept() const { return kept_; }
  std::uint64_t dropped() const { return dropped_; }
  bool ended() const { return ended_; }

 private:
  std::uint32_t series_ = 0;
  std::vector<Taken> taken_;
  std::vector<TakenKept> kept_;
  std::uint64_t dropped_ = 0;
  bool ended_ = false;
};

class Drain {
 public:
  // `shared` outlives it.
  Drain(SharedLog& shared, LogEncoder log, const Drained& drained = {});

  // The next frame to append: names of new series first, then points, then a new count of drops.
  // Nothing: all that was logged is in the log. One frame at a time: written() before the next.
  std::optional<ByteVector> next_frame();
  void written();
  void check() const;  // invariants
  // A record that does not come out of a ring, between two frames.
  ByteVector frame(const LogRecord& record) { return log_.frame(record); }
  const LogEncoder& log() const { return log_; }

 private:
  void claim();
  bool gather(Points& points);

  SharedLog& shared_;
  LogEncoder log_;
  std::vector<RingConsumer> rings_;
  Drained before_;
  std::uint32_t series_;
  std::uint64_t dropped_;
  std::optional<Points> pending_;  // taken from the rings, not yet in a frame
  bool unwritten_ = false;
};

}  // namespace longhaul::run
