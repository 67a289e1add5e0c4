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

#include "netsim/emulator/accuracy_tcp.hpp"
#include "netsim/emulator/clock.hpp"
#include "netsim/emulator/inside.hpp"
#include "netsim/emulator/probe_bench.hpp"

namespace netsim::emulator {
namespace {

using longhaul::fail;
using longhaul::fail_errno;
using longhaul::Kind;
using std::chrono::microseconds;
using std::chrono::milliseconds;

constexpr std::size_t kDatagramBytes = 1400, kHeaderBytes = 28, kTrainSegments = 44;

std::int64_t wall_ns() {
  timespec t{};
  ::clock_gettime(CLOCK_REALTIME, &t);
  return std::int64_t{t.tv_sec} * 1'000'000'000 + t.tv_nsec;
}

// One-way delays of 300 probes, 5 ms apart, in nanoseconds, in ascending order.
Result<std::vector<std::int64_t>> probe_delays(const HostSettings& host, const std::string& delay) {
  ProbeBench bench;
  TRY(bench.set_up(host, {{"delay", delay}}));
  std::vector<std::int64_t> delays;
  const auto take = [&](milliseconds most) {
    const auto arrival = receive_one(bench.b, most);
    if (arrival) delays.push_back(arrival->wall_ns - arrival->first_word);
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
  double ip_bytes = 0, offered_bytes = 0;
};
Result<Progress> progress_of(ProbeBench& bench, const Fd& devices) {
  const auto stats = TRY(bench.stats());
  std::array<char, 4096> text{};
  const Time at = now();
  if (::pread(devices.get(), text.data(), text.size() - 1, 0) <= 0)
    return fail_errno("read the device's counters", errno);
  const char* line = std::strstr(text.data(), "wan0:");
  if (line == nullptr) return fail(Kind::kNotFound, "find the device's counters");
  const double received = std::strtod(line + 5, nullptr);
  const auto& up = stats["up"];
  const double shared = up["packets_out"].get<double>() - up["trains_out"].get<double>();
  return Progress{at, received + shared * kHeaderBytes, up["bytes_in"].get<double>()};
}

Result<AccuracyRow> check_rate(const HostSettings& host, int mbit) {
  ProbeBench bench;
  TRY(bench.set_up(host, {{"up.rate", fmt::format("{}mbit", mbit)}, {"up.queue", "100ms"}}));
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
  const double offered = (end->offered_bytes - begin->offered_bytes) * 8 / span_s;
  const double error = got / (mbit * 1e6) - 1;
  std::string measured = fmt::format("{:.2f} Mbit/s, {:+.2f} %", got / 1e6, error * 100);
  // Then it was the sender's rate that was measured, not the link's.
  if (offered < mbit * 1.1e6) measured += fmt::format("; only {:.0f} sent", offered / 1e6);
  return AccuracyRow{fmt::format("rate over 1 s, {} Mbit/s", mbit), "within 0.5 %",
                     std::move(measured), std::abs(error) <= 0.005};
}

// `segments` in trains of `per_train`; the count that was lost must be one that chance explains.
Result<AccuracyRow> check_loss(const HostSettings& host, std::size_t per_train) {
  ProbeBench bench;
  constexpr double kP = 0.01;
  constexpr std::size_t kSegments = 88'000;
  TRY(bench.set_up(host, {{"up.loss", "1%"}}));
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
  const auto stats = TRY(bench.stats());
  const auto in = stats["up"]["packets_in"].get<double>();
  const auto lost = stats["up"]["dropped"]["loss"].get<double>();
  const double spread = 2.576 * std::sqrt(in * kP * (1 - kP));  // 99 % of a binomial
  return AccuracyRow{
      fmt::format("loss of 1 %, trains of {}", per_train),
      fmt::format("{:.0f} to {:.0f} of {:.0f}", in * kP - spread, in * kP + spread, in),
      fmt::format("{:.0f}, {:.3f} %", lost, 100 * lost / in),
      in >= kSegments * 0.99 && std::abs(lost - in * kP) <= spread};
}

// What left the sender and was lost elsewhere than in the link is not the link's loss, and an
// error.
Result<> all_accounted(ProbeBench& bench, std::size_t count, std::size_t given) {
  const auto stats = TRY(bench.stats());
  const auto lost = stats["up"]["dropped_total"].get<std::size_t>();
  if (given + lost >= count) return {};
  const auto before = stats["dropped_before_link"].get<std::size_t>();
  const auto after = stats["sockets"]["b"]["udp"]["dropped_receive_buffer"].get<std::size_t>();
  return fail(Kind::kBusy, "count a million datagrams",
              fmt::format("{} were lost beside the link ({} trains before it, {} at the receiver)",
                          count - given - lost, before, after));
}

// Datagrams numbered from 0 in trains of 60; which of them b was given. Only so many are under way
// as the device and the receiving socket hold however busy the machine is.
Result<std::vector<bool>> arrived(ProbeBench& bench, std::size_t count) {
  constexpr int kBytes = 64;
  constexpr std::size_t kTrain = 60, kUnderWay = 100 * kTrain;
  constexpr milliseconds kTailMost{300};
  ::setsockopt(bench.a.get(), IPPROTO_UDP, kUdpSegment, &kBytes, sizeof kBytes);
  std::vector<bool> out(count);
  std::size_t seen = 0;  // all before this one have arrived or are lost: the link keeps the order
  const auto take = [&](milliseconds most) {
    const auto arrival = receive_one(bench.b, most);
    if (!arrival) return false;
    const auto number = static_cast<std::size_t>(arrival->first_word);
    if (number >= count) return true;
    out[number] = true;
    seen = std::max(seen, number + 1);
    return true;
  };
  std::array<char, kTrain * kBytes> train{};
  for (std::size_t sent = 0; sent < count; sent += kTrain) {
    for (std::size_t k = 0; k < kTrain; ++k) {
      const auto number = static_cast<std::int64_t>(sent + k);
      std::memcpy(train.data() + k * kBytes, &number, sizeof number);
    }
    if (::send(bench.a.get(), train.data(), train.size(), 0) < 0) return fail_errno("send", errno);
    while (take(milliseconds(0))) continue;
    // Should everything under way be lost, its last word is the time it had.
    while (sent + kTrain - seen > kUnderWay && take(kTailMost)) continue;
  }
  while (take(kTailMost)) continue;
  const auto given = static_cast<std::size_t>(std::count(out.begin(), out.end(), true));
  TRY(all_accounted(bench, count, given));
  return out;
}

Result<AccuracyRow> check_million(const HostSettings& host) {
  constexpr double kP = 0.01, kCount = 999'960;  // whole trains
  ProbeBench bench;
  TRY(bench.set_up(host, {{"up.loss", "1%"}}));
  const auto came = TRY(arrived(bench, static_cast<std::size_t>(kCount)));
  const auto lost = static_cast<double>(std::count(came.begin(), came.end(), false));
  const double spread = 2.576 * std::sqrt(kCount * kP * (1 - kP));  // 99 % of a binomial
  return AccuracyRow{"loss of 1 %, a million packets",
                     fmt::format("{:.0f} to {:.0f}", kCount * kP - spread, kCount * kP + spread),
                     fmt::format("{:.0f}, {:.4f} %", lost, 100 * lost / kCount),
                     std::abs(lost - kCount * kP) <= spread};
}

// 10 % in bursts of 5 gives 20,000 bursts, whose mean has a standard error of 0.6 %.
Result<AccuracyRow> check_bursts(const HostSettings& host) {
  ProbeBench bench;
  TRY(bench.set_up(host, {{"up.loss", "ge:10%/5"}}));
  const auto came = TRY(arrived(bench, 999'960));
  double lost = 0, bursts = 0;
  for (std::size_t i = 0; i < came.size(); ++i) {
    lost += came[i] ? 0 : 1;
    bursts += !came[i] && (i == 0 || came[i - 1]) ? 1 : 0;
  }
  const double mean = lost / std::max(bursts, 1.0);
  return AccuracyRow{
      "Gilbert-Elliott, bursts of 5", "mean within 3 %",
      fmt::format("{:.3f} over {:.0f} bursts, {:+.2f} %", mean, bursts, (mean / 5 - 1) * 100),
      std::abs(mean / 5 - 1) <= 0.03};
}

}  // namespace

Result<> check_accuracy(const HostSettings& host, Thoroughness how, const OnRow& on_row) {
  bool realtime = false;
  {
    ProbeBench bench;
    TRY(bench.set_up(host, {}));
    realtime = TRY(bench.stats())["realtime"].get<bool>();
  }
  const auto undelayed = TRY(probe_delays(host, "0"));
  const std::int64_t calibration = undelayed[undelayed.size() / 2];
  on_row({"constant of the path", "calibrated away",
          fmt::format("{:.0f} us", static_cast<double>(calibration) / 1e3), true});
  for (const milliseconds delay : {milliseconds(10), milliseconds(75)})
    on_row(TRY(check_delay(host, delay, calibration, realtime)));
  for (const int mbit : {10, 100, 1000, 2000}) on_row(TRY(check_rate(host, mbit)));
  for (const std::size_t per_train : {std::size_t{1}, kTrainSegments})
    on_row(TRY(check_loss(host, per_train)));
  on_row(TRY(check_million(host)));
  on_row(TRY(check_bursts(host)));
  if (how == Thoroughness::kQuick) return {};
  for (AccuracyRow& row : TRY(check_cubic(host))) on_row(std::move(row));
  return {};
}

}  // namespace netsim::emulator
