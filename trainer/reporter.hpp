// Reporter: the port between a run and whoever watches and steers it. The training thread calls it
// every step, so nothing here may block; log() is a push that allocates nothing and makes no system
// call. trainer/client implements it on longhaul.h. FileReporter is the one of a build that has
// nothing but LibTorch: a thread writes RUN/metrics.jsonl, a line a step and one for each mark, and
// nobody steers.
#pragma once

#include <array>
#include <atomic>
#include <condition_variable>
#include <cstdint>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>
#include <thread>
#include <vector>

#include "trainer/control.hpp"
#include "trainer/ledger.hpp"
#include "trainer/posix_file.hpp"

namespace longhaul::trainer {

enum class Series : std::uint8_t {
  kLoss,          // nats a token; where the gradient was taken
  kEvalLoss,      // nats a token, at the weights
  kGradientNorm,  // before clipping
  kRate,          // of the matrices
  kTokensPerSecond,
  kSkipped,     // 1: the update was refused
  kDeviceBusy,  // seconds of a step on a device, by its events, and between it and the last one
  kDeviceIdle,
  kLedger,  // and the kColumns - 1 after it: seconds of a step in each column of the ledger
};
inline constexpr std::size_t kSeriesCount = 8 + kColumns;
std::string_view name_of(Series series);  // "train/loss", "ledger/data" ..
inline Series series_of(Column column) {
  return static_cast<Series>(static_cast<std::size_t>(Series::kLedger) +
                             static_cast<std::size_t>(column));
}

class Reporter {
 public:
  virtual ~Reporter() = default;
  virtual std::uint64_t attempt() const = 0;  // this start's number, from 1
  virtual void log(Series series, std::uint64_t step, double value) noexcept = 0;
  virtual void mark(std::uint64_t step, std::string_view text) = 0;  // on the charts; one line
  // A checkpoint of `step` is whole and durable in `folder`; training goes on from one.
  virtual void checkpointed(std::uint64_t step, const Path& folder) = 0;
  virtual void resumed(std::uint64_t step, const Path& folder) = 0;
  // The next command; asked at each step until there is none. Every one given out is answered once,
  // with the step from which it holds, or why not.
  virtual std::optional<Command> poll(std::uint64_t /*step*/) { return std::nullopt; }
  virtual void answer(const Command& /*command*/, std::uint64_t /*step*/, const Result<>&) {}
  virtual bool superseded() const { return false; }  // a newer attempt of the run has begun
  virtual void end(std::string_view why) = 0;        // the last call but for untold()
  // What is missing from what was reported: numbers and words that came faster than they could be
  // written, and writes that failed (a full disk). Final after end().
  struct Untold {
    std::uint64_t dropped = 0, unwritten = 0;
  };
  virtual Untold untold() const { return {}; }
};

// Of a rank that nobody watches: rank 0 reports for all.
class SilentReporter final : public Reporter {
 public:
  std::uint64_t attempt() const override { return 0; }
  void log(Series, std::uint64_t, double) noexcept override {}
  void mark(std::uint64_t, std::string_view) override {}
  void checkpointed(std::uint64_t, const Path&) override {}
  void resumed(std::uint64_t, const Path&) override {}
  void end(std::string_view) override {}
};

struct RunOpening {
  Path run;
  std::string config;            // what it was started with, a JSON object
  bool forget_controls = false;  // what earlier attempts were told is not told again
  bool jsonl = false;            // RUN/metrics.jsonl too, where that is not all there is
};
using OpenReporter = std::function<Result<std::unique_ptr<Reporter>>(const RunOpening&)>;

class FileReporter final : public Reporter {
 public:
  // Begins the run's next attempt.
  static Result<std::unique_ptr<Reporter>> begin(const RunOpening& opening);
  // `newer`: what is there once this attempt is superseded; none: that is looked for elsewhere.
  static Result<std::unique_ptr<FileReporter>> open(const Path& path, std::uint64_t attempt,
                                                    std::optional<Path> newer = std::nullopt);
  ~FileReporter() override;  // writes what is left
  std::uint64_t attempt() const override { return attempt_; }
  void log(Series series, std::uint64_t step, double value) noexcept override;
  void mark(std::uint64_t step, std::string_view text) override;
  void checkpointed(std::uint64_t step, const Path& folder) override;
  void resumed(std::uint64_t step, const Path& folder) override;
  // Known a second after it has begun.
  bool superseded() const override { return superseded_.load(std::memory_order_relaxed); }
  void end(std::string_view) override { finish(); }  // all is written, or counted
  Untold untold() const override {
    return {dropped_.load(std::memory_order_relaxed), unwritten_.load(std::memory_order_relaxed)};
  }

 private:
  struct Point {
    Series series;
    std::uint64_t step;
    double value;
  };
  struct Words {
    std::uint64_t behind;  // so many points were logged before
    std::uint64_t step;
    std::string text;
  };
  static constexpr std::size_t kRing = 1U << 14;
  static constexpr std::size_t kMostWords = 1U << 10;  // waiting; more are dropped, and counted

  FileReporter(File file, std::uint64_t attempt, std::optional<Path> newer);
  void finish();
  void run();
  void drain();
  void add_points(std::uint64_t& tail, std::uint64_t end, std::string& text) const;
  void write(std::string text);
  void look_for_newer_attempt();

  File file_;                  // the writer's
  bool may_be_torn_ = true;    // its last line; the writer's
  std::optional<Path> newer_;  // the writer's
  std::uint64_t attempt_;
  std::mutex words_mutex_;  // held to put one in, or to take all out; never by log()
  std::vector<Words> words_;
  std::array<Point, kRing> ring_{};
  std::atomic<std::uint64_t> head_{0}, tail_{0}, dropped_{0}, unwritten_{0};
  std::atomic<bool> stopping_{false}, superseded_{false};
  std::mutex wake_mutex_;
  std::condition_variable wake_;
  std::thread thread_;
};

}  // namespace longhaul::trainer
