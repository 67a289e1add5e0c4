#include "netsim/emulator/channel.hpp"

#include <poll.h>
#include <sys/socket.h>
#include <sys/uio.h>

#include <array>
#include <cerrno>
#include <cstring>

#include "lib/base/assert.hpp"
#include "netsim/emulator/clock.hpp"

namespace netsim::emulator {
namespace {

using longhaul::fail;
using longhaul::fail_errno;
using longhaul::Kind;

constexpr Duration kSendMost = std::chrono::seconds(1);

bool wait_for(int fd, short events, Time until) {
  for (;;) {
    const auto left = std::chrono::ceil<std::chrono::milliseconds>(until - now()).count();
    if (left < 0) return false;
    pollfd one{fd, events, 0};
    const int ready = ::poll(&one, 1, static_cast<int>(left));
    if (ready > 0) return true;
    if (ready == 0 || errno != EINTR) return false;
  }
}

}  // namespace

Result<std::pair<Channel, Channel>> Channel::pair() {
  std::array<int, 2> fds{};
  if (::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds.data()) != 0)
    return fail_errno("make a socket pair", errno);
  return std::pair(Channel(Fd(fds[0])), Channel(Fd(fds[1])));
}

Result<> Channel::send_line(std::string_view line, std::span<const int> fds) {
  ASSERT(fds.size() <= kFdsMax);
  std::string text(line);
  text += '\n';
  const Time until = now() + kSendMost;
  std::size_t sent = 0;
  while (sent < text.size()) {
    iovec part{text.data() + sent, text.size() - sent};
    msghdr message{};
    message.msg_iov = &part;
    message.msg_iovlen = 1;
    alignas(cmsghdr) std::array<char, CMSG_SPACE(kFdsMax * sizeof(int))> control{};
    if (sent == 0 && !fds.empty()) {
      message.msg_control = control.data();
      message.msg_controllen = CMSG_SPACE(fds.size_bytes());
      cmsghdr* head = CMSG_FIRSTHDR(&message);
      head->cmsg_level = SOL_SOCKET;
      head->cmsg_type = SCM_RIGHTS;
      head->cmsg_len = CMSG_LEN(fds.size_bytes());
      std::memcpy(CMSG_DATA(head), fds.data(), fds.size_bytes());
    }
    const ssize_t got = ::sendmsg(fd_.get(), &message, MSG_NOSIGNAL | MSG_DONTWAIT);
    if (got >= 0) {
      sent += static_cast<std::size_t>(got);
    } else if (errno == EAGAIN) {
      if (!wait_for(fd_.get(), POLLOUT, until))
        return fail(Kind::kTimeout, "send to the other end");
    } else if (errno != EINTR) {
      return fail(Kind::kLink, "send to the other end", errno);
    }
  }
  return {};
}

Channel::State Channel::fill(std::size_t line_max) {
  for (;;) {
    std::array<char, 16384> part;
    iovec into{part.data(), part.size()};
    msghdr message{};
    message.msg_iov = &into;
    message.msg_iovlen = 1;
    alignas(cmsghdr) std::array<char, CMSG_SPACE(kFdsMax * sizeof(int))> control{};
    message.msg_control = control.data();
    message.msg_controllen = control.size();
    const ssize_t got = ::recvmsg(fd_.get(), &message, MSG_DONTWAIT | MSG_CMSG_CLOEXEC);
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) return errno == EAGAIN ? State::kOpen : State::kGone;
    if (got == 0) return State::kGone;
    for (cmsghdr* head = CMSG_FIRSTHDR(&message); head != nullptr;
         head = CMSG_NXTHDR(&message, head)) {
      if (head->cmsg_level != SOL_SOCKET || head->cmsg_type != SCM_RIGHTS) continue;
      const std::size_t count = (head->cmsg_len - CMSG_LEN(0)) / sizeof(int);
      for (std::size_t i = 0; i < count; ++i) {
        int fd = -1;
        std::memcpy(&fd, CMSG_DATA(head) + i * sizeof(int), sizeof fd);
        fds_.emplace_back(fd);
      }
    }
    in_.append(part.data(), static_cast<std::size_t>(got));
    if (in_.size() > line_max && in_.find('\n') == std::string::npos) return State::kGone;
    if (static_cast<std::size_t>(got) < part.size()) return State::kOpen;
  }
}

std::optional<std::string> Channel::next_line() {
  const std::size_t end = in_.find('\n');
  if (end == std::string::npos) return std::nullopt;
  std::string line = in_.substr(0, end);
  in_.erase(0, end + 1);
  return line;
}

Result<std::string> Channel::wait_line(Duration most, std::size_t line_max) {
  const Time until = now() + most;
  for (;;) {
    if (auto line = next_line()) return *std::move(line);
    if (!wait_for(fd_.get(), POLLIN, until))
      return fail(Kind::kTimeout, "wait for the emulator's answer");
    if (fill(line_max) == State::kGone) {
      if (auto line = next_line()) return *std::move(line);
      return fail(Kind::kLink, "talk to the emulator", "it is gone");
    }
  }
}

}  // namespace netsim::emulator
