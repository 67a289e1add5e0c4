#include "lib/io/udp_group.hpp"

#include <linux/filter.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include <array>
#include <cstdint>

namespace longhaul::io {

namespace {

bool turn_on(int socket, int level, int name, int value = 1) {
  return ::setsockopt(socket, level, name, &value, sizeof value) == 0;
}

// Whoever takes the next datagram: a random number, modulo how many there are.
bool spread(int socket, std::uint32_t sockets) {
  constexpr auto kRandom = static_cast<std::uint32_t>(SKF_AD_OFF + SKF_AD_RANDOM);
  std::array<sock_filter, 3> code = {sock_filter{BPF_LD | BPF_W | BPF_ABS, 0, 0, kRandom},
                                     sock_filter{BPF_ALU | BPF_MOD | BPF_K, 0, 0, sockets},
                                     sock_filter{BPF_RET | BPF_A, 0, 0, 0}};
  const sock_fprog program{code.size(), code.data()};
  return ::setsockopt(socket, SOL_SOCKET, SO_ATTACH_REUSEPORT_CBPF, &program, sizeof program) == 0;
}

int open_like(int socket, const sockaddr_storage& at, socklen_t at_bytes) {
  const int fd = ::socket(at.ss_family, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
  if (fd < 0) return -1;
  int only = 0;
  socklen_t only_bytes = sizeof only;
  if (at.ss_family == AF_INET6 &&
      ::getsockopt(socket, IPPROTO_IPV6, IPV6_V6ONLY, &only, &only_bytes) == 0)
    turn_on(fd, IPPROTO_IPV6, IPV6_V6ONLY, only);
  if (turn_on(fd, SOL_SOCKET, SO_REUSEPORT) &&
      ::bind(fd, reinterpret_cast<const sockaddr*>(&at), at_bytes) == 0)
    return fd;
  ::close(fd);
  return -1;
}

}  // namespace

std::vector<int> open_siblings(int socket, std::size_t count) {
  std::vector<int> siblings;
  sockaddr_storage at{};
  socklen_t at_bytes = sizeof at;
  if (::getsockname(socket, reinterpret_cast<sockaddr*>(&at), &at_bytes) != 0) return siblings;
  // Only now: bound with it, the first would have shared its port with another program's.
  if (!turn_on(socket, SOL_SOCKET, SO_REUSEPORT)) return siblings;
  while (siblings.size() < count) {
    const int fd = open_like(socket, at, at_bytes);
    if (fd < 0) break;
    siblings.push_back(fd);
  }
  if (siblings.empty() || spread(socket, static_cast<std::uint32_t>(siblings.size() + 1)))
    return siblings;
  for (const int fd : siblings) ::close(fd);
  return {};
}

}  // namespace longhaul::io
