#include "netsim/relay/poller.hpp"

#include <algorithm>
#include <cerrno>
#include <ctime>

#include "lib/base/assert.hpp"

namespace netsim::relay {
namespace {
constexpr unsigned kFaceShift = 56;
}

longhaul::Result<Poller> Poller::open() {
  Fd epoll(epoll_create1(EPOLL_CLOEXEC));
  if (!epoll) return longhaul::fail_errno("make an epoll", errno);
  return Poller(std::move(epoll));
}

void Poller::add(const Fd& fd, Face face, std::uint64_t key, bool level) {
  epoll_event event{};
  event.events = level ? EPOLLIN : EPOLLIN | EPOLLOUT | EPOLLRDHUP | EPOLLET;
  event.data.u64 = static_cast<std::uint64_t>(face) << kFaceShift | key;
  ASSERT(epoll_ctl(epoll_.get(), EPOLL_CTL_ADD, fd.get(), &event) == 0);
}

std::span<const Poller::Event> Poller::wait(std::optional<longhaul::Duration> longest) {
  timespec limit{};
  if (longest) {
    const std::int64_t ns = std::max<std::int64_t>(longest->count(), 0);
    limit.tv_sec = ns / 1'000'000'000;
    limit.tv_nsec = ns % 1'000'000'000;
  }
  const int n = epoll_pwait2(epoll_.get(), raw_, kEvents, longest ? &limit : nullptr, nullptr);
  const auto count = static_cast<std::size_t>(std::max(n, 0));  // EINTR: as if nothing happened
  for (std::size_t i = 0; i < count; ++i) {
    const std::uint64_t token = raw_[i].data.u64;
    events_[i] = Event{static_cast<Face>(token >> kFaceShift),
                       token & ((std::uint64_t{1} << kFaceShift) - 1), raw_[i].events};
  }
  return {events_, count};
}

}  // namespace netsim::relay
