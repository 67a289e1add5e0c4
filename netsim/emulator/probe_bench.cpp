#include "netsim/emulator/probe_bench.hpp"

#include <netinet/in.h>
#include <poll.h>
#include <signal.h>
#include <sys/socket.h>
#include <sys/wait.h>

#include <array>
#include <cerrno>
#include <cstring>

#include "netsim/emulator/addresses.hpp"
#include "netsim/emulator/inside.hpp"
#include "netsim/emulator/netlink.hpp"

namespace netsim::emulator {
namespace {

using longhaul::fail_errno;

constexpr std::uint16_t kPort = 9000;
constexpr Duration kStatsMost = std::chrono::seconds(5);

sockaddr_in address_of_side(std::size_t side) {
  sockaddr_in out{};
  out.sin_family = AF_INET;
  out.sin_port = htons(kPort);
  std::memcpy(&out.sin_addr,
              Address::parse(address4(static_cast<AddressId>(side)).c_str()).bytes.data(), 4);
  return out;
}

// Bound to its side's address, with the kernel's time of arrival on what it receives.
Result<Fd> open_socket(std::size_t side) {
  Fd fd(::socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0));
  if (!fd) return fail_errno("open a socket", errno);
  const int on = 1, buffer = 16 << 20;
  ::setsockopt(fd.get(), SOL_SOCKET, SO_TIMESTAMPNS, &on, sizeof on);
  if (::setsockopt(fd.get(), SOL_SOCKET, SO_RCVBUFFORCE, &buffer, sizeof buffer) != 0)
    ::setsockopt(fd.get(), SOL_SOCKET, SO_RCVBUF, &buffer, sizeof buffer);
  const sockaddr_in own = address_of_side(side), peer = address_of_side(1 - side);
  if (::bind(fd.get(), reinterpret_cast<const sockaddr*>(&own), sizeof own) != 0 ||
      ::connect(fd.get(), reinterpret_cast<const sockaddr*>(&peer), sizeof peer) != 0)
    return fail_errno("bind a socket", errno);
  return fd;
}

}  // namespace

// Killed, not only told: whatever this process forked since holds the other end of the channel too,
// and the emulator would not see it close. It has nothing to clean up that does not end with it.
ProbeBench::~ProbeBench() {
  if (emulator.pid <= 0) return;
  ::kill(emulator.pid, SIGKILL);
  ::waitpid(emulator.pid, nullptr, 0);
}

Result<> ProbeBench::set_up(const HostSettings& host, const std::vector<Assignment>& settings) {
  EmulatorOptions options;
  options.host = host;
  options.topology = two_hosts(TRY(with(LinkConfig{}, settings)));
  emulator = TRY(start_emulator(options));
  a = TRY(open_inside(emulator, 0, [] { return open_socket(0); }));
  b = TRY(open_inside(emulator, 1, [] { return open_socket(1); }));
  return {};
}

Result<nlohmann::json> ProbeBench::stats() {
  TRY(emulator.channel.send_line(to_json(ControlRequest(GetRequest{"stats"}))));
  const auto line = TRY(emulator.channel.wait_line(kStatsMost, kLinkJsonMax));
  return nlohmann::json::parse(line)["result"];
}

std::optional<Arrival> receive_one(const Fd& socket, std::chrono::milliseconds most) {
  pollfd one{socket.get(), POLLIN, 0};
  if (::poll(&one, 1, static_cast<int>(most.count())) <= 0) return std::nullopt;
  Arrival out;
  iovec into{&out.first_word, sizeof out.first_word};
  alignas(cmsghdr) std::array<char, 128> control{};
  msghdr message{};
  message.msg_iov = &into;
  message.msg_iovlen = 1;
  message.msg_control = control.data();
  message.msg_controllen = control.size();
  const ssize_t got = ::recvmsg(socket.get(), &message, MSG_TRUNC | MSG_DONTWAIT);
  if (got < 0) return std::nullopt;
  out.bytes = static_cast<std::size_t>(got);
  for (cmsghdr* head = CMSG_FIRSTHDR(&message); head != nullptr;
       head = CMSG_NXTHDR(&message, head)) {
    if (head->cmsg_level != SOL_SOCKET || head->cmsg_type != SCM_TIMESTAMPNS) continue;
    timespec stamp{};
    std::memcpy(&stamp, CMSG_DATA(head), sizeof stamp);
    out.wall_ns = std::int64_t{stamp.tv_sec} * 1'000'000'000 + stamp.tv_nsec;
  }
  return out;
}

}  // namespace netsim::emulator
