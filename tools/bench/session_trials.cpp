// session_trials [--json] [CELL]: what it costs to try TLS beside datagrams, and what it finds, in
// virtual time: the product's sessions with their TLS and datagrams over netsim's network. The
// machine does not matter. A line a cell; CELL is the beginning of its name.
//   tls-trial        seconds 30 to 120 of endless bulk in datagrams, in which TLS is tried beside
//                    them: queue at the bottleneck (bar: p50 5 ms, p99 25 ms) and control round
//                    trip; three seeds, the worst of each
//   tls-alone        the same seconds where UDP is off
//   throttled        a network that holds UDP, and nothing else, to a fifth of the link: when the
//                    session has gone over to TLS, three seeds
//   throttle-ends    the same network, which lets go of UDP once the session is on TLS: how long
//                    until UDP has the bulk again, and queue and control from when it is tried
//                    beside TLS, for 20 s; three seeds, the worst of each
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

test::WorldOptions tried(bool udp, std::uint64_t megabits, double queue_bdp, double loss) {
  test::WorldOptions how = Bench::options(udp, megabits, loss);
  how.link.queue_bdp = queue_bdp;
  how.session.expects_bulk = true;
  how.check_every_step = false;
  return how;
}

struct TrialCell {
  bool udp;
  std::uint64_t megabits;
  double queue_bdp, loss;
  std::string name() const {
    return fmt::format("tls-{}-{}-{}-{}", udp ? "trial" : "alone", megabits, queue_bdp, loss * 100);
  }
};

// Each figure of the worst seed.
struct Worst {
  double p50 = 0, p99 = 0, most = 0, control_p50 = 0, control_p99 = 0, goodput = 1e9;
  // From now for so long.
  void watch(Bench& bench, Duration span) {
    constexpr Duration kLook = 10ms;
    const Time from = bench.world.wan.now();
    const std::uint64_t before = bench.follows.bulk;
    std::vector<double> queues;
    for (Duration at{}; at < span; at += kLook) {
      bench.world.run_for(kLook);
      queues.push_back(ms(queue_of(bench)));
    }
    std::sort(queues.begin(), queues.end());
    const Trips seen = trips_of(bench.leads, from, from + span - 1s, kRtt);
    p50 = std::max(p50, queues[queues.size() / 2]);
    p99 = std::max(p99, queues[queues.size() * 99 / 100]);
    most = std::max(most, queues.back());
    control_p50 = std::max(control_p50, seen.p50);
    control_p99 = std::max(control_p99, seen.p99);
    const double all = static_cast<double>(bench.follows.bulk - before);
    goodput = std::min(goodput, all * 8e-6 / (ms(span) * 1e-3));
  }
};

void tls_trial(bool json, const TrialCell& cell) {
  Worst worst;
  bool left = false;
  for (std::uint64_t seed = 1; seed <= 3; ++seed) {
    Bench bench(tried(cell.udp, cell.megabits, cell.queue_bdp, cell.loss), seed);
    bench.world.start();
    bench.world.run_for(30s);
    worst.watch(bench, 90s);
    left = left || !bench.world.laptop.session->status().datagrams;
  }
  fmt::print(
      fmt::runtime(json ? "{{\"bench\":\"tls-trial\",\"cell\":\"{}\",\"queue_ms_p50\":{:.1f},"
                          "\"queue_ms_p99\":{:.1f},\"queue_ms_most\":{:.1f},"
                          "\"over_base_ms_p50\":{:.1f},\"over_base_ms_p99\":{:.1f},"
                          "\"bulk_mbit_s\":{:.1f},\"left_udp\":{}}}\n"
                        : "{}: queue {:.1f} ms p50, {:.1f} p99, {:.1f} at most; control +{:.1f} "
                          "ms p50, +{:.1f} p99; bulk {:.1f} Mbit/s; left UDP: {}\n"),
      cell.name(), worst.p50, worst.p99, worst.most, worst.control_p50, worst.control_p99,
      worst.goodput, left);
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
    test::WorldOptions how = tried(true, cell.megabits, 1, 0);
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

void throttle_ends(bool json, std::uint64_t megabits) {
  Worst worst;
  double longest = 0;
  bool back = true;
  for (std::uint64_t seed = 1; seed <= 3; ++seed) {
    test::WorldOptions how = tried(true, megabits, 1, 0);
    how.udp_throttle = {BytesPerSecond::from_bits(megabits * 200'000), ByteCount(0),
                        ByteCount(megabits * 5'000)};
    Bench bench(how, seed);
    const auto choice = [&bench] { return bench.world.laptop.session->status().choice; };
    bench.world.start();
    const auto comes_to = [&](session::ChoiceReason why) {
      return bench.world.run_until([&] { return choice() == why; }, std::chrono::minutes(6));
    };
    back = comes_to(session::ChoiceReason::kThrottled) && back;
    bench.world.options.udp_throttle.reset();
    const Time lifted = bench.world.wan.now();
    back = comes_to(session::ChoiceReason::kTesting) && back;
    const Time begin = bench.world.wan.now();
    worst.watch(bench, 20s);
    back = back && choice() == session::ChoiceReason::kAnswered;
    for (const auto& [at, event] : bench.world.laptop.events_of<session::PathChosen>())
      if (at > begin && event.why == session::ChoiceReason::kAnswered)
        longest = std::max(longest, ms(at - lifted) * 1e-3);
  }
  fmt::print(
      fmt::runtime(json ? "{{\"bench\":\"throttle-ends\",\"cell\":\"throttle-ends-{}\","
                          "\"back\":{},\"seconds\":{:.1f},\"queue_ms_p50\":{:.1f},"
                          "\"queue_ms_p99\":{:.1f},\"over_base_ms_p50\":{:.1f},"
                          "\"over_base_ms_p99\":{:.1f},\"bulk_mbit_s\":{:.1f}}}\n"
                        : "throttle-ends-{}: back on UDP: {}, after {:.1f} s; queue {:.1f} ms p50, "
                          "{:.1f} p99; control +{:.1f} ms p50, +{:.1f} p99; bulk {:.1f} Mbit/s\n"),
      megabits, back, longest, worst.p50, worst.p99, worst.control_p50, worst.control_p99,
      worst.goodput);
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
  for (const auto& [udp, megabits, queue, loss] : {std::tuple{true, 100, 1.0, 0.0},
                                                   {true, 100, 0.5, 0.0},
                                                   {true, 100, 4.0, 0.0},
                                                   {true, 100, 1.0, 0.01},
                                                   {true, 500, 1.0, 0.0},
                                                   {false, 20, 1.0, 0.0},
                                                   {false, 100, 1.0, 0.0},
                                                   {false, 100, 4.0, 0.0},
                                                   {false, 500, 1.0, 0.0}})
    if (const TrialCell cell{udp, static_cast<std::uint64_t>(megabits), queue, loss};
        is_wanted(cell.name()))
      tls_trial(json, cell);
  for (const Throttled& cell : throttles())
    if (is_wanted(cell.name)) throttled(json, cell);
  for (const std::uint64_t megabits : {20UL, 100UL, 500UL})
    if (is_wanted(fmt::format("throttle-ends-{}", megabits))) throttle_ends(json, megabits);
}
