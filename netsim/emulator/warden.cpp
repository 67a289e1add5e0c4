#include "netsim/emulator/warden.hpp"

#include <dirent.h>
#include <fcntl.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/signalfd.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <charconv>
#include <cstdio>
#include <cstring>
#include <fstream>
#include <span>

#include "netsim/emulator/capabilities.hpp"
#include "netsim/emulator/socket_clamp.hpp"

namespace netsim::emulator {
namespace {

using longhaul::fail_errno;

constexpr int kOwnFailure = 125, kCannotRun = 126, kNotFound = 127;
constexpr std::size_t kLineMax = 64;

int code_of(int status) {
  return WIFSIGNALED(status) ? 128 + WTERMSIG(status) : WEXITSTATUS(status);
}

// Parent of process `pid`, from /proc/PID/stat: "pid (name) state ppid ..".
pid_t parent_of(const std::string& pid) {
  std::ifstream file("/proc/" + pid + "/stat");
  std::string line;
  std::getline(file, line);
  const auto name_end = line.rfind(") ");
  if (name_end == std::string::npos || line.size() < name_end + 5) return -1;
  pid_t parent = -1;
  const char* begin = line.data() + name_end + 4;
  std::from_chars(begin, line.data() + line.size(), parent);
  return parent;
}

std::vector<pid_t> children() {
  std::vector<pid_t> out;
  DIR* proc = ::opendir("/proc");
  if (proc == nullptr) return out;
  while (const dirent* entry = ::readdir(proc)) {
    const std::string name = entry->d_name;
    if (name[0] < '0' || name[0] > '9') continue;
    pid_t pid = -1;
    std::from_chars(name.data(), name.data() + name.size(), pid);
    if (pid > 0 && parent_of(name) == ::getpid()) out.push_back(pid);
  }
  ::closedir(proc);
  return out;
}

[[noreturn]] void say_and_exit(const char* what, const std::string& name, int code) {
  std::fprintf(stderr, "netsim: %s %s: %s\n", what, name.c_str(), std::strerror(errno));
  ::_exit(code);
}

// In the new process: becomes the command.
[[noreturn]] void be_command(const Command& command, Channel& warden) {
  ::prctl(PR_SET_PDEATHSIG, SIGKILL);
  if (command.user_namespace >= 0 && ::setns(command.user_namespace, CLONE_NEWUSER) != 0)
    say_and_exit("enter", "the user namespace", kOwnFailure);
  if (command.net_namespace >= 0 && ::setns(command.net_namespace, CLONE_NEWNET) != 0)
    say_and_exit("enter", "the network namespace", kOwnFailure);
  const bool inside = command.user_namespace >= 0;
  if (command.drop_capabilities ? !drop_capabilities() : inside && !keep_capabilities())
    say_and_exit("set", "capabilities", kOwnFailure);
  if (command.clamp_sockets) {
    const Fd listener = install_socket_clamp();
    const int fd = listener.get();
    if (!listener || !warden.send_line("clamp", std::span(&fd, 1)))
      say_and_exit("limit", "socket buffers (seccomp)", kOwnFailure);
  }
  for (const auto& [name, value] : command.environment) ::setenv(name.c_str(), value.c_str(), 1);
  std::vector<char*> argv;
  for (const std::string& word : command.argv) argv.push_back(const_cast<char*>(word.c_str()));
  argv.push_back(nullptr);
  ::signal(SIGPIPE, SIG_DFL);
  sigset_t none;
  ::sigemptyset(&none);
  ::sigprocmask(SIG_SETMASK, &none, nullptr);
  ::execvp(argv[0], argv.data());
  say_and_exit("run", command.argv[0], errno == ENOENT ? kNotFound : kCannotRun);
}

// Reaps what has ended; the command's exit code if it was among them.
std::optional<int> reap(pid_t command) {
  std::optional<int> code;
  for (;;) {
    int status = 0;
    const pid_t ended = ::waitpid(-1, &status, WNOHANG);
    if (ended <= 0) return code;
    if (ended == command) code = code_of(status);
  }
}

// What the warden listens to beside its signals. The clamp's listener comes from the command.
class WardenEars {
 public:
  WardenEars(Channel& owner, Channel& command) : owner_(owner), command_(command) {
    sigset_t ends;
    ::sigemptyset(&ends);
    ::sigaddset(&ends, SIGCHLD);
    signals_ = Fd(::signalfd(-1, &ends, SFD_CLOEXEC | SFD_NONBLOCK));
  }
  // Waits; passes signals from the owner on to `child`. False: the owner is gone.
  bool listen(pid_t child) {
    pollfd polled[] = {{owner_.fd(), POLLIN, 0},
                       {signals_.get(), POLLIN, 0},
                       {command_.fd(), POLLIN, 0},
                       {clamp_.get(), POLLIN, 0}};
    ::poll(polled, 4, -1);
    signalfd_siginfo info;
    while (::read(signals_.get(), &info, sizeof info) == sizeof info) continue;
    if (polled[2].revents != 0) take_clamp();
    if ((polled[3].revents & POLLIN) != 0) (void)serve_socket_clamp(clamp_);
    if ((polled[3].revents & POLLHUP) != 0) clamp_.reset();
    if (polled[0].revents == 0) return true;
    const bool gone = owner_.fill(kLineMax) == Channel::State::kGone;
    while (const auto line = owner_.next_line()) ::kill(child, std::atoi(line->c_str()));
    return !gone;
  }

