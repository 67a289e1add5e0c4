#include "netsim/emulator/accuracy.hpp"

#include <fcntl.h>
#include <fmt/format.h>
#include <netinet/in.h>
#include <netinet/udp.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cmath>
#include <cstdlib>
#include <cstring>
#include <optional>

#include <nlohmann/json.hpp>

#include "netsim/emulator/addresses.hpp"
#include "netsim/emulator/clock.hpp"
#include "netsim/emulator/inside.hpp"
#include "netsim/emulator/netlink.hpp"
#include "netsim/settings.hpp"

namespace netsim::emulator {
namespace {

using longhaul::fail;
using longhaul::fail_errno;
using longhaul::Kind;
using std::chrono::microseconds;
using std::chrono::milliseconds;

constexpr std::uint16_t kPort = 9000;
constexpr int kUdpSegment = 103;  // UDP_SEGMENT; old headers lack it
constexpr std::size_t kDatagramBytes = 1400, kHeaderBytes = 28, kTrainSegments = 44;
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
  const int on = 1, buffer = 4 << 20;
  ::setsockopt(fd.get(), SOL_SOCKET, SO_TIMESTAMPNS, &on, sizeof on);
  ::setsockopt(fd.get(), SOL_SOCKET, SO_RCVBUF, &buffer, sizeof buffer);
  const sockaddr_in own = address_of_side(side), peer = address_of_side(1 - side);
  if (::bind(fd.get(), reinterpret_cast<const sockaddr*>(&own), sizeof own) != 0 ||
      ::connect(fd.get(), reinterpret_cast<const sockaddr*>(&peer), sizeof peer) != 0)
    return fail_errno("bind a socket", errno);
  return fd;
}

struct Bench {
  Emulator emulator;
  Fd a, b;
  ~Bench() {
    emulator.channel.close();
    if (emulator.pid > 0) ::waitpid(emulator.pid, nullptr, 0);
  }
  Bench() = default;
  Bench(Bench&&) = delete;
};

Result<> set_up(Bench& bench, const HostSettings& host, std::vector<Assignment> settings) {
  EmulatorOptions options;
  options.host = host;
  options.topology = two_hosts(TRY(with(LinkConfig{}, settings)));
  bench.emulator = TRY(start_emulator(options));
  bench.a = TRY(open_inside(bench.emulator, 0, [] { return open_socket(0); }));
  bench.b = TRY(open_inside(bench.emulator, 1, [] { return open_socket(1); }));
  return {};
}

Result<nlohmann::json> stats_of(Bench& bench) {
  TRY(bench.emulator.channel.send_line(to_json(ControlRequest(GetRequest{"stats"}))));
  const auto line = TRY(bench.emulator.channel.wait_line(kStatsMost, kLinkJsonMax));
  return nlohmann::json::parse(line)["result"];
}

std::int64_t wall_ns() {
  timespec t{};
  ::clock_gettime(CLOCK_REALTIME, &t);
  return std::int64_t{t.tv_sec} * 1'000'000'000 + t.tv_nsec;
}

struct Arrival {
  std::int64_t wall_ns = 0;
  std::size_t bytes = 0;
  std::int64_t sent_ns = 0;  // the datagram's first 8 bytes
};

std::optional<Arrival> receive_one(const Fd& socket, milliseconds most) {
  pollfd one{socket.get(), POLLIN, 0};
  if (::poll(&one, 1, static_cast<int>(most.count())) <= 0) return std::nullopt;
  Arrival out;
  iovec into{&out.sent_ns, sizeof out.sent_ns};
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

// One-way delays of 300 probes, 5 ms apart, in nanoseconds, in ascending order.
Result<std::vector<std::int64_t>> probe_delays(const HostSettings& host, const std::string& delay) {
  Bench bench;
  TRY(set_up(bench, host, {{"delay", delay}}));
  std::vector<std::int64_t> delays;
  const auto take = [&](milliseconds most) {
    const auto arrival = receive_one(bench.b, most);
    if (arrival) delays.push_back(arrival->wall_ns - arrival->sent_ns);
    return arrival.has_value();
  };
  for (int i = 0; i < 300; ++i) {
    const std::int64_t sent = wall_ns();
    if (::send(bench.a.get(), &sent, sizeof sent, 0) < 0) return fail_errno("send a probe", errno);
    while (take(milliseconds(5))) continue;
  }
  while (take(milliseconds(500))) continue;
  if (delays.size() < 290) return fail(Kind::kLink, "probe the delay", "probes were lost");
  std::sort(delays.begin(), delays.end());
  return delays;
}

double mean_of(const std::vector<std::int64_t>& values) {
  double sum = 0;
  for (const std::int64_t value : values) sum += static_cast<double>(value);
  return sum / static_cast<double>(values.size());
}

// What the path takes without any delay is the constant that is calibrated away.
Result<AccuracyRow> check_delay(const HostSettings& host, milliseconds delay,
                                std::int64_t calibration_ns, bool realtime) {
  const auto delays = TRY(probe_delays(host, fmt::format("{}ms", delay.count())));
  const double asked = static_cast<double>(Duration(delay).count() + calibration_ns);
  const double mean_us = (mean_of(delays) - asked) / 1e3;
  const auto p99 = static_cast<double>(delays[delays.size() * 99 / 100]);
  const double p99_us = (p99 - asked) / 1e3, p99_bar = realtime ? 200 : 1000;
  return AccuracyRow{fmt::format("added delay, {} ms one way", delay.count()),
                     fmt::format("mean within 50 us, p99 within {:.0f} us", p99_bar),
                     fmt::format("mean {:+.0f} us, p99 {:+.0f} us", mean_us, p99_us),
                     std::abs(mean_us) <= 50 && std::abs(p99_us) <= p99_bar};
}

// Sends trains half as fast again as `bits_per_s`, for `length`.
[[noreturn]] void flood(const Fd& socket, double bits_per_s, Duration length) {
  const int segment = kDatagramBytes;
  ::setsockopt(socket.get(), IPPROTO_UDP, kUdpSegment, &segment, sizeof segment);
  const std::size_t segments = std::clamp<std::size_t>(
      static_cast<std::size_t>(bits_per_s / 8 / kDatagramBytes / 1000), 1, kTrainSegments);
  const std::vector<char> train(segments * kDatagramBytes);
  const double train_s = static_cast<double>(train.size()) * 8 / (bits_per_s * 1.5);
  const Time start = now();
  for (std::uint64_t i = 0; now() - start < length; ++i) {
    (void)::send(socket.get(), train.data(), train.size(), 0);
    const auto due = std::chrono::duration_cast<Duration>(
        std::chrono::duration<double>(train_s * static_cast<double>(i + 1)));
    const Duration early = start + due - now();
    if (early > microseconds(50)) ::usleep(static_cast<useconds_t>(early.count() / 1000));
  }
  ::_exit(0);
}

// What b's device has received, by the kernel's count, and when; the headers that trains share are
// added, as they were paid for on the link.
struct Progress {
  Time at;
  double ip_bytes = 0;
};
Result<Progress> progress_of(Bench& bench, const Fd& devices) {
  const auto stats = TRY(stats_of(bench));
  std::array<char, 4096> text{};
  const Time at = now();
  if (::pread(devices.get(), text.data(), text.size() - 1, 0) <= 0)
    return fail_errno("read the device's counters", errno);
  const char* line = std::strstr(text.data(), "wan0:");
  if (line == nullptr) return fail(Kind::kNotFound, "find the device's counters");
  const double received = std::strtod(line + 5, nullptr);
  const auto& up = stats["up"];
  const double shared = up["packets_out"].get<double>() - up["trains_out"].get<double>();
  return Progress{at, received + shared * kHeaderBytes};
}

Result<AccuracyRow> check_rate(const HostSettings& host, int mbit) {
  Bench bench;
  TRY(set_up(bench, host, {{"up.rate", fmt::format("{}mbit", mbit)}, {"up.queue", "100ms"}}));
  const auto open_counters = []() -> Result<Fd> {
    Fd fd(::open("/proc/thread-self/net/dev", O_RDONLY | O_CLOEXEC));
    if (!fd) return fail_errno("open net/dev", errno);
    return fd;
  };
  const Fd devices = TRY(open_inside(bench.emulator, 1, open_counters));
  const pid_t sender = ::fork();
  if (sender == 0) flood(bench.a, mbit * 1e6, milliseconds(1500));
  ::usleep(200'000);
  const auto begin = progress_of(bench, devices);
  ::usleep(1'000'000);
  const auto end = progress_of(bench, devices);
  ::kill(sender, SIGKILL);
  ::waitpid(sender, nullptr, 0);
  if (!begin || !end) return fail(begin ? end.error() : begin.error());
  const double span_s = static_cast<double>((end->at - begin->at).count()) / 1e9;
  const double got = (end->ip_bytes - begin->ip_bytes) * 8 / span_s;
  const double error = got / (mbit * 1e6) - 1;
  return AccuracyRow{fmt::format("rate over 1 s, {} Mbit/s", mbit), "within 0.5 %",
                     fmt::format("{:.2f} Mbit/s, {:+.2f} %", got / 1e6, error * 100),
                     std::abs(error) <= 0.005};
}

// `segments` in trains of `per_train`; the count that was lost must be one that chance explains.
Result<AccuracyRow> check_loss(const HostSettings& host, std::size_t per_train) {
  Bench bench;
  constexpr double kP = 0.01;
  constexpr std::size_t kSegments = 88'000;
  TRY(set_up(bench, host, {{"up.loss", "1%"}}));
  const int segment = kDatagramBytes;
  if (per_train > 1)
    ::setsockopt(bench.a.get(), IPPROTO_UDP, kUdpSegment, &segment, sizeof segment);
  const std::vector<char> train(per_train * kDatagramBytes);
  for (std::size_t sent = 0; sent < kSegments; sent += per_train) {
    if (::send(bench.a.get(), train.data(), train.size(), 0) < 0) return fail_errno("send", errno);
    // The device holds 1000 packets; what comes faster than the emulator reads is lost before it.
    if (sent / per_train % 100 == 99) ::usleep(5000);
  }
  ::usleep(100'000);
  const auto stats = TRY(stats_of(bench));
  const auto in = stats["up"]["packets_in"].get<double>();
  const auto lost = stats["up"]["dropped"]["loss"].get<double>();
  const double spread = 2.576 * std::sqrt(in * kP * (1 - kP));  // 99 % of a binomial
  return AccuracyRow{
      fmt::format("loss of 1 %, trains of {}", per_train),
      fmt::format("{:.0f} to {:.0f} of {:.0f}", in * kP - spread, in * kP + spread, in),
      fmt::format("{:.0f}, {:.3f} %", lost, 100 * lost / in),
      in >= kSegments * 0.99 && std::abs(lost - in * kP) <= spread};
}

}  // namespace

Result<std::vector<AccuracyRow>> check_accuracy(const HostSettings& host) {
  bool realtime = false;
  {
    Bench bench;
    TRY(set_up(bench, host, {}));
    realtime = TRY(stats_of(bench))["realtime"].get<bool>();
  }
  std::vector<AccuracyRow> rows;
  const auto undelayed = TRY(probe_delays(host, "0"));
  const std::int64_t calibration = undelayed[undelayed.size() / 2];
  rows.push_back({"constant of the path", "calibrated away",
                  fmt::format("{:.0f} us", static_cast<double>(calibration) / 1e3), true});
  for (const milliseconds delay : {milliseconds(10), milliseconds(75)})
    rows.push_back(TRY(check_delay(host, delay, calibration, realtime)));
  for (const int mbit : {10, 100, 1000, 2000}) rows.push_back(TRY(check_rate(host, mbit)));
  for (const std::size_t per_train : {std::size_t{1}, kTrainSegments})
    rows.push_back(TRY(check_loss(host, per_train)));
  return rows;
}

}  // namespace netsim::emulator
