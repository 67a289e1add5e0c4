// Reporter: one attempt of a run, as longhaul.h shows it. The threads that train call log(), poll()
// and event(); a Writer on its own thread carries what they leave into the run log. Nothing here
// waits for that thread but close(), and that for a second.
#pragma once

#include <atomic>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <string>

#include "lib/client/mapping.hpp"
#include "lib/client/writer.hpp"
#include "lib/run/shared_log.hpp"

namespace longhaul::client {

struct ReporterOptions {
  std::string folder;
  std::string config = "{}";     // JSON
  std::string shared;            // on tmpfs; empty: $LONGHAUL_SHM, else /dev/shm
  std::uint32_t threads = 8;     // that may log
  bool forget_controls = false;  // settings of earlier attempts are not handed out again
};

class Reporter {
 public:
  static Result<std::unique_ptr<Reporter>> open(const ReporterOptions& options);
  ~Reporter();
  Reporter(const Reporter&) = delete;
  Reporter& operator=(const Reporter&) = delete;

  std::uint32_t attempt() const { return attempt_; }
  bool superseded() const { return writer_->superseded(); }

  run::SeriesId series(std::string_view name);
  void log(run::SeriesId series, std::uint64_t step, double value) noexcept;
  // At most kEventsMax wait; more are counted as dropped.
  void event(run::EventKind kind, std::uint64_t step, std::string text);

  std::optional<run::Command> poll(std::uint64_t step);
  void done(const run::Command& command, std::uint64_t step, run::EventKind how, std::string why);

  Counts counts() const;
  void close(std::string why);  // the last call

 private:
  Reporter(std::unique_ptr<Mapping> mapping, run::SharedLog shared);
  std::optional<run::RingProducer> ring() noexcept;

  const std::uint64_t serial_;  // tells this reporter from one that lay at the same address
  std::unique_ptr<Mapping> mapping_;
  run::SharedLog shared_;
  std::uint32_t attempt_ = 0;
  std::unique_ptr<Writer> writer_;

  std::mutex mutex_;  // names, and the giving of rings: taken once per series and thread
  std::map<std::string, run::SeriesId, std::less<>> names_;
};

}  // namespace longhaul::client
