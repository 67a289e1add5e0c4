#include "netsim/emulator/forward_udp.hpp"

#include <netinet/in.h>
#include <poll.h>
#include <signal.h>
#include <sys/epoll.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstring>
#include <map>
#include <string>

#include "netsim/emulator/clock.hpp"
#include "netsim/emulator/inside.hpp"

namespace netsim::emulator {
namespace {

using longhaul::fail_errno;

constexpr std::size_t kDatagramMax = 65'536, kFlowsMax = 1024;
constexpr int kBatch = 64;  // datagrams of one socket in a turn
constexpr Duration kSilenceMost = std::chrono::minutes(5);

Result<Fd> bind_to(std::uint16_t port) {
  Fd fd(::socket(AF_INET6, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
  if (!fd) return fail_errno("open a socket", errno);
  const int off = 0;
  ::setsockopt(fd.get(), IPPROTO_IPV6, IPV6_V6ONLY, &off, sizeof off);
  sockaddr_in6 address{};
  address.sin6_family = AF_INET6;
  address.sin6_port = htons(port);
  if (::bind(fd.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0)
    return fail_errno("forward UDP port " + std::to_string(port), errno);
  return fd;
}

Fd dial(std::uint16_t port) {
  Fd fd(::socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_port = htons(port);
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  const auto* to = reinterpret_cast<const sockaddr*>(&address);
  if (!fd || ::connect(fd.get(), to, sizeof address) != 0) return Fd();
  return fd;
}

// One process, one thread. Events carry a door's number, or a flow's behind all doors.
class DatagramForwarder {
 public:
  struct Door {  // a port on side b
    Fd fd;
    std::uint16_t port;
  };
  explicit DatagramForwarder(std::vector<Door> doors)
      : doors_(std::move(doors)), epoll_(::epoll_create1(EPOLL_CLOEXEC)), datagram_(kDatagramMax) {
    for (std::uint64_t i = 0; i < doors_.size(); ++i) watch(doors_[i].fd, i);
  }
  void turn() {
    std::array<epoll_event, kBatch> events{};
    const int n = ::epoll_wait(epoll_.get(), events.data(), kBatch, 60'000);
    for (int i = 0; i < n; ++i) {
      const std::uint64_t key = events[static_cast<std::size_t>(i)].data.u64;
      if (key < doors_.size())
        from_callers(static_cast<std::size_t>(key));
      else
        from_service(key);
    }
    expire();
  }

 private:
  using Caller = std::pair<std::size_t, std::string>;  // door, address as the kernel has it
  struct Flow {
    Caller caller;
    sockaddr_in6 address{};
    Fd service;
    Time last{};
  };
  void watch(const Fd& fd, std::uint64_t key) {
    epoll_event event{};
    event.events = EPOLLIN;
    event.data.u64 = key;
    ::epoll_ctl(epoll_.get(), EPOLL_CTL_ADD, fd.get(), &event);
  }
  Flow* flow_of(std::size_t door, const sockaddr_in6& from) {
    const Caller caller{door, std::string(reinterpret_cast<const char*>(&from), sizeof from)};
    if (const auto known = by_caller_.find(caller); known != by_caller_.end())
      return &flows_.at(known->second);
    if (flows_.size() >= kFlowsMax) return nullptr;  // datagrams may be lost: these are
    Flow flow{caller, from, dial(doors_[door].port), now()};
    if (!flow.service) return nullptr;
    const std::uint64_t key = next_key_++ + doors_.size();
    watch(flow.service, key);
    by_caller_[caller] = key;
    return &flows_.emplace(key, std::move(flow)).first->second;
  }
  void from_callers(std::size_t door) {
    for (int i = 0; i < kBatch; ++i) {
      sockaddr_in6 from{};
      socklen_t bytes = sizeof from;
      const ssize_t got = ::recvfrom(doors_[door].fd.get(), datagram_.data(), datagram_.size(), 0,
                                     reinterpret_cast<sockaddr*>(&from), &bytes);
      if (got < 0) return;
      Flow* flow = flow_of(door, from);
      if (flow == nullptr) continue;
      flow->last = now();
      (void)::send(flow->service.get(), datagram_.data(), static_cast<std::size_t>(got), 0);
    }
  }
  void from_service(std::uint64_t key) {
    const auto found = flows_.find(key);
    if (found == flows_.end()) return;
    Flow& flow = found->second;
    for (int i = 0; i < kBatch; ++i) {
      // ECONNREFUSED, nobody there yet, is told here, and is what a lost datagram is.
      const ssize_t got = ::recv(flow.service.get(), datagram_.data(), datagram_.size(), 0);
      if (got < 0) return;
      flow.last = now();
      (void)::sendto(doors_[flow.caller.first].fd.get(), datagram_.data(),
                     static_cast<std::size_t>(got), 0,
                     reinterpret_cast<const sockaddr*>(&flow.address), sizeof flow.address);
    }
  }
  void expire() {
    const Time at = now();
    if (at < next_expiry_) return;
    next_expiry_ = at + std::chrono::seconds(10);
    for (auto flow = flows_.begin(); flow != flows_.end();) {
      if (at - flow->second.last < kSilenceMost) {
        ++flow;
        continue;
      }
      by_caller_.erase(flow->second.caller);
      flow = flows_.erase(flow);
    }
  }

  std::vector<Door> doors_;
  Fd epoll_;
  std::vector<char> datagram_;
  std::map<std::uint64_t, Flow> flows_;
  std::map<Caller, std::uint64_t> by_caller_;
  std::uint64_t next_key_ = 0;
  Time next_expiry_{};
};

[[noreturn]] void be_forwarder(std::vector<DatagramForwarder::Door> doors) {
  ::setsid();
  ::prctl(PR_SET_PDEATHSIG, SIGKILL);
  ::prctl(PR_SET_NAME, "netsim-forward");
  DatagramForwarder forwarder(std::move(doors));
  for (;;) forwarder.turn();
}

}  // namespace

Result<> start_forwarding_datagrams(const Emulator& emulator,
                                    const std::vector<std::uint16_t>& ports) {
  std::vector<DatagramForwarder::Door> doors;
  for (const std::uint16_t port : ports)
    doors.push_back({TRY(open_inside(emulator, 1, [port] { return bind_to(port); })), port});
  const pid_t pid = ::fork();
  if (pid < 0) return fail_errno("start a process", errno);
  if (pid == 0) be_forwarder(std::move(doors));
  return {};
}

}  // namespace netsim::emulator
