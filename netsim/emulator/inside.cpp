#include "netsim/emulator/inside.hpp"

#include <sched.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>

namespace netsim::emulator {
namespace {

using longhaul::fail;
using longhaul::fail_errno;
using longhaul::Kind;

constexpr Duration kAnswerMost = std::chrono::seconds(5);
constexpr std::size_t kLineMax = 4096;

Result<Fd> enter_and_open(const Emulator& emulator, std::size_t side,
                          const std::function<Result<Fd>()>& open) {
  if (emulator.spaces.user) TRY(enter(*emulator.spaces.user, CLONE_NEWUSER));
  TRY(enter(emulator.spaces.hosts.at(side), CLONE_NEWNET));
  return open();
}

}  // namespace

Result<Fd> open_inside(const Emulator& emulator, std::size_t side,
                       const std::function<Result<Fd>()>& open) {
  auto [ours, theirs] = TRY(Channel::pair());
  const pid_t pid = ::fork();
  if (pid < 0) return fail_errno("start a process", errno);
  if (pid == 0) {
    const auto fd = enter_and_open(emulator, side, open);
    const int number = fd ? fd->get() : -1;
    if (fd)
      (void)theirs.send_line("", std::span(&number, 1));
    else
      (void)theirs.send_line(fd.error().message());
    ::_exit(0);
  }
  theirs.close();
  const auto problem = ours.wait_line(kAnswerMost, kLineMax);
  ::waitpid(pid, nullptr, 0);
  if (!problem) return fail(problem.error());
  auto fds = ours.take_fds();
  if (fds.empty()) return fail(Kind::kBusy, "work inside the link", *problem);
  return std::move(fds[0]);
}

}  // namespace netsim::emulator
