// session_trials [--json] [CELL]: what it costs to try TLS beside datagrams, and what it finds, in
// virtual time: the product's sessions with their TLS and datagrams over netsim's network. The
// machine does not matter. A line a cell; CELL is the beginning of its name.
//   tls-trial        seconds 30 to 120 of endless bulk in datagrams, in which TLS is tried beside
//                    them: queue at the bottleneck (bar: p50 5 ms, p99 25 ms) and control round
//                    trip; three seeds, the worst of each
//   throttled        a network that holds UDP, and nothing else, to a fifth of the link: when the
//                    session has gone over to TLS, three seeds
#include <fmt/format.h>

#include <algorithm>
#include <string>
#include <string_view>
#include <tuple>
#include <vector>

#include "tools/bench/session_load.hpp"

namespace {

using namespace longhaul;
using namespace longhaul::bench;

struct Throttled {
  const char* name;
  std::uint64_t megabits;
  ByteCount burst, queue;
};

test::WorldOptions tried(std::uint64_t megabits, double queue_bdp, double loss) {
  test::WorldOptions how = Bench::options(true, megabits, loss);
  how.link.queue_bdp = queue_bdp;
  how.session.expects_bulk = true;
  how.check_every_step = false;
  return how;
}

struct TrialCell {
  std::uint64_t megabits;
  double queue_bdp, loss;
  std::string name() const {
    return fmt::format("tls-trial-{}-{}-{}", megabits, queue_bdp, loss * 100);
  }
};

void tls_trial(bool json, const TrialCell& cell) {
  constexpr Duration kFrom = 30s, kTo = 120s, kLook = 10ms;
  double p50 = 0, p99 = 0, most = 0, control_p50 = 0, control_p99 = 0, goodput = 1e9;
  bool left = false;
  for (std::uint64_t seed = 1; seed <= 3; ++seed) {
    Bench bench(tried(cell.megabits, cell.queue_bdp, cell.loss), seed);
    bench.world.start();
    bench.world.run_for(kFrom);
    const std::uint64_t before = bench.follows.bulk;
    std::vector<double> queues;
    for (Duration at = kFrom; at < kTo; at += kLook) {
      bench.world.run_for(kLook);
      queues.push_back(ms(queue_of(bench)));
    }
    std::sort(queues.begin(), queues.end());
    const Trips seen = trips_of(bench.leads, Time{} + kFrom, Time{} + kTo - 1s, kRtt);
    p50 = std::max(p50, queues[queues.size() / 2]);
    p99 = std::max(p99, queues[queues.size() * 99 / 100]);
    most = std::max(most, queues.back());
    control_p50 = std::max(control_p50, seen.p50);
    control_p99 = std::max(control_p99, seen.p99);
    const double all = static_cast<double>(bench.follows.bulk - before);
    goodput = std::min(goodput, all * 8e-6 / (ms(kTo - kFrom) * 1e-3));
    left = left || !bench.world.laptop.session->status().datagrams;
  }
  fmt::print(
      fmt::runtime(json ? "{{\"bench\":\"tls-trial\",\"cell\":\"{}\",\"queue_ms_p50\":{:.1f},"
                          "\"queue_ms_p99\":{:.1f},\"queue_ms_most\":{:.1f},"
                          "\"over_base_ms_p50\":{:.1f},\"over_base_ms_p99\":{:.1f},"
                          "\"bulk_mbit_s\":{:.1f},\"left_udp\":{}}}\n"
                        : "{}: queue {:.1f} ms p50, {:.1f} p99, {:.1f} at most; control +{:.1f} "
                          "ms p50, +{:.1f} p99; bulk {:.1f} Mbit/s; left UDP: {}\n"),
      cell.name(), p50, p99, most, control_p50, control_p99, goodput, left);
  std::fflush(stdout);
}

std::vector<Throttled> throttles() {
  return {{"throttled-policer-100", 100, ByteCount(256U << 10), ByteCount(0)},
          {"throttled-shaper-100", 100, ByteCount(0), ByteCount(512U << 10)},
          {"throttled-policer-500", 500, ByteCount(256U << 10), ByteCount(0)},
          {"throttled-shaper-500", 500, ByteCount(0), ByteCount(2560U << 10)}};
}

void throttled(bool json, const Throttled& cell) {
  std::vector<double> found;
  for (std::uint64_t seed = 1; seed <= 3; ++seed) {
    test::WorldOptions how = tried(cell.megabits, 1, 0);
    how.udp_throttle = {BytesPerSecond::from_bits(cell.megabits * 200'000), cell.burst, cell.queue};
    Bench bench(how, seed);
    bench.world.start();
    const auto over_tls = [&bench] {
      return bench.world.laptop.session->status().choice == session::ChoiceReason::kThrottled;
    };
    bench.world.run_until(over_tls, std::chrono::minutes(6));
    found.push_back(ms(bench.world.wan.now() - Time{}) * 1e-3);
  }
  std::sort(found.begin(), found.end());
  fmt::print(fmt::runtime(json ? "{{\"bench\":\"throttled\",\"cell\":\"{}\",\"seconds\":{:.1f},"
                                 "\"least\":{:.1f},\"most\":{:.1f}}}\n"
                               : "{}: over TLS after {:.1f} s, {:.1f} to {:.1f}\n"),
             cell.name, found[1], found.front(), found.back());
  std::fflush(stdout);
}

}  // namespace

int main(int argc, char** argv) {
  bool json = false;
  std::string wanted;
  for (int i = 1; i < argc; ++i) {
    if (std::string_view(argv[i]) == "--json")
      json = true;
    else
      wanted = argv[i];
  }
  const auto is_wanted = [&wanted](const std::string& name) { return name.starts_with(wanted); };
  for (const auto& [megabits, queue, loss] : {std::tuple{100, 1.0, 0.0},
                                              {100, 0.5, 0.0},
                                              {100, 4.0, 0.0},
                                              {100, 1.0, 0.01},
                                              {500, 1.0, 0.0}})
    if (const TrialCell cell{static_cast<std::uint64_t>(megabits), queue, loss};
        is_wanted(cell.name()))
      tls_trial(json, cell);
  for (const Throttled& cell : throttles())
    if (is_wanted(cell.name)) throttled(json, cell);
}
