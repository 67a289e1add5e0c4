// Watching a run from a command: connects, watches, and connects anew when a session ends, going on
// where the history is; whoever uses it is told events and ticks and says when it has enough.
#pragma once

#include <memory>
#include <optional>
#include <string>

#include "lib/feed/run_model.hpp"
#include "proxy/app.hpp"
#include "proxy/connection.hpp"
#include "proxy/sites.hpp"

namespace longhaul::proxy {

// "SITE/RUN".
struct RunPlace {
  Site site;
  std::string run;
};
Result<RunPlace> find_run_place(App& app, const std::string& text);

// Why nothing comes, in words; nullopt: all is well.
std::optional<std::string> wait_reason(const Connection& connection, Time now);

class RunUser {
 public:
  virtual ~RunUser() = default;
  virtual void on_event(const feed::Event& event) = 0;
  // After events and at least once a tick. connection: null between two sessions.
  virtual void on_tick(Time now, Connection* connection) = 0;
  virtual bool done() const = 0;
  virtual void on_stop() {}  // Ctrl-C, before anything is ended
};

struct RunWatchOptions {
  bool past = true, live = true;
  bool persists = true;  // a session that ends is begun anew, once one has stood
  bool keeps = true;     // a mirror on the disk
  Duration tick = std::chrono::milliseconds(250);
  ConnectOptions connect;
};

// Where a run's history is kept: state/runs/SITE/RUN.
class RunWatch {
 public:
  RunWatch(App& app, RunPlace place, RunWatchOptions options)
      : app_(app), place_(std::move(place)), options_(options) {}
  // What the mirror holds is told first, as if it came. Ends when the user is done, or on Ctrl-C
  // (kInterrupted), or when the run or site refuses.
  io::Task<Result<>> run(RunUser& user);
  // Only what the mirror holds.
  io::Task<Result<>> read_kept(RunUser& user);
  const RunPlace& place() const { return place_; }
  wire::WatchId watch() const { return watch_; }

 private:
  io::Task<Result<>> load_mirror(RunUser& user);
  io::Task<Result<>> session(RunUser& user);
  std::optional<Result<>> hear(Connection& connection, RunUser& user);
  void note(const feed::Event& event);
  void stop(RunUser& user);
  void compare(std::uint32_t attempt, const std::vector<run::LogEntry>& entries);
  Error put_away();
  void drop_empty_mirror();

  App& app_;
  const RunPlace place_;
  const RunWatchOptions options_;
  std::unique_ptr<store::Files> folder_;
  std::unique_ptr<feed::Mirror> mirror_;
  std::map<std::uint32_t, wire::LogPlace> have_;
  wire::WatchId watch_;
  // When each attempt began. A run that was removed and begun anew under its name has other times.
  std::map<std::uint32_t, WallTime> began_;
  bool stood_ = false, stop_ = false, opened_ = false, other_ = false;
};

}  // namespace longhaul::proxy
