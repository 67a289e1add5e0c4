#include "netsim/emulator/supervisor.hpp"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include <algorithm>
#include <array>

#include "netsim/settings.hpp"

namespace netsim::emulator {
namespace {

constexpr std::array kPassedOn{SIGHUP, SIGINT, SIGQUIT, SIGTERM, SIGUSR1, SIGUSR2, SIGALRM};

}  // namespace

Supervisor::Supervisor() {
  adopt_orphans();
  sigset_t ours;
  ::sigemptyset(&ours);
  for (const int number : kPassedOn) ::sigaddset(&ours, number);
  ::sigaddset(&ours, SIGCHLD);
  ::sigprocmask(SIG_BLOCK, &ours, nullptr);
  ::signal(SIGPIPE, SIG_IGN);
  signals_ = Fd(::signalfd(-1, &ours, SFD_CLOEXEC | SFD_NONBLOCK));
  terminal_ = Fd(::open("/dev/tty", O_RDWR | O_CLOEXEC | O_NOCTTY));
  if (terminal_ && ::tcgetpgrp(terminal_.get()) == ::getpgrp()) foreground_ = ::getpgrp();
}

Supervisor::~Supervisor() {
  if (foreground_ < 0) return;
  ::signal(SIGTTOU,
           SIG_IGN);  // a killed shell had taken the terminal: taking it back would stop us
  ::tcsetpgrp(terminal_.get(), foreground_);
}

Supervisor::Heard Supervisor::hear(Warden* command) {
  signalfd_siginfo info;
  Heard heard = Heard::kNothing;
  while (::read(signals_.get(), &info, sizeof info) == sizeof info) {
    const int number = static_cast<int>(info.ssi_signo);
    if (number == SIGCHLD) continue;
    if (command == nullptr)
      heard = Heard::kEnd;
    else if (info.ssi_code != SI_KERNEL)
      command->signal(number);
  }
  return heard;
}

Supervisor::Outcome Supervisor::watch(Warden* command, const std::vector<Warden*>& others,
                                      Channel& emulator) {
  Outcome outcome;
  std::vector<Warden*> far = others;
  for (;;) {
    std::vector<pollfd> polled{{signals_.get(), POLLIN, 0}, {emulator.fd(), POLLIN, 0}};
    if (command != nullptr) polled.push_back({command->fd(), POLLIN, 0});
    for (const Warden* warden : far) polled.push_back({warden->fd(), POLLIN, 0});
    ::poll(polled.data(), polled.size(), -1);
    if (hear(command) == Heard::kEnd) outcome.interrupted = true;
    if (command != nullptr) outcome.exit_code = command->status();
    std::erase_if(far, [](Warden* warden) { return warden->status().has_value(); });
    if (polled[1].revents != 0) {
      outcome.emulator_gone = emulator.fill(kLinkJsonMax) == Channel::State::kGone;
      if (auto line = emulator.next_line()) outcome.farewell = std::move(line);
    }
    if (outcome.exit_code || outcome.emulator_gone || outcome.farewell || outcome.interrupted)
      return outcome;
  }
}

}  // namespace netsim::emulator
