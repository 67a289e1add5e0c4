#include "netsim/relay/socket.hpp"

#include <arpa/inet.h>
#include <fmt/format.h>
#include <netdb.h>
#include <netinet/tcp.h>
#include <sys/stat.h>
#include <sys/un.h>

#include <cerrno>
#include <cstring>

#include "lib/base/escape.hpp"

namespace netsim::relay {

using longhaul::fail;
using longhaul::fail_errno;
using longhaul::Kind;
using longhaul::printable;
using longhaul::Result;

namespace {

constexpr int kDatagramBuffer = 4 << 20;  // asked for; the system may give less

Result<Address> unix_address(std::string_view path) {
  Address out;
  auto* name = reinterpret_cast<sockaddr_un*>(&out.storage);
  if (path.empty() || path.size() >= sizeof name->sun_path)
    return fail(Kind::kUsage, fmt::format("read address 'unix:{}'", printable(path)),
                std::string("a socket's path has 1 to 107 bytes"));
  name->sun_family = AF_UNIX;
  std::memcpy(name->sun_path, path.data(), path.size());
  out.length = sizeof *name;
  return out;
}

void set_int(const Fd& fd, int level, int option, int value) {
  (void)setsockopt(fd.get(), level, option, &value, sizeof value);
}

Result<Fd> open_socket(const Address& address, int type) {
  Fd fd(::socket(address.get()->sa_family, type | SOCK_NONBLOCK | SOCK_CLOEXEC, 0));
  if (!fd) return fail_errno("open a socket", errno);
  return fd;
}

}  // namespace

Result<Address> parse_address(std::string_view text) {
  if (text.starts_with("unix:")) return unix_address(text.substr(5));
  const auto colon = text.rfind(':');
  std::string host(text.substr(0, colon == std::string_view::npos ? 0 : colon));
  const std::string port(colon == std::string_view::npos ? text : text.substr(colon + 1));
  if (host.size() > 1 && host.front() == '[' && host.back() == ']')
    host = host.substr(1, host.size() - 2);
  if (host.empty()) host = "127.0.0.1";
  addrinfo hints{};
  hints.ai_flags = AI_NUMERICSERV;
  hints.ai_socktype = SOCK_STREAM;
  addrinfo* found = nullptr;
  const int code = getaddrinfo(host.c_str(), port.c_str(), &hints, &found);
  if (code != 0)
    return fail(Kind::kUsage, fmt::format("read address '{}'", printable(text)),
                fmt::format("{}; as 127.0.0.1:5000, [::1]:5000 or host:5000", gai_strerror(code)));
  Address out;
  std::memcpy(&out.storage, found->ai_addr, found->ai_addrlen);
  out.length = found->ai_addrlen;
  freeaddrinfo(found);
  return out;
}

std::string to_text(const Address& address) {
  if (address.get()->sa_family == AF_UNIX)
    return fmt::format("unix:{}", reinterpret_cast<const sockaddr_un*>(&address.storage)->sun_path);
  char host[INET6_ADDRSTRLEN] = "?";
  if (address.get()->sa_family == AF_INET6) {
    const auto* in6 = reinterpret_cast<const sockaddr_in6*>(&address.storage);
    inet_ntop(AF_INET6, &in6->sin6_addr, host, sizeof host);
    return fmt::format("[{}]:{}", host, ntohs(in6->sin6_port));
  }
  const auto* in = reinterpret_cast<const sockaddr_in*>(&address.storage);
  inet_ntop(AF_INET, &in->sin_addr, host, sizeof host);
  return fmt::format("{}:{}", host, ntohs(in->sin_port));
}

bool is_loopback(const Address& address) {
  switch (address.get()->sa_family) {
    case AF_UNIX:
      return true;
    case AF_INET: {
      const auto* in = reinterpret_cast<const sockaddr_in*>(&address.storage);
      return ntohl(in->sin_addr.s_addr) >> 24 == 127;
    }
    default: {
      const auto* in6 = reinterpret_cast<const sockaddr_in6*>(&address.storage);
      const in6_addr one = IN6ADDR_LOOPBACK_INIT;
      return std::memcmp(&in6->sin6_addr, &one, sizeof one) == 0;
    }
  }
}

Result<Fd> listen_stream(const Address& address) {
  Fd fd = TRY(open_socket(address, SOCK_STREAM));
  set_int(fd, SOL_SOCKET, SO_REUSEADDR, 1);
  const bool is_unix = address.get()->sa_family == AF_UNIX;
  // Made private before it listens: whoever can connect can command.
  if (is_unix) (void)fchmod(fd.get(), 0600);
  if (bind(fd.get(), address.get(), address.length) != 0 || listen(fd.get(), 4096) != 0)
    return fail_errno(fmt::format("listen on {}", to_text(address)), errno);
  return fd;
}

Result<Fd> bind_datagram(const Address& address) {
  Fd fd = TRY(open_socket(address, SOCK_DGRAM));
  set_int(fd, SOL_SOCKET, SO_RCVBUF, kDatagramBuffer);
  set_int(fd, SOL_SOCKET, SO_SNDBUF, kDatagramBuffer);
  if (bind(fd.get(), address.get(), address.length) != 0)
    return fail_errno(fmt::format("listen on UDP {}", to_text(address)), errno);
  return fd;
}

Result<Fd> dial_stream(const Address& address) {
  Fd fd = TRY(open_socket(address, SOCK_STREAM));
  set_int(fd, IPPROTO_TCP, TCP_NODELAY, 1);
  if (connect(fd.get(), address.get(), address.length) != 0 && errno != EINPROGRESS)
    return fail_errno(fmt::format("connect to {}", to_text(address)), errno);
  return fd;
}

Result<Fd> dial_datagram(const Address& address) {
  Fd fd = TRY(open_socket(address, SOCK_DGRAM));
  set_int(fd, SOL_SOCKET, SO_RCVBUF, kDatagramBuffer);
  set_int(fd, SOL_SOCKET, SO_SNDBUF, kDatagramBuffer);
  if (connect(fd.get(), address.get(), address.length) != 0)
    return fail_errno(fmt::format("connect UDP to {}", to_text(address)), errno);
  return fd;
}

Result<Address> local_address(const Fd& fd) {
  Address out;
  out.length = sizeof out.storage;
  if (getsockname(fd.get(), out.get(), &out.length) != 0)
    return fail_errno("read a socket's address", errno);
  return out;
}

int pending_error(const Fd& fd) {
  int error = 0;
  socklen_t length = sizeof error;
  if (getsockopt(fd.get(), SOL_SOCKET, SO_ERROR, &error, &length) != 0) return errno;
  return error;
}

void close_with_reset(Fd& fd) {
  if (!fd) return;
  const linger now{1, 0};
  (void)setsockopt(fd.get(), SOL_SOCKET, SO_LINGER, &now, sizeof now);
  fd.reset();
}

}  // namespace netsim::relay
