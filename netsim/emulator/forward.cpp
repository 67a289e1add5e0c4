#include "netsim/emulator/forward.hpp"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <poll.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>

#include "netsim/emulator/forward_udp.hpp"
#include "netsim/emulator/inside.hpp"

namespace netsim::emulator {
namespace {

using longhaul::fail;
using longhaul::fail_errno;
using longhaul::Kind;

constexpr std::size_t kRelayBytes = 256 << 10;
constexpr std::size_t kPortsMax = 64;

struct Listener {
  Fd fd;
  std::uint16_t port;
};

Result<Fd> listen_on(std::uint16_t port) {
  Fd fd(::socket(AF_INET6, SOCK_STREAM | SOCK_CLOEXEC, 0));
  const int on = 1, off = 0;
  if (!fd) return fail_errno("open a socket", errno);
  ::setsockopt(fd.get(), SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
  ::setsockopt(fd.get(), IPPROTO_IPV6, IPV6_V6ONLY, &off, sizeof off);
  sockaddr_in6 address{};
  address.sin6_family = AF_INET6;
  address.sin6_port = htons(port);
  if (::bind(fd.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0 ||
      ::listen(fd.get(), SOMAXCONN) != 0)
    return fail_errno("forward port " + std::to_string(port), errno);
  return fd;
}

Fd connect_out(std::uint16_t port) {
  Fd fd(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_port = htons(port);
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  if (!fd || ::connect(fd.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0)
    return Fd();
  return fd;
}

bool write_all(int fd, const char* data, std::size_t bytes) {
  while (bytes > 0) {
    const ssize_t sent = ::send(fd, data, bytes, MSG_NOSIGNAL);
    if (sent < 0 && errno == EINTR) continue;
    if (sent <= 0) return false;
    data += sent;
    bytes -= static_cast<std::size_t>(sent);
  }
  return true;
}

// One direction, until its end, which is passed on as a half-close.
void copy(int from, int to) {
  std::vector<char> buffer(kRelayBytes);
  for (;;) {
    const ssize_t got = ::recv(from, buffer.data(), buffer.size(), 0);
    if (got < 0 && errno == EINTR) continue;
    if (got <= 0 || !write_all(to, buffer.data(), static_cast<std::size_t>(got))) break;
  }
  ::shutdown(to, SHUT_WR);
  ::shutdown(from, SHUT_RD);
}

// In a process of its own per connection, and one more for the way back: nothing to share or free.
[[noreturn]] void serve(const Fd& caller, std::uint16_t port) {
  ::prctl(PR_SET_PDEATHSIG, SIGKILL);
  const Fd service = connect_out(port);
  if (!service) {  // as a closed port would
    const linger reset{1, 0};
    ::setsockopt(caller.get(), SOL_SOCKET, SO_LINGER, &reset, sizeof reset);
    ::_exit(1);
  }
  const pid_t back = ::fork();
  if (back == 0) {
    ::prctl(PR_SET_PDEATHSIG, SIGKILL);
    copy(service.get(), caller.get());
    ::_exit(0);
  }
  copy(caller.get(), service.get());
  ::signal(SIGCHLD, SIG_DFL);
  if (back > 0) ::waitpid(back, nullptr, 0);
  ::_exit(0);
}

[[noreturn]] void be_forwarder(const std::vector<Listener>& listeners) {
  ::setsid();
  ::prctl(PR_SET_PDEATHSIG, SIGKILL);
  ::prctl(PR_SET_NAME, "netsim-forward");
  ::signal(SIGCHLD, SIG_IGN);  // no zombies
  std::vector<pollfd> polled;
  for (const Listener& listener : listeners) polled.push_back({listener.fd.get(), POLLIN, 0});
  for (;;) {
    ::poll(polled.data(), polled.size(), -1);
    for (std::size_t i = 0; i < polled.size(); ++i) {
      if (polled[i].revents == 0) continue;
      const Fd caller(::accept4(polled[i].fd, nullptr, nullptr, SOCK_CLOEXEC));
      if (caller && ::fork() == 0) serve(caller, listeners[i].port);
    }
  }
}

}  // namespace

Result<> start_forwarding(const Emulator& emulator, const std::vector<std::uint16_t>& ports) {
  if (ports.size() > kPortsMax) return fail(Kind::kUsage, "forward ports", "at most 64 of them");
  std::vector<Listener> listeners;
  for (const std::uint16_t port : ports)
    listeners.push_back({TRY(open_inside(emulator, 1, [port] { return listen_on(port); })), port});
  const pid_t pid = ::fork();
  if (pid < 0) return fail_errno("start a process", errno);
  if (pid == 0) be_forwarder(listeners);
  return start_forwarding_datagrams(emulator, ports);
}

}  // namespace netsim::emulator
