// The functions below have the names and types of libc's, so the linker takes them instead, also
// for calls from shared libraries. They go on by system call, not by the original, which needs no
// search for it.
#include "netsim/testing/trap.hpp"

#include <fcntl.h>
#include <poll.h>
#include <sys/epoll.h>
#include <sys/random.h>
#include <sys/select.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

#include <cerrno>
#include <cstdarg>
#include <cstdlib>
#include <cstring>
#include <utility>

namespace netsim {
namespace {

thread_local int depth = 0;

void say(const char* text) {
  // Nothing to be done if stderr is gone: the program ends anyway.
  [[maybe_unused]] const auto written = write(STDERR_FILENO, text, std::strlen(text));
}

void check_trap(const char* function) {
  if (depth == 0) return;
  depth = 0;
  say("netsim: simulated code called ");
  say(function);
  say("(); take time, randomness and the network from the simulation, or this run cannot be "
      "repeated\n");
  std::abort();
}

bool is_random_device(const char* path) {
  return std::strcmp(path, "/dev/urandom") == 0 || std::strcmp(path, "/dev/random") == 0;
}

int open_at(int directory, const char* path, int flags, mode_t mode) {
  if (is_random_device(path)) check_trap("open(\"/dev/urandom\")");
  return static_cast<int>(syscall(SYS_openat, directory, path, flags, mode));
}

}  // namespace

TrapScope::TrapScope() {
  ++depth;
}
TrapScope::~TrapScope() {
  --depth;
}
TrapPause::TrapPause() : depth_(std::exchange(depth, 0)) {}
TrapPause::~TrapPause() {
  depth = depth_;
}
bool trap_is_set() {
  return depth > 0;
}

}  // namespace netsim

using netsim::check_trap;

extern "C" {

int clock_gettime(clockid_t clock, struct timespec* time) noexcept {
  check_trap("clock_gettime");
  return static_cast<int>(syscall(SYS_clock_gettime, clock, time));
}
int gettimeofday(struct timeval* __restrict time, void* __restrict zone) noexcept {
  check_trap("gettimeofday");
  return static_cast<int>(syscall(SYS_gettimeofday, time, zone));
}
time_t time(time_t* seconds) noexcept {
  check_trap("time");
  struct timespec now {};
  syscall(SYS_clock_gettime, CLOCK_REALTIME, &now);
  if (seconds != nullptr) *seconds = now.tv_sec;
  return now.tv_sec;
}

int clock_nanosleep(clockid_t clock, int flags, const struct timespec* length,
                    struct timespec* rest) {
  check_trap("clock_nanosleep");
  // Unlike other calls, this one returns its error.
  return syscall(SYS_clock_nanosleep, clock, flags, length, rest) == 0 ? 0 : errno;
}
int nanosleep(const struct timespec* length, struct timespec* rest) {
  check_trap("nanosleep");
  return static_cast<int>(syscall(SYS_clock_nanosleep, CLOCK_REALTIME, 0, length, rest));
}
int usleep(useconds_t length_us) {
  check_trap("usleep");
  const struct timespec length = {static_cast<time_t>(length_us / 1'000'000),
                                  static_cast<long>(length_us % 1'000'000) * 1000};
  return static_cast<int>(syscall(SYS_clock_nanosleep, CLOCK_REALTIME, 0, &length, nullptr));
}
unsigned sleep(unsigned seconds) {
  check_trap("sleep");
  const struct timespec length = {static_cast<time_t>(seconds), 0};
  struct timespec rest {};
  if (syscall(SYS_clock_nanosleep, CLOCK_REALTIME, 0, &length, &rest) == 0) return 0;
  return static_cast<unsigned>(rest.tv_sec);
}

ssize_t getrandom(void* buffer, size_t length, unsigned flags) {
  check_trap("getrandom");
  return syscall(SYS_getrandom, buffer, length, flags);
}
int getentropy(void* buffer, size_t length) {
  check_trap("getentropy");
  if (length > 256) return errno = EIO, -1;
  return syscall(SYS_getrandom, buffer, length, 0) == static_cast<long>(length) ? 0 : -1;
}
int open(const char* path, int flags, ...) {
  va_list rest;
  va_start(rest, flags);
  const auto mode = static_cast<mode_t>(va_arg(rest, unsigned));  // unused without O_CREAT
  va_end(rest);
  return netsim::open_at(AT_FDCWD, path, flags, mode);
}
int openat(int directory, const char* path, int flags, ...) {
  va_list rest;
  va_start(rest, flags);
  const auto mode = static_cast<mode_t>(va_arg(rest, unsigned));
  va_end(rest);
  return netsim::open_at(directory, path, flags, mode);
}

int socket(int domain, int type, int protocol) noexcept {
  check_trap("socket");
  return static_cast<int>(syscall(SYS_socket, domain, type, protocol));
}
int poll(struct pollfd* fds, nfds_t count, int timeout_ms) {
  check_trap("poll");
  struct timespec wait = {timeout_ms / 1000, (timeout_ms % 1000) * 1'000'000L};
  return static_cast<int>(
      syscall(SYS_ppoll, fds, count, timeout_ms < 0 ? nullptr : &wait, nullptr, size_t{8}));
}
int epoll_wait(int epoll, struct epoll_event* events, int count, int timeout_ms) {
  check_trap("epoll_wait");
  return static_cast<int>(
      syscall(SYS_epoll_pwait, epoll, events, count, timeout_ms, nullptr, size_t{8}));
}

// std::random_device::operator(), which may use the processor's instruction and so no function of
// libc.
unsigned trapped_random_device(void*) asm("_ZNSt13random_device9_M_getvalEv");
unsigned trapped_random_device(void*) {
  check_trap("std::random_device::operator");
  unsigned value = 0;
  if (syscall(SYS_getrandom, &value, sizeof value, 0) != static_cast<long>(sizeof value))
    std::abort();
  return value;
}

}  // extern "C"
