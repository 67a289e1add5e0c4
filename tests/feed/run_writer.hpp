// RunWriter: the log of one attempt on a disk in memory, written as a training program's writer
// does.
#pragma once

#include <string>

#include "lib/feed/run_files.hpp"
#include "lib/run/command.hpp"
#include "lib/run/run_log.hpp"
#include "lib/store/files.hpp"

namespace longhaul::test {

class RunWriter {
 public:
  RunWriter(store::Files& files, const std::string& run, std::uint32_t attempt,
            std::string config = "{}", WallTime began = WallTime{1'000'000'000});
  void name(std::uint32_t series, std::string_view text);
  // One point of each series, at step, in one frame.
  void step(std::uint64_t step, std::uint32_t series = 1);
  void event(run::EventKind kind, std::uint64_t step, std::uint64_t id = 0, std::string text = {});
  void end(std::string why);
  void append(Bytes bytes);  // as they are
  void frame(const run::LogRecord& record) { append(log_.frame(record)); }
  std::uint64_t next() const { return log_.next(); }
  std::uint64_t bytes() const { return end_; }
  run::LogEncoder& log() { return log_; }
  // What a training program does between two steps: commands that wait in the run's folder are
  // carried out, each once, and their files go. How many took effect.
  std::uint64_t obey(store::Files& files, run::ControlBook& book, WallTime now, std::uint64_t step);
  static double value_at(std::uint32_t series, std::uint64_t step);

 private:
  store::TreeName folder_;  // of the run
  std::unique_ptr<store::File> file_;
  run::LogEncoder log_;
  std::uint64_t end_ = 0;
};

}  // namespace longhaul::test
