// netsim_virtual [--json | --trace]: how fast virtual time is, on one core.
//   pipe, jittered pipe   packets a second through one direction (bar: 2 M)
//   hops                  packet hops a second over three links of a Wan (bar: 1 M)
//   transfer              160 ms x 1 Gbit/s, one stream from a plain source, against real time
//   (bar: 5x)
// Each by the wall clock, which decides, and in processor time of this one thread, in which other
// work on the machine does not count; on a quiet machine they agree. --trace prints one number that
// must be the same for every compiler and optimisation level.
#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <ctime>
#include <string_view>

#include "netsim/streams.hpp"
#include "netsim/wan.hpp"
#include "tools/bench/measure.hpp"

namespace {

using namespace longhaul;
using namespace netsim;

constexpr int kRounds = 5;

struct Seconds {
  double wall = 1e9, processor = 1e9;
};

Seconds clocks() {
  timespec cpu{};
  clock_gettime(CLOCK_THREAD_CPUTIME_ID, &cpu);
  const auto wall = std::chrono::steady_clock::now().time_since_epoch();
  return {std::chrono::duration<double>(wall).count(),
          static_cast<double>(cpu.tv_sec) + static_cast<double>(cpu.tv_nsec) * 1e-9};
}

// The best of the rounds, by each clock.
template <class Work>
Seconds best_seconds(Work&& work) {
  Seconds best;
  for (int round = 0; round < kRounds; ++round) {
    const Seconds begin = clocks();
    work();
    const Seconds end = clocks();
    best.wall = std::min(best.wall, end.wall - begin.wall);
    best.processor = std::min(best.processor, end.processor - begin.processor);
  }
  return best;
}

struct PerSecond {
  double wall, processor;
};

PerSecond per_second(double count, const Seconds& s) {
  return {count / s.wall, count / s.processor};
}

constexpr std::uint64_t kPackets = 2'000'000;

DirectionConfig long_fat(std::uint64_t bits_per_second, Duration delay) {
  DirectionConfig config;
  config.rate = ConstantRate{BytesPerSecond::from_bits(bits_per_second)};
  config.delay.base = delay;
  config.queue.bytes_max = 8_MiB;
  return config;
}

PerSecond packets_per_second(const DirectionConfig& config) {
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
  return per_second(static_cast<double>(kPackets) * 1e-6, best_seconds(run));
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

PerSecond hops_per_second() {
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
  const Seconds best = best_seconds(run);
  return per_second(static_cast<double>(hops) * 1e-6, best);
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
  double megabits_per_second = 0;
  std::uint64_t trace = 0;
};

constexpr int kSeconds = 20;  // of virtual time

Transfer transfer(double loss) {
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
  wan.run_until(Time(std::chrono::seconds(kSeconds)));
  return {static_cast<double>(sink.received) * 8e-6 / kSeconds, wan.trace_hash()};
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
  const PerSecond pipe = packets_per_second(long_fat(1'000'000'000, 80ms));
  const PerSecond jittered = packets_per_second(noisy);
  const PerSecond hops = hops_per_second();
  Transfer last;
  const PerSecond times_real = per_second(kSeconds, best_seconds([&] { last = transfer(0); }));
  if (mode == "--json")
    fmt::print(
        "{{\"bench\":\"netsim_virtual\",\"clock\":\"wall, "
        "processor\",\"pipe_mpps\":[{:.2f},{:.2f}],"
        "\"pipe_jittered_mpps\":[{:.2f},{:.2f}],\"hops_m_per_s\":[{:.2f},{:.2f}],"
        "\"transfer_times_real\":[{:.1f},{:.1f}],\"transfer_mbit_s\":{:.0f}}}\n",
        pipe.wall, pipe.processor, jittered.wall, jittered.processor, hops.wall, hops.processor,
        times_real.wall, times_real.processor, last.megabits_per_second);
  else
    fmt::print(
        "                wall  processor time\n"
        "pipe            {:8.2f} {:8.2f} M packets/s (bar 2)\n"
        "jittered pipe   {:8.2f} {:8.2f} M packets/s\n"
        "hops            {:8.2f} {:8.2f} M/s (bar 1)\n"
        "transfer        {:8.1f} {:8.1f} x real time at {:.0f} Mbit/s of goodput (bar 5)\n",
        pipe.wall, pipe.processor, jittered.wall, jittered.processor, hops.wall, hops.processor,
        times_real.wall, times_real.processor, last.megabits_per_second);
}
