#include "lib/doctor/machine.hpp"

#include <fcntl.h>
#include <fmt/chrono.h>
#include <fmt/format.h>
#include <linux/openat2.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <charconv>
#include <ctime>
#include <fstream>
#include <sstream>

namespace longhaul::doctor {
namespace {

// A session has up to 64 connections, a site several sessions, each with files of its store open.
constexpr std::uint64_t kFilesLeast = 256, kFilesEnough = 1024;
constexpr std::uint64_t kWatchesEnough = 65'536;  // one a folder that --watch looks at
// New York - Asuncion. A connection carries at most its buffer a round trip; half of it is data.
constexpr double kRttSeconds = 0.18;
constexpr double kRateWanted = 100e6 / 8;  // a connection that carries this fills any link with few
constexpr std::int64_t kYear2025 = 1'735'689'600;  // before it no release of this program existed
constexpr std::int64_t kYear2100 = 4'102'444'800;

std::string read_line(const std::string& path) {
  std::ifstream file(path);
  std::string line;
  std::getline(file, line);
  return line;
}

std::optional<std::uint64_t> last_number(const std::string& line) {
  std::istringstream words(line);
  std::optional<std::uint64_t> out;
  for (std::string word; words >> word;) {
    std::uint64_t value = 0;
    const auto [end, status] = std::from_chars(word.data(), word.data() + word.size(), value);
    if (status != std::errc{} || end != word.data() + word.size()) return std::nullopt;
    out = value;
  }
  return out;
}

bool openat2_works() {
  ::open_how how{};
  how.flags = O_PATH | O_CLOEXEC;
  how.resolve = RESOLVE_BENEATH;
  const long fd = ::syscall(SYS_openat2, AT_FDCWD, ".", &how, sizeof how);
  if (fd >= 0) ::close(static_cast<int>(fd));
  return fd >= 0;
}

bool has_word(const std::string& line, std::string_view wanted) {
  std::istringstream words(line);
  for (std::string word; words >> word;)
    if (word == wanted) return true;
  return false;
}

}  // namespace

Facts read_facts(const std::string& proc, WallTime now) {
  Facts facts;
  const std::string ipv4 = proc + "/sys/net/ipv4/";
  facts.congestion_control = read_line(ipv4 + "tcp_congestion_control");
  facts.congestion_controls = read_line(ipv4 + "tcp_allowed_congestion_control") + " " +
                              read_line(ipv4 + "tcp_available_congestion_control");
  facts.send_buffer_max = last_number(read_line(ipv4 + "tcp_wmem"));
  facts.receive_buffer_max = last_number(read_line(ipv4 + "tcp_rmem"));
  facts.watches_max = last_number(read_line(proc + "/sys/fs/inotify/max_user_watches"));
  ::rlimit limit{};
  if (::getrlimit(RLIMIT_NOFILE, &limit) == 0) {
    facts.files_max = limit.rlim_cur;
    facts.files_hard_max = limit.rlim_max;
  }
  facts.has_openat2 = openat2_works();
  facts.now = now;
  return facts;
}

Finding check_clock(const Facts& facts) {
  const std::int64_t seconds = facts.now.ns / 1'000'000'000;
  const std::string date =
      fmt::format("{:%Y-%m-%d %H:%M:%S} UTC", fmt::gmtime(std::time_t{seconds}));
  if (seconds >= kYear2025 && seconds < kYear2100) return ok("clock", date);
  return broken("clock", "it says " + date + ": invites would expire at the wrong time",
                "set it, and let a time service keep it (timedatectl set-ntp true)");
}

Finding check_congestion_control(const Facts& facts) {
  const char* const check = "congestion control";
  const std::string& used = facts.congestion_control;
  if (used.empty()) return warn(check, "unknown: /proc does not say", "mount /proc");
  if (used == "bbr") return ok(check, "bbr: random loss does not slow a connection down");
  if (has_word(facts.congestion_controls, "bbr"))
    return ok(check, used + ", and bbr is there: a connection asks for it");
  return warn(
      check, used + " without bbr: each loss slows a connection down, so more connections are used",
      "as root: modprobe tcp_bbr; echo tcp_bbr > /etc/modules-load.d/bbr.conf");
}

Finding check_buffers(const Facts& facts) {
  const char* const check = "tcp buffers";
  if (!facts.send_buffer_max || !facts.receive_buffer_max)
    return warn(check, "unknown: /proc does not say", "mount /proc");
  const std::uint64_t least = std::min(*facts.send_buffer_max, *facts.receive_buffer_max);
  const double rate = static_cast<double>(least) / 2 / kRttSeconds;
  const std::string found =
      fmt::format("at most {:.1f} MB: one connection carries up to {:.0f} Mbit/s at 180 ms",
                  static_cast<double>(least) / 1e6, rate * 8 / 1e6);
  if (rate >= kRateWanted) return ok(check, found);
  return warn(check, found + "; more connections make up for it",
              "as root: sysctl -w net.ipv4.tcp_rmem='4096 131072 33554432' "
              "net.ipv4.tcp_wmem='4096 131072 33554432'");
}

Finding check_descriptors(const Facts& facts) {
  const char* const check = "file descriptors";
  const std::string found = fmt::format("at most {}", facts.files_max);
  if (facts.files_max >= kFilesEnough) return ok(check, found);
  const std::string fix =
      facts.files_hard_max >= kFilesEnough
          ? fmt::format("before starting it: ulimit -n {}", kFilesEnough)
          : "ask the administrator for more (nofile in /etc/security/limits.conf)";
  if (facts.files_max < kFilesLeast)
    return broken(check, found + ": not enough for a session with all its connections", fix);
  return warn(check, found + ": enough for few sessions", fix);
}

Finding check_watches(const Facts& facts) {
  const char* const check = "inotify watches";
  if (!facts.watches_max) return warn(check, "unknown: /proc does not say", "mount /proc");
  const std::string found = fmt::format("at most {} folders can be watched", *facts.watches_max);
  if (*facts.watches_max >= kWatchesEnough) return ok(check, found);
  return warn(check, found,
              fmt::format("as root: sysctl -w fs.inotify.max_user_watches={}", kWatchesEnough));
}

Finding check_openat2(const Facts& facts) {
  if (facts.has_openat2)
    return ok("openat2", "names of peers are resolved by the kernel, beneath a root");
  return warn("openat2", "not there: names are walked one part at a time, as safe but slower",
              "a kernel from 5.6 on, or a container that allows the call");
}

std::vector<Finding> examine(const Facts& facts) {
  return {check_clock(facts),   check_congestion_control(facts),
          check_buffers(facts), check_descriptors(facts),
          check_watches(facts), check_openat2(facts)};
}

}  // namespace longhaul::doctor
