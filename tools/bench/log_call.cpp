// log_call [--json] [--calls N] [--run FOLDER]: what longhaul_log costs the thread that trains,
// with the writer's thread at work behind it. Hot: bursts that the ring holds; cold: 96 MB touched
// between two calls. Each with the disk as it is, and with a disk that takes nothing more and a
// ring that is full. Bars: hot p50 40 ns, p99.9 150 ns; cold p50 400 ns, p99 1.5 us; no system
// call, no page fault. No streamer reads here; tools/bench/log-call has one that does, is stopped,
// or lost its laptop.
#include <fmt/format.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <csignal>
#include <cstdlib>
#include <ctime>
#include <filesystem>
#include <string>
#include <string_view>
#include <thread>
#include <vector>

#include "lib/client/longhaul.h"
#include "tools/bench/measure.hpp"

namespace {

namespace fs = std::filesystem;

constexpr int kSeries = 20;     // a step; the clock is read once for all
constexpr int kBurst = 20'000;  // calls between two rests; the ring holds 65,536 records
constexpr int kFill = 100'000;  // more than the ring holds
constexpr std::size_t kTouched = 96U << 20;

double nanoseconds() {
  timespec now{};
  clock_gettime(CLOCK_MONOTONIC, &now);
  return static_cast<double>(now.tv_sec) * 1e9 + static_cast<double>(now.tv_nsec);
}

class Run {
 public:
  explicit Run(const std::string& run) {
    const std::string shared = "/dev/shm";
    longhaul_options options{};
    options.size = sizeof options;
    options.folder = run.c_str();
    options.shared = shared.c_str();
    options.threads = 1;
    char why[256] = "";
    run_ = longhaul_open(&options, why, sizeof why);
    if (run_ == nullptr) {
      fmt::print(stderr, "log_call: {}\n", why);
      std::exit(1);
    }
    for (int i = 0; i < kSeries; ++i)
      series_[i] = longhaul_series(run_, fmt::format("train/number{}", i).c_str());
    for (int i = 0; i < kSeries; ++i) log();  // the first call of a thread takes its ring
  }
  ~Run() { longhaul_close(run_, "done"); }
  Run(const Run&) = delete;
  Run& operator=(const Run&) = delete;

  void log() {
    longhaul_log(run_, series_[calls_ % kSeries], static_cast<std::uint64_t>(calls_ / kSeries),
                 0.5);
    ++calls_;
  }
  longhaul_counts counts() const {
    longhaul_counts counts{};
    counts.size = sizeof counts;
    longhaul_status(run_, &counts);
    return counts;
  }

 private:
  longhaul_run* run_ = nullptr;
  std::uint32_t series_[kSeries] = {};
  int calls_ = 0;
};

struct Cost {
  double p50 = 0, p99 = 0, p999 = 0;  // ns a call, less two clock reads
  long faults = 0;                    // page faults of this thread in all calls
};

long faults() {
  rusage usage{};
  getrusage(RUSAGE_THREAD, &usage);
  return usage.ru_minflt + usage.ru_majflt;
}

template <class Between>  // done before every call, and not counted
Cost measure(int calls, Between&& between, Run* run) {
  std::vector<double> ns(static_cast<std::size_t>(calls), 1.0);  // its pages are there
  long seen = 0;
  for (int i = 0; i < calls; ++i) {
    between(i);
    const long before_faults = i % 64 == 0 ? faults() : 0;
    const double before = nanoseconds();
    if (run != nullptr) run->log();
    ns[static_cast<std::size_t>(i)] = nanoseconds() - before;
    if (i % 64 == 0) seen += faults() - before_faults;
  }
  std::sort(ns.begin(), ns.end());
  const auto at = [&](double q) { return ns[static_cast<std::size_t>(q * (calls - 1))]; };
  return {at(0.5), at(0.99), at(0.999), seen};
}

void rest(int i) {
  if (i % kBurst == kBurst - 1) std::this_thread::sleep_for(std::chrono::milliseconds(45));
}

Cost less(Cost cost, double clock) {
  for (double* value : {&cost.p50, &cost.p99, &cost.p999}) *value = std::max(0.0, *value - clock);
  return cost;
}

// A disk that is full, as the log's writer sees it: no file of this process may grow.
void limit_files(rlim_t bytes) {
  std::signal(SIGXFSZ, SIG_IGN);
  const rlimit limit{bytes, RLIM_INFINITY};
  setrlimit(RLIMIT_FSIZE, &limit);
}

// System calls of 100,000 log calls, counted by a filter that traps each of this thread's.
volatile std::sig_atomic_t g_trapped = 0;
int system_calls(const std::string& folder) {
  const int child = fork();
  if (child == 0) {
    Run run(folder);
    struct sigaction action {};
    action.sa_handler = [](int) { g_trapped = g_trapped + 1; };
    sigaction(SIGSYS, &action, nullptr);
    sock_filter code[] = {
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(seccomp_data, nr)),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_exit_group, 1, 0),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_rt_sigreturn, 0, 1),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_TRAP),
    };
    const sock_fprog program{5, code};
    prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
    if (prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program) != 0) _exit(200);
    for (int i = 0; i < kFill; ++i) run.log();
    const int calls = g_trapped;
    _exit(std::min(calls, 100));
  }
  int status = 0;
  waitpid(child, &status, 0);
  return WIFEXITED(status) && WEXITSTATUS(status) <= 100 ? WEXITSTATUS(status) : -1;
}

