#include "netsim/emulator/accuracy_tcp.hpp"

#include <fmt/format.h>
#include <netinet/in.h>
#include <poll.h>
#include <signal.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cmath>
#include <cstring>
#include <list>

#include "netsim/emulator/addresses.hpp"
#include "netsim/emulator/clock.hpp"
#include "netsim/emulator/inside.hpp"
#include "netsim/emulator/netlink.hpp"
#include "netsim/emulator/probe_bench.hpp"

namespace netsim::emulator {
namespace {

using longhaul::fail;
using longhaul::fail_errno;
using longhaul::Kind;

constexpr double kRtt_s = 0.150, kMss = 1448, kFirstCycle = 5, kLastCycle = 25;
constexpr std::uint16_t kPort = 9001;
constexpr int kPatience_ms = 10'000;

sockaddr_in far_address() {
  sockaddr_in out{};
  out.sin_family = AF_INET;
  out.sin_port = htons(kPort);
  std::memcpy(&out.sin_addr, Address::parse(address4(1).c_str()).bytes.data(), 4);
  return out;
}

Result<Fd> listen_far() {
  Fd fd(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
  const sockaddr_in address = far_address();
  if (!fd || ::bind(fd.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0 ||
      ::listen(fd.get(), 1) != 0)
    return fail_errno("listen on the far side", errno);
  return fd;
}

Result<Fd> dial_far() {
  Fd fd(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
  const sockaddr_in address = far_address();
  if (!fd || ::connect(fd.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0)
    return fail_errno("connect across the link", errno);
  return fd;
}

[[noreturn]] void send_forever(const Fd& socket) {
  const std::vector<char> block(256 << 10);
  while (::send(socket.get(), block.data(), block.size(), MSG_NOSIGNAL) > 0) continue;
  ::_exit(0);
}

// One flow and what it should do.
struct CubicFlow {
  explicit CubicFlow(double every) : n(every) {
    window = 1.054 * std::pow(kRtt_s * n, 0.75);  // equation 6 with C = 0.4, beta = 0.7
    expected_bit_s = window * kMss * 8 / kRtt_s;
    cycle_s = n / window * kRtt_s;
  }
  ~CubicFlow() {
    if (sender <= 0) return;
    ::kill(sender, SIGKILL);
    ::waitpid(sender, nullptr, 0);
  }
  CubicFlow(const CubicFlow&) = delete;
  CubicFlow& operator=(const CubicFlow&) = delete;

  Result<> start(const HostSettings& host) {
    HostSettings settings = host;
    settings.congestion = "cubic";
    settings.tuning = Tuning::kTuned;
    TRY(bench.set_up(settings, {{"rtt", "150ms"}, {"up.loss", fmt::format("nth:{:.0f}", n)}}));
    const Fd listener = TRY(open_inside(bench.emulator, 1, listen_far));
    const Fd dialled = TRY(open_inside(bench.emulator, 0, dial_far));
    pollfd ready{listener.get(), POLLIN, 0};
    if (::poll(&ready, 1, kPatience_ms) != 1) return fail(Kind::kTimeout, "accept a connection");
    receiver = Fd(::accept4(listener.get(), nullptr, nullptr, SOCK_CLOEXEC | SOCK_NONBLOCK));
    if (!receiver) return fail_errno("accept a connection", errno);
    sender = ::fork();
    if (sender == 0) send_forever(dialled);
    return {};
  }
  void take(double now_s) {
    for (;;) {
      const ssize_t got = ::recv(receiver.get(), block.data(), block.size(), 0);
      if (got <= 0) return;
      const bool counts = now_s >= kFirstCycle * cycle_s && now_s < kLastCycle * cycle_s;
      if (counts) bytes += static_cast<double>(got);
    }
  }
  AccuracyRow row() const {
    const double measured = bytes * 8 / ((kLastCycle - kFirstCycle) * cycle_s);
    const double error = measured / expected_bit_s - 1;
    return {fmt::format("CUBIC, 150 ms, 1 of {:.0f} lost", n), "within 25 % of RFC 8312",
            fmt::format("{:.2f} of {:.2f} Mbit/s, {:+.1f} %", measured / 1e6, expected_bit_s / 1e6,
                        error * 100),
            std::abs(error) <= 0.25};
  }

  double n, window = 0, expected_bit_s = 0, cycle_s = 0, bytes = 0;
  ProbeBench bench;
  Fd receiver;
  pid_t sender = -1;
  std::vector<char> block = std::vector<char>(1 << 20);
};

}  // namespace

Result<std::vector<AccuracyRow>> check_cubic(const HostSettings& host) {
  std::list<CubicFlow> flows;
  double longest_s = 0;
  for (const double n : {1e3, 1e4}) {
    TRY(flows.emplace_back(n).start(host));
    longest_s = std::max(longest_s, kLastCycle * flows.back().cycle_s);
  }
  const Time begin = now();
  for (double now_s = 0; now_s < longest_s;
       now_s = std::chrono::duration<double>(now() - begin).count()) {
    std::vector<pollfd> polled;
    for (const CubicFlow& flow : flows) polled.push_back({flow.receiver.get(), POLLIN, 0});
    ::poll(polled.data(), polled.size(), 100);
    for (CubicFlow& flow : flows) flow.take(now_s);
  }
  std::vector<AccuracyRow> rows;
  for (const CubicFlow& flow : flows) rows.push_back(flow.row());
  return rows;
}

}  // namespace netsim::emulator
