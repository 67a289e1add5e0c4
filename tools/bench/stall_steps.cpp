// stall_steps: a trainer's steps without a trainer: the same sums over the same memory in each,
// timed; 20 points logged and commands asked for at each, if it has a run. The thread that trains
// is on one core, the library's writer on another.
//
//   stall_steps --calibrate MS             how much work is a step of so long
//   stall_steps --work N [--core C] [--run FOLDER --shared TMPFS]
//
// Reads turns from its input, a number of seconds a line; steps for so long; answers with a line of
// JSON for each: the turn's times, and what the run counted so far.
#include <fmt/format.h>
#include <sched.h>

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <ctime>
#include <iostream>
#include <string>
#include <string_view>
#include <vector>

#include "lib/client/longhaul.h"
#include "tools/bench/measure.hpp"

namespace {

constexpr int kSeries = 20;
constexpr std::size_t kFloats = 256U << 10;  // 1 MiB: a core's own cache

double seconds(clockid_t clock = CLOCK_MONOTONIC) {
  timespec now{};
  clock_gettime(clock, &now);
  return static_cast<double>(now.tv_sec) + static_cast<double>(now.tv_nsec) / 1e9;
}

class Work {
 public:
  void step(int passes) {
    for (int pass = 0; pass < passes; ++pass) {
      for (std::size_t i = 0; i < kFloats; ++i) values_[i] = values_[i] * 0.999F + 0.001F;
      longhaul::bench::keep(values_);
    }
  }

 private:
  std::vector<float> values_ = std::vector<float>(kFloats, 1.0F);
};

struct Options {
  int calibrate_ms = 0, passes = 0, core = -1;
  std::string run, shared;
};

class Logger {
 public:
  explicit Logger(const Options& options) {
    if (options.run.empty()) return;
    longhaul_options how{};
    how.size = sizeof how;
    how.folder = options.run.c_str();
    how.shared = options.shared.c_str();
    how.threads = 1;
    char why[256] = "";
    run_ = longhaul_open(&how, why, sizeof why);
    if (run_ == nullptr) {
      fmt::print(stderr, "stall_steps: {}\n", why);
      std::exit(1);
    }
    for (int i = 0; i < kSeries; ++i)
      series_[i] = longhaul_series(run_, fmt::format("train/number{}", i).c_str());
  }
  ~Logger() { longhaul_close(run_, "done"); }
  Logger(const Logger&) = delete;
  Logger& operator=(const Logger&) = delete;

  void step(std::uint64_t step) {
    if (run_ == nullptr) return;
    longhaul_command todo{};
    while (longhaul_poll(run_, step, &todo) != 0) {
      ++commands_;
      longhaul_done(run_, &todo, step, LONGHAUL_APPLIED, nullptr);
    }
    for (int i = 0; i < kSeries; ++i)
      longhaul_log(run_, series_[i], step, 1.0 / static_cast<double>(step + 1) + i);
  }
  longhaul_counts counts() const {
    longhaul_counts counts{};
    counts.size = sizeof counts;
    longhaul_status(run_, &counts);
    return counts;
  }
  std::uint64_t commands() const { return commands_; }

 private:
  longhaul_run* run_ = nullptr;
  std::uint32_t series_[kSeries] = {};
  std::uint64_t commands_ = 0;
};

void take_core(int core) {
  if (core < 0) return;
  cpu_set_t one;
  CPU_ZERO(&one);
  CPU_SET(static_cast<std::size_t>(core), &one);
  if (sched_setaffinity(0, sizeof one, &one) != 0) std::perror("stall_steps: its core");
}

int calibrate(int ms) {
  Work work;
  work.step(200);  // the clock speeds up
  double best = 1e9;
  for (int i = 0; i < 20; ++i) {
    const double began = seconds();
    work.step(20);
    best = std::min(best, (seconds() - began) / 20);
  }
  fmt::print("{}\n", std::max(1, static_cast<int>(ms / 1e3 / best)));
  return 0;
}

// Steps for so many seconds; the first five, in which caches fill again, are not timed.
void take_turn(double turn, int passes, Work& work, Logger& logger, std::uint64_t& step) {
  work.step(passes * 5);
  std::vector<double> steps;
  const double used = seconds(CLOCK_THREAD_CPUTIME_ID), began = seconds();
  double before = began;
  while (before - began < turn) {
    work.step(passes);
    logger.step(step++);
    const double now = seconds();
    steps.push_back((now - before) * 1e3);
    before = now;
  }
  const auto count = static_cast<double>(steps.size());
  const double processor = seconds(CLOCK_THREAD_CPUTIME_ID) - used;
  const double most = *std::max_element(steps.begin(), steps.end());
  const longhaul_counts counts = logger.counts();
  fmt::print(
      "{{\"steps\":{},\"mean_ms\":{:.5f},\"processor_ms\":{:.5f},\"most_ms\":{:.5f},"
      "\"all_steps\":{},\"dropped\":{},\"commands\":{}}}\n",
      steps.size(), (before - began) * 1e3 / count, processor * 1e3 / count, most, step,
      counts.dropped, logger.commands());
  std::fflush(stdout);
}

int measure(const Options& options) {
  Logger logger(options);   // its thread stays on the cores that this process was given
  take_core(options.core);  // and this one moves away
  Work work;
  std::uint64_t step = 0;
  for (double turn = 0; std::cin >> turn;) take_turn(turn, options.passes, work, logger, step);
  return 0;
}

}  // namespace

int main(int argc, char** argv) {
  Options options;
  for (int i = 1; i + 1 < argc; i += 2) {
    const std::string_view word = argv[i];
    const char* value = argv[i + 1];
    if (word == "--calibrate") options.calibrate_ms = std::atoi(value);
    if (word == "--work") options.passes = std::atoi(value);
    if (word == "--core") options.core = std::atoi(value);
    if (word == "--run") options.run = value;
    if (word == "--shared") options.shared = value;
  }
  if (options.calibrate_ms > 0) return calibrate(options.calibrate_ms);
  if (options.passes <= 0) {
    fmt::print(stderr, "stall_steps: --calibrate MS, or --work N\n");
    return 2;
  }
  return measure(options);
}
