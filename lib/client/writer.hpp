// Writer: the thread behind a Reporter. Every 20 ms it carries the rings and the queued events into
// the run log, looks for commands, and once a second syncs the log, looks for a newer attempt,
// for older ones that died since this one began, and tries again what failed. It owns the log, the
// drain and the controls; the training side reaches it through a short queue under a mutex, and
// through two atomics.
#pragma once

#include <atomic>
#include <condition_variable>
#include <deque>
#include <mutex>
#include <optional>
#include <thread>

#include "lib/client/run_folder.hpp"
#include "lib/run/drain.hpp"

namespace longhaul::client {

constexpr std::size_t kEventsMax = 1024;

struct Counts {
  std::uint64_t logged = 0;  // records in the log of this attempt
  std::uint64_t dropped = 0;
  std::uint64_t failed_writes = 0;
  int last_errno = 0;
};

class Writer {
 public:
  // What `shared` lies in outlives it. Writes `start` before anything else.
  Writer(RunFolder folder, LogFile log, run::SharedLog shared, Past past, bool hand_out_in_force,
         const run::Start& start);
  ~Writer();
  Writer(const Writer&) = delete;
  Writer& operator=(const Writer&) = delete;

  void event(run::RunEvent event);
  bool anything_to_poll() const { return pending_.load(std::memory_order_relaxed) > 0; }
  std::optional<run::Command> poll(WallTime now, std::uint64_t step);
  void done(WallTime now, std::uint64_t step, const run::Command& command, run::EventKind how,
            std::string why);
  bool superseded() const { return superseded_.load(std::memory_order_relaxed); }
  Counts counts() const;
  // Writes what is left; false: it was not done after `patience`, and the thread goes on alone.
  bool close(run::End end, std::chrono::milliseconds patience);

 private:
  void loop();
  bool turn();    // one look at everything; false: a write failed
  void second();  // what is due once a second
  bool write(ByteVector frame);
  bool write_rings();
  bool write_events();
  void look_for_commands(WallTime now);

  const RunFolder folder_;
  std::vector<std::uint32_t> at_work_;  // earlier attempts whose last points are still to come
  LogFile log_;
  run::SharedLog shared_;
  run::Drain drain_;
  ByteVector unwritten_;  // a frame that failed; nothing may pass it
  bool from_rings_ = false;

  mutable std::mutex mutex_;  // from here to `finished_`
  std::condition_variable wake_, done_;
  std::deque<run::RunEvent> events_;
  run::ControlBook controls_;
  std::deque<run::Command> again_;  // settings in force, to be applied anew
  std::uint64_t step_ = 0;          // of the last poll
  std::optional<run::End> end_;
  std::uint64_t events_dropped_ = 0;
  bool closing_ = false, finished_ = false;

  std::atomic<std::uint32_t> pending_{0};
  std::atomic<bool> superseded_{false};
  std::atomic<std::uint64_t> logged_{0}, failed_{0};
  std::atomic<int> errno_{0};
  const std::uint32_t attempt_;
  std::thread thread_;
};

}  // namespace longhaul::client
