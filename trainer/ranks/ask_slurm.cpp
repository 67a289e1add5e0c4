#include "trainer/ranks/ask_slurm.hpp"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <chrono>
#include <cstring>
#include <ctime>
#include <string>
#include <utility>
#include <vector>

#include "trainer/grace.hpp"

namespace longhaul::trainer {
namespace {

using Clock = std::chrono::steady_clock;
constexpr std::size_t kAnswerMax = 256U << 10;
constexpr std::chrono::seconds kAnswerWithin{3};

// Times as seconds since 1970, whatever the user's own format.
std::vector<char*> environment_with(char* time_format) {
  std::vector<char*> out = {time_format};
  for (char** at = environ; *at != nullptr; ++at)
    if (std::strncmp(*at, "SLURM_TIME_FORMAT=", 18) != 0) out.push_back(*at);
  out.push_back(nullptr);
  return out;
}

// All that it says until it closes its end; cut short at `until`, when it is killed.
std::string read_all(int fd, Clock::time_point until, bool& in_time) {
  std::string text;
  std::array<char, 4096> piece{};
  for (;;) {
    const auto left = std::chrono::ceil<std::chrono::milliseconds>(until - Clock::now()).count();
    pollfd look{fd, POLLIN, 0};
    const int ready = left > 0 ? ::poll(&look, 1, static_cast<int>(left)) : 0;
    if (ready < 0 && errno == EINTR) continue;
    if (ready <= 0 || text.size() > kAnswerMax) break;
    const ssize_t got = ::read(fd, piece.data(), piece.size());
    if (got < 0 && errno == EINTR) continue;
    if (got <= 0) {
      in_time = got == 0;
      return text;
    }
    text.append(piece.data(), static_cast<std::size_t>(got));
  }
  in_time = false;
  return text;
}

// Its stdout; nullopt: there is no scontrol, it failed, or it was not done in time.
std::optional<std::string> scontrol(std::vector<std::string> words, Clock::time_point until) {
  std::array<int, 2> ends{-1, -1};
  if (::pipe2(ends.data(), O_CLOEXEC) != 0) return std::nullopt;
  std::string time_format = "SLURM_TIME_FORMAT=%s";
  const std::vector<char*> environment = environment_with(time_format.data());
  words.insert(words.begin(), "scontrol");
  std::vector<char*> arguments;
  for (std::string& word : words) arguments.push_back(word.data());
  arguments.push_back(nullptr);
  posix_spawn_file_actions_t actions;
  ::posix_spawn_file_actions_init(&actions);
  ::posix_spawn_file_actions_adddup2(&actions, ends[1], STDOUT_FILENO);
  ::posix_spawn_file_actions_addopen(&actions, STDERR_FILENO, "/dev/null", O_WRONLY, 0);
  pid_t child = -1;
  const int failed =
      ::posix_spawnp(&child, "scontrol", &actions, nullptr, arguments.data(), environment.data());
  ::posix_spawn_file_actions_destroy(&actions);
  ::close(ends[1]);
  bool in_time = false;
  std::string text;
  if (failed == 0) text = read_all(ends[0], until, in_time);
  ::close(ends[0]);
  if (failed != 0) return std::nullopt;
  if (!in_time) ::kill(child, SIGKILL);
  int status = 0;
  while (::waitpid(child, &status, 0) < 0 && errno == EINTR) continue;
  const bool went_well = in_time && WIFEXITED(status) && WEXITSTATUS(status) == 0;
  return went_well ? std::optional(std::move(text)) : std::nullopt;
}

}  // namespace

std::optional<Duration> ask_slurm_grace(const Lookup& variable) {
  const char* job = variable("SLURM_JOB_ID");
  if (job == nullptr || *job == '\0') return std::nullopt;
  const Clock::time_point until = Clock::now() + kAnswerWithin;
  const auto shown = scontrol({"show", "job", "-o", job}, until);
  if (!shown) return std::nullopt;
  const auto config = scontrol({"show", "config"}, until);
  return slurm_grace(*shown, config.value_or(""), static_cast<std::int64_t>(std::time(nullptr)));
}

}  // namespace longhaul::trainer
