// Reporter: the port that takes a run's numbers. log() is a push: it must not block, allocate, call
// the system or throw, so that the training thread may call it every step. FileReporter is the one
// without a streamer: a thread writes RUN/metrics.jsonl, a line a step.
#pragma once

#include <array>
#include <atomic>
#include <condition_variable>
#include <cstdint>
#include <memory>
#include <mutex>
#include <string_view>
#include <thread>

#include "trainer/posix_file.hpp"

namespace longhaul::trainer {

enum class Series : std::uint8_t {
  kLoss,          // nats a token; where the gradient was taken
  kEvalLoss,      // nats a token, at the weights
  kGradientNorm,  // before clipping
  kRate,
  kTokensPerSecond,
  kSkipped,  // 1: the update was refused
};
inline constexpr std::size_t kSeriesCount = 6;
std::string_view name_of(Series series);

class Reporter {
 public:
  virtual ~Reporter() = default;
  virtual void log(Series series, std::uint64_t step, double value) noexcept = 0;
  // Something happened that a chart should mark; may take its time. text: one line.
  virtual void event(std::uint64_t step, std::string_view text) = 0;
};

class FileReporter final : public Reporter {
 public:
  static Result<std::unique_ptr<FileReporter>> open(const Path& path, std::uint64_t attempt);
  ~FileReporter() override;  // writes what is left
  void log(Series series, std::uint64_t step, double value) noexcept override;
  void event(std::uint64_t step, std::string_view text) override;
  std::uint64_t dropped() const { return dropped_.load(std::memory_order_relaxed); }
  std::uint64_t unwritten() const { return unwritten_.load(std::memory_order_relaxed); }

 private:
  struct Point {
    Series series;
    std::uint64_t step;
    double value;
  };
  static constexpr std::size_t kRing = 1U << 14;

  FileReporter(File file, std::uint64_t attempt);
  void run();
  bool drain();
  void write(std::string_view text);

  File file_;  // the writer's, but for events
  std::uint64_t attempt_;
  std::mutex file_mutex_;  // events against the writer; never taken by log()
  std::array<Point, kRing> ring_{};
  std::atomic<std::uint64_t> head_{0}, tail_{0}, dropped_{0}, unwritten_{0};
  std::atomic<bool> stopping_{false};
  std::mutex wake_mutex_;
  std::condition_variable wake_;
  std::thread thread_;
};

}  // namespace longhaul::trainer