 private:
  void take_clamp() {
    (void)command_.fill(kLineMax);
    for (Fd& fd : command_.take_fds()) clamp_ = std::move(fd);
    command_.close();
  }
  Channel& owner_;
  Channel& command_;
  Fd signals_, clamp_;
};

[[noreturn]] void be_warden(const Command& command, Channel owner) {
  ::prctl(PR_SET_NAME, "netsim-warden");
  adopt_orphans();
  sigset_t all;
  ::sigfillset(&all);
  for (const int stop : {SIGTSTP, SIGTTIN, SIGTTOU}) ::sigdelset(&all, stop);
  ::sigprocmask(SIG_SETMASK, &all, nullptr);
  auto ends = Channel::pair();
  std::optional<int> code = ends ? std::nullopt : std::optional(kOwnFailure);
  const pid_t child = ends ? ::fork() : -1;
  if (child == 0) {
    ends->first.close();
    be_command(command, ends->second);
  }
  if (child < 0) {
    code = kOwnFailure;
  } else {
    ends->second.close();
    WardenEars ears(owner, ends->first);
    while (!code) {
      const bool owned = ears.listen(child);
      code = reap(child);
      if (!code && !owned) code = 128 + SIGKILL;
    }
  }
  kill_children({});
  (void)owner.send_line(std::to_string(*code));
  ::_exit(0);
}

}  // namespace

void adopt_orphans() {
  ::prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0);
}

void kill_children(const std::vector<pid_t>& spared) {
  for (;;) {
    std::vector<pid_t> left = children();
    std::erase_if(left, [&](pid_t pid) {
      return std::find(spared.begin(), spared.end(), pid) != spared.end();
    });
    if (left.empty()) return;
    for (const pid_t pid : left) ::kill(pid, SIGKILL);
    for (const pid_t pid : left) ::waitpid(pid, nullptr, 0);  // its children are ours now
  }
}

Result<Warden> Warden::start(const Command& command) {
  auto [ours, theirs] = TRY(Channel::pair());
  sigset_t mask, all;
  ::sigfillset(&all);
  ::sigprocmask(SIG_SETMASK, &all, &mask);  // no signal may hit between fork and set-up
  const pid_t pid = ::fork();
  if (pid == 0) {
    ours.close();
    be_warden(command, std::move(theirs));
  }
  const int os = errno;
  ::sigprocmask(SIG_SETMASK, &mask, nullptr);
  if (pid < 0) return fail_errno("start a process", os);
  return Warden(pid, std::move(ours));
}

void Warden::signal(int number) {
  (void)channel_.send_line(std::to_string(number));
}

std::optional<int> Warden::status() {
  if (status_) return status_;
  const bool gone = channel_.fill(kLineMax) == Channel::State::kGone;
  if (const auto line = channel_.next_line())
    status_ = std::atoi(line->c_str());
  else if (gone)
    status_ = 128 + SIGKILL;  // killed itself: what it kept is with us now
  if (status_) ::waitpid(pid_, nullptr, 0);
  return status_;
}

}  // namespace netsim::emulator
