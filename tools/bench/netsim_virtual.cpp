// netsim_virtual [--json | --trace]: how fast virtual time is, on one core.
//   pipe, jittered pipe   packets a second through one direction (bar: 2 M)
//   hops                  packet hops a second over three links of a Wan (bar: 1 M)
//   transfer              160 ms x 1 Gbit/s, one stream from a plain source, against real time
//   (bar: 5x)
// Measured in processor time of this one thread, so that other work on the machine does not count;
// on a quiet machine that is wall time. --trace prints one number that must be the same for every
// compiler and optimisation level.
#include <fmt/format.h>

#include <algorithm>
#include <ctime>
#include <string_view>

#include "netsim/streams.hpp"
#include "netsim/wan.hpp"
#include "tools/bench/measure.hpp"

namespace {

using namespace longhaul;
using namespace netsim;

constexpr int kRounds = 5;

double cpu_seconds() {
  timespec now{};
  clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
  return static_cast<double>(now.tv_sec) + static_cast<double>(now.tv_nsec) * 1e-9;
}

template <class Work>
double best_seconds(Work&& work) {
  double best = 1e9;
  for (int round = 0; round < kRounds; ++round) {
    const double begin = cpu_seconds();
    work();
    best = std::min(best, cpu_seconds() - begin);
  }
  return best;
}
constexpr std::uint64_t kPackets = 2'000'000;

DirectionConfig long_fat(std::uint64_t bits_per_second, Duration delay) {
  DirectionConfig config;
  config.rate = ConstantRate{BytesPerSecond::from_bits(bits_per_second)};
  config.delay.base = delay;
  config.queue.bytes_max = 8_MiB;
  return config;
}

double packets_per_second(const DirectionConfig& config) {
  const auto run = [&] {
    Pipe pipe(config, Rng(1), Time{});
    std::uint64_t delivered = 0;
    for (std::uint64_t i = 0; i < kPackets; ++i) {
      const Time now(std::chrono::nanoseconds(12'000 * i));
      pipe.push(now, {i, 1500});
      while (pipe.pop(now)) ++delivered;
      while (pipe.pop_drop()) ++delivered;
    }
    bench::keep(delivered);
  };
  return static_cast<double>(kPackets) / best_seconds(run);
}

class Bouncer : public DatagramUser {  // answers until enough have come
 public:
  Bouncer(Wan& wan, std::uint64_t count) : wan_(wan), left_(count) {}
  void on_datagram(Time, const Datagram& datagram) override {
    if (left_ == 0) return;
    --left_;
    wan_.send({datagram.to, datagram.from, datagram.payload});
  }

 private:
  Wan& wan_;
  std::uint64_t left_;
};

double hops_per_second() {
  std::uint64_t hops = 0;
  const auto run = [&] {
    Wan wan(1);
    std::vector<HostId> hosts;
    for (const char* name : {"laptop", "isp", "exchange", "site"})
      hosts.push_back(wan.add_host(name));
    for (std::size_t i = 0; i + 1 < hosts.size(); ++i) {
      LinkConfig config;
      config.up = config.down = long_fat(1'000'000'000, 20ms);
      wan.connect(hosts[i], hosts[i + 1], config);
    }
    Bouncer laptop(wan, 150'000), site(wan, 150'000);
    wan.bind(endpoint(hosts[0], 1), laptop);
    wan.bind(endpoint(hosts[3], 1), site);
    const Slice payload = Slice::copy_of(ByteVector(1200));
    for (int i = 0; i < 3000; ++i)  // in flight at a time
      wan.send({endpoint(hosts[0], 1), endpoint(hosts[3], 1), payload});
    wan.run();
    hops = wan.packet_hops();
  };
  const double seconds = best_seconds(run);
  return static_cast<double>(hops) / seconds;
}

class Plain : public StreamUser {  // a source on one side, a sink on the other
 public:
  explicit Plain(Wan& wan) : wan_(wan) {}
  void on_connected(Time now, StreamId id) override { on_writable(now, id); }
  void on_writable(Time, StreamId id) override {
    while (wan_.streams().write(id, block_) == block_.size()) {
    }
  }
  void on_bytes(Time, StreamId, Slice bytes) override { received += bytes.size(); }
  void on_closed(Time, StreamId, CloseReason) override {}
  std::uint64_t received = 0;

 private:
  Wan& wan_;
  Slice block_ = Slice::copy_of(ByteVector(256 << 10));
};

struct Transfer {
  double times_real = 0, megabits_per_second = 0;
  std::uint64_t hops = 0, trace = 0;
};

Transfer transfer(double loss) {
  constexpr int kSeconds = 20;
  Wan wan(1);
  LinkConfig config;
  config.up = config.down = long_fat(1'000'000'000, 80ms);
  if (loss > 0) config.up.loss = BernoulliLoss{loss};
  const HostId a = wan.add_host("a"), b = wan.add_host("b");
  wan.connect(a, b, config);
  Plain source(wan), sink(wan);
  wan.streams().listen(endpoint(b, 1), [&](Time, StreamId, Endpoint) { return &sink; });
  StreamOptions options;
  options.flow.send_buffer_bytes = options.flow.receive_buffer_bytes = 64U << 20;
  wan.streams().dial(a, endpoint(b, 1), source, options);
  const double begin = cpu_seconds();
  wan.run_until(Time(std::chrono::seconds(kSeconds)));
  const double seconds = cpu_seconds() - begin;
  return {kSeconds / seconds, static_cast<double>(sink.received) * 8e-6 / kSeconds,
          wan.packet_hops(), wan.trace_hash()};
}

}  // namespace

int main(int argc, char** argv) {
  const std::string_view mode = argc > 1 ? argv[1] : "";
  if (mode == "--trace") {
    fmt::print("{:016x}\n", transfer(0.001).trace ^ transfer(0).trace);
    return 0;
  }
  DirectionConfig noisy = long_fat(1'000'000'000, 80ms);
  noisy.loss = GilbertElliottLoss::of(0.0005, 5);
  noisy.delay.jitter = ParetoJitter{4ms, 40ms};
  noisy.delay.may_reorder = true;
  const double pipe = packets_per_second(long_fat(1'000'000'000, 80ms)) * 1e-6;
  const double jittered = packets_per_second(noisy) * 1e-6;
  const double hops = hops_per_second() * 1e-6;
  Transfer best;
  for (int round = 0; round < kRounds; ++round) {
    const Transfer t = transfer(0);
    if (t.times_real > best.times_real) best = t;
  }
  if (mode == "--json")
    fmt::print(
        "{{\"bench\":\"netsim_virtual\",\"pipe_mpps\":{:.2f},\"pipe_jittered_mpps\":{:.2f},"
        "\"hops_m_per_s\":{:.2f},\"transfer_times_real\":{:.1f},\"transfer_mbit_s\":{:.0f}}}\n",
        pipe, jittered, hops, best.times_real, best.megabits_per_second);
  else
    fmt::print(
        "pipe            {:8.2f} M packets/s (bar 2)\njittered pipe   {:8.2f} M packets/s\n"
        "hops            {:8.2f} M/s (bar 1)\n"
        "transfer        {:8.1f} x real time at {:.0f} Mbit/s of goodput (bar 5)\n",
        pipe, jittered, hops, best.times_real, best.megabits_per_second);
}