void print(const char* cell, const Cost& cost, bool hot, bool json) {
  const double bars[2] = {hot ? 40.0 : 400.0, hot ? 150.0 : 1500.0};
  const double high = hot ? cost.p999 : cost.p99;
  const char* name = hot ? "p999" : "p99";
  if (!json) {
    fmt::print("{:<18} p50 {:>5.0f} ns ({:.2f} of the bar)  {} {:>6.0f} ns ({:.2f})  faults {}\n",
               cell, cost.p50, cost.p50 / bars[0], name, high, high / bars[1], cost.faults);
    return;
  }
  fmt::print(
      "{{\"bench\":\"log-call\",\"cell\":\"{}\",\"p50_ns\":{:.0f},\"p50_of_bar\":{:.3f},"
      "\"{}_ns\":{:.0f},\"{}_of_bar\":{:.3f},\"page_faults\":{}}}\n",
      cell, cost.p50, cost.p50 / bars[0], name, high, name, high / bars[1], cost.faults);
}

}  // namespace

int main(int argc, char** argv) {
  bool json = false;
  int calls = 1'000'000, cold_calls = 600;
  std::string place;
  for (int i = 1; i < argc; ++i) {
    if (std::string_view(argv[i]) == "--json") json = true;
    if (std::string_view(argv[i]) == "--calls" && i + 1 < argc) calls = std::atoi(argv[++i]);
    if (std::string_view(argv[i]) == "--run" && i + 1 < argc) place = argv[++i];
  }
  std::string pattern = "/tmp/longhaul-log-call-XXXXXX";
  const fs::path folder = mkdtemp(pattern.data());
  if (place.empty()) place = folder / "run";
  const int trapped = system_calls(place);
  std::vector<unsigned char> cold(kTouched, 1);
  const auto touch = [&cold](int) {
    for (std::size_t k = 0; k < cold.size(); k += 64) cold[k] ^= 1;
    longhaul::bench::keep(cold);
  };
  const double clock = measure(
                           100'000, [](int) {}, nullptr)
                           .p50;
  const double cold_clock = measure(cold_calls, touch, nullptr).p50;  // the clock's page, cold too
  {
    Run run(place);
    print("hot", less(measure(calls, rest, &run), clock), true, json);
    print("cold", less(measure(cold_calls, touch, &run), cold_clock), false, json);
    const longhaul_counts before = run.counts();
    std::fflush(stdout);  // a file, perhaps
    limit_files(1);
    for (int i = 0; i < kFill; ++i) run.log();
    std::this_thread::sleep_for(std::chrono::milliseconds(1500));
    for (int i = 0; i < kFill; ++i) run.log();
    const Cost hot = less(measure(calls, rest, &run), clock);
    const Cost cold_full = less(measure(cold_calls, touch, &run), cold_clock);
    const longhaul_counts after = run.counts();
    limit_files(RLIM_INFINITY);
    print("hot, disk full", hot, true, json);
    print("cold, disk full", cold_full, false, json);
    if (json)
      fmt::print(
          "{{\"bench\":\"log-call\",\"cell\":\"whole\",\"system_calls\":{},\"dropped\":{},"
          "\"dropped_disk_full\":{},\"failed_writes\":{},\"clock_ns\":{:.0f},"
          "\"cold_clock_ns\":{:.0f}}}\n",
          trapped, before.dropped, after.dropped - before.dropped, after.failed_writes, clock,
          cold_clock);
    else
      fmt::print("system calls of {} calls: {}; turned away {}, on the full disk {}\n", kFill,
                 trapped, before.dropped, after.dropped - before.dropped);
  }
  fs::remove_all(folder);
}
