#include "netsim/emulator/socket_clamp.hpp"

#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/uio.h>

#include <array>
#include <cerrno>
#include <cstddef>
#include <fstream>
#include <optional>
#include <string>

namespace netsim::emulator {
namespace {

#if defined(__x86_64__)
constexpr std::uint32_t kArch = AUDIT_ARCH_X86_64;
#elif defined(__aarch64__)
constexpr std::uint32_t kArch = AUDIT_ARCH_AARCH64;
#else
constexpr std::uint32_t kArch = 0;  // matches nothing: no clamp
#endif

constexpr sock_filter load(std::size_t offset) {
  return {BPF_LD | BPF_W | BPF_ABS, 0, 0, static_cast<std::uint32_t>(offset)};
}
// If equal go on, else skip `away` instructions; and the other way round.
constexpr sock_filter unless(std::uint32_t value, std::uint8_t away) {
  return {BPF_JMP | BPF_JEQ | BPF_K, 0, away, value};
}
constexpr sock_filter if_equal(std::uint32_t value, std::uint8_t away) {
  return {BPF_JMP | BPF_JEQ | BPF_K, away, 0, value};
}
constexpr sock_filter give(std::uint32_t verdict) {
  return {BPF_RET | BPF_K, 0, 0, verdict};
}
constexpr std::size_t argument(std::size_t n) {  // its low half, on a little-endian machine
  return offsetof(seccomp_data, args) + n * sizeof(std::uint64_t);
}

// The process that a thread belongs to: descriptors are taken from processes.
std::optional<pid_t> process_of(std::uint32_t thread) {
  std::ifstream status("/proc/" + std::to_string(thread) + "/status");
  for (std::string word; status >> word;) {
    if (word != "Tgid:") continue;
    pid_t pid = 0;
    if (status >> pid) return pid;
  }
  return std::nullopt;
}

std::optional<int> asked_bytes(const seccomp_notif& request) {
  int value = 0;
  const std::uint64_t address = request.data.args[3];
  iovec here{&value, sizeof value};
  iovec there{reinterpret_cast<void*>(address), sizeof value};
  const auto pid = static_cast<pid_t>(request.pid);
  if (request.data.args[4] < sizeof value) return std::nullopt;
  if (::process_vm_readv(pid, &here, 1, &there, 1, 0) != sizeof value) return std::nullopt;
  return value;
}

// 0, or the errno of the setsockopt made in the program's place.
int set_clamped(const seccomp_notif& request) {
  const auto process = process_of(request.pid);
  if (!process) return ESRCH;
  const Fd pidfd(static_cast<int>(::syscall(SYS_pidfd_open, *process, 0)));
  if (!pidfd) return errno;
  const auto theirs = static_cast<int>(request.data.args[0]);
  const Fd socket(static_cast<int>(::syscall(SYS_pidfd_getfd, pidfd.get(), theirs, 0)));
  if (!socket) return errno;
  const auto asked = static_cast<int>(request.data.args[2]);
  const bool sending = asked == SO_SNDBUF || asked == SO_SNDBUFFORCE;
  const int option = sending ? SO_SNDBUF : SO_RCVBUF;
  return ::setsockopt(socket.get(), SOL_SOCKET, option, &kSocketBufferMax,
                      sizeof kSocketBufferMax) == 0
             ? 0
             : errno;
}

}  // namespace

Fd install_socket_clamp() {
  std::array program{load(offsetof(seccomp_data, arch)),
                     unless(kArch, 10),
                     load(offsetof(seccomp_data, nr)),
                     unless(__NR_setsockopt, 8),
                     load(argument(1)),
                     unless(SOL_SOCKET, 6),
                     load(argument(2)),
                     if_equal(SO_SNDBUF, 3),
                     if_equal(SO_RCVBUF, 2),
                     if_equal(SO_SNDBUFFORCE, 1),
                     unless(SO_RCVBUFFORCE, 1),
                     give(SECCOMP_RET_USER_NOTIF),
                     give(SECCOMP_RET_ALLOW)};
  const sock_fprog filter{program.size(), program.data()};
  const auto install = [&] {
    return Fd(static_cast<int>(::syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER,
                                         SECCOMP_FILTER_FLAG_NEW_LISTENER, &filter)));
  };
  Fd listener = install();
  if (listener || errno != EACCES) return listener;
  ::prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);  // the price without CAP_SYS_ADMIN
  return install();
}

Served serve_socket_clamp(const Fd& listener) {
  seccomp_notif request{};
  if (::ioctl(listener.get(), SECCOMP_IOCTL_NOTIF_RECV, &request) != 0)
    return errno == EINTR || errno == ENOENT ? Served::kYes : Served::kGone;
  seccomp_notif_resp answer{};
  answer.id = request.id;
  const auto asked = asked_bytes(request);
  if (asked && *asked > kSocketBufferMax)
    answer.error = -set_clamped(request);
  else
    answer.flags = SECCOMP_USER_NOTIF_FLAG_CONTINUE;
  (void)::ioctl(listener.get(), SECCOMP_IOCTL_NOTIF_SEND, &answer);  // fails if the asker is gone
  return Served::kYes;
}

}  // namespace netsim::emulator
