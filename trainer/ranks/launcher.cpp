#include "trainer/ranks/launcher.hpp"

#include <fcntl.h>
#include <fmt/format.h>
#include <netinet/in.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <cstdlib>
#include <cstring>
#include <optional>

#include "lib/base/assert.hpp"

namespace longhaul::trainer {
namespace {

constexpr int kEndedBySignal = 5;  // cli::kLinkError
constexpr int kStopped = 130;      // cli::kInterrupted
constexpr int kLookMs = 50;
constexpr const char* kLauncher = "LONGHAUL_RANKS_LAUNCHER";

struct Child {
  pid_t pid = -1;
  bool running = true;
  int code = 0;
};

Result<std::pair<int, std::uint16_t>> open_listener() {  // on loopback, at any port
  const int fd = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  sockaddr_in at{};
  at.sin_family = AF_INET;
  at.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  socklen_t size = sizeof at;
  auto* generic = reinterpret_cast<sockaddr*>(&at);
  if (fd < 0 || ::bind(fd, generic, size) != 0 || ::listen(fd, 128) != 0 ||
      ::getsockname(fd, generic, &size) != 0)
    return fail_errno("open a socket for the ranks", errno);
  return std::pair(fd, ntohs(at.sin_port));
}

Result<Child> start(const Launch& work, std::uint64_t rank, int listener, std::uint16_t port) {
  std::vector<std::string> set = {fmt::format("RANK={}", rank),
                                  fmt::format("LOCAL_RANK={}", rank),
                                  fmt::format("WORLD_SIZE={}", work.ranks),
                                  "MASTER_ADDR=127.0.0.1",
                                  fmt::format("MASTER_PORT={}", port),
                                  fmt::format("{}={}", kLauncher, ::getpid())};
  if (rank == 0) set.push_back(fmt::format("LONGHAUL_RANKS_LISTENER={}", listener));
  std::vector<char*> environment, words;
  for (std::string& one : set) environment.push_back(one.data());
  for (char** at = environ; *at != nullptr; ++at) {
    bool replaced = false;
    for (const std::string& one : set)
      replaced = replaced || std::strncmp(*at, one.c_str(), one.find('=') + 1) == 0;
    if (!replaced) environment.push_back(*at);
  }
  environment.push_back(nullptr);
  std::string name = "longhaul-train";
  std::vector<std::string> arguments = work.arguments;
  words.push_back(name.data());
  for (std::string& argument : arguments) words.push_back(argument.data());
  words.push_back(nullptr);
  posix_spawn_file_actions_t actions;
  ::posix_spawn_file_actions_init(&actions);
  // Onto itself: it is kept in this one child.
  if (rank == 0) ::posix_spawn_file_actions_adddup2(&actions, listener, listener);
  Child child;
  const int failed = ::posix_spawn(&child.pid, "/proc/self/exe", &actions, nullptr, words.data(),
                                   environment.data());
  ::posix_spawn_file_actions_destroy(&actions);
  if (failed != 0) return fail_errno(fmt::format("start rank {}", rank), failed);
  return child;
}

void signal_all(std::span<const Child> children, int number) {
  for (const Child& child : children)
    if (child.running) ::kill(child.pid, number);
}

// Says how those ended that have; whether one did not end well.
bool reap(const Launch& work, std::vector<Child>& children) {
  bool died = false;
  for (std::size_t rank = 0; rank < children.size(); ++rank) {
    Child& child = children[rank];
    int status = 0;
    if (!child.running || ::waitpid(child.pid, &status, WNOHANG) != child.pid) continue;
    child.running = false;
    child.code = WIFEXITED(status) ? WEXITSTATUS(status) : kEndedBySignal;
    died = died || (child.code != 0 && child.code != kStopped);
    if (WIFSIGNALED(status))
      work.say(fmt::format("rank {} (process {}) was ended by signal {} ({})", rank, child.pid,
                           WTERMSIG(status), ::strsignal(WTERMSIG(status))));
  }
  return died;
}

}  // namespace

Result<int> launch(const Launch& work) {
  ASSERT(work.ranks > 1);
  const auto [listener, port] = TRY(open_listener());
  std::vector<Child> children;
  Result<> started;
  for (std::uint64_t rank = 0; started && rank < work.ranks; ++rank) {
    Result<Child> child = start(work, rank, listener, port);
    if (child) {
      children.push_back(*child);
    } else {
      started = fail(child.error());
      signal_all(children, SIGKILL);
    }
  }
  ::close(listener);
  using Clock = std::chrono::steady_clock;
  bool stopping = false, dying = false, parting = false;
  std::optional<Clock::time_point> until;             // of those that are left
  Clock::time_point tell = Clock::time_point::max();  // them to stop
  const auto any = [&] {
    return std::any_of(children.begin(), children.end(), [](const Child& c) { return c.running; });
  };
  while (any()) {
    if (reap(work, children) && !std::exchange(dying, true)) {
      if (!until) until = Clock::now() + work.grace;
      tell = Clock::now() + work.notice;
    }
    if (Clock::now() > tell) {
      tell = Clock::time_point::max();
      signal_all(children, SIGTERM);
    }
    if (!children[0].running && !std::exchange(parting, true)) until = Clock::now() + work.parting;
    if (work.stop_asked() && !std::exchange(stopping, true)) signal_all(children, SIGTERM);
    if (until && Clock::now() > *until) {
      work.say("the other ranks did not end: they are killed");
      signal_all(children, SIGKILL);
      until = Clock::now() + work.grace;
    }
    ::poll(nullptr, 0, kLookMs);
  }
  TRY(std::move(started));
  // Rank 0 ends well only after all steps were done by all; that it was told to stop because
  // another had died is no stop that somebody asked for.
  return dying && !stopping && children[0].code == kStopped ? kEndedBySignal : children[0].code;
}

void end_with_launcher() {
  const char* launcher = std::getenv(kLauncher);
  if (launcher == nullptr) return;
  ::prctl(PR_SET_PDEATHSIG, SIGTERM);  // as if it had been told to stop: it saves first
  if (fmt::to_string(::getppid()) != launcher) ::raise(SIGTERM);  // it has ended already
}

}  // namespace longhaul::trainer
