// session_links [--json | --plot] [CELL]: what a session does on difficult links, in virtual time:
// the product's sessions with their TLS and datagrams over netsim's network. The machine does not
// matter. A line a cell; CELL is the beginning of its name.
//   control-latency  round trip of a control message every 20 ms while bulk fills the link, over
//   UDP
//                    and over TLS streams (bar: base + 10 ms p50, base + 50 ms p99)
//   push             256 MiB over a cold link, from the dial to the last byte's arrival, three
//   seeds
//                    (bar: P4's formula: bytes at 0.95 of the link, 0.90 over TLS, 8 round trips,
//                    10 with loss); bytes into the link for a useful one
//   recovery         an outage, a rate that falls and rises, a longer way, reordering, duplicates:
//                    when 90 % of the link is filled again (bar: 2.5 s and two round trips), and
//                    the control round trip meanwhile
// --plot: CSV, what happened in each tenth of a second while 500 Mbit/s fell to 20 and rose again.
#include <fmt/format.h>

#include <algorithm>
#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include "tools/bench/session_load.hpp"

namespace {

using namespace longhaul;
using namespace longhaul::bench;

constexpr Duration kSettled = 10s;

struct Latency {
  bool udp;
  std::uint64_t megabits;
  double loss;
  std::string name() const {
    return fmt::format("control-latency-{}-{}-{}", udp ? "udp" : "tls", megabits, loss * 100);
  }
};

void control_latency(bool json, const Latency& cell) {
  Bench bench(Bench::options(cell.udp, cell.megabits, cell.loss));
  bench.world.start();
  bench.world.run_for(kSettled);
  const std::uint64_t before = bench.follows.bulk;
  const Time from = bench.world.wan.now();
  bench.world.run_for(20s);
  const Time to = bench.world.wan.now() - 1s;
  const Trips seen = trips_of(bench.leads, from, to, kRtt);
  const double goodput = static_cast<double>(bench.follows.bulk - before) * 8e-6 / 20;
  const auto connections = bench.world.laptop.session->status().bulk_paths;
  fmt::print(
      fmt::runtime(json ? "{{\"bench\":\"control-latency\",\"path\":\"{}\",\"rate_mbit_s\":{},"
                          "\"loss_percent\":{},\"over_base_ms_p50\":{:.1f},"
                          "\"over_base_ms_p99\":{:.1f},\"over_base_ms_most\":{:.1f},"
                          "\"messages\":{},\"bulk_mbit_s\":{:.0f},\"bulk_connections\":{}}}\n"
                        : "control-latency {} {} Mbit/s loss {} %: +{:.1f} ms p50, +{:.1f} ms p99, "
                          "+{:.1f} ms at most of {}; bulk {:.0f} Mbit/s, {} connections\n"),
      cell.udp ? "udp" : "tls", cell.megabits, cell.loss * 100, seen.p50, seen.p99, seen.most,
      seen.count, goodput, connections);
  std::fflush(stdout);
}

using Change = std::function<void(Bench&)>;
struct Recovery {
  const char* name;
  Change begin, end;
  Duration length;  // between them; what is measured counts from `end`
  Duration base;    // round trip without a queue, afterwards
};

// When the queue fell below 10 ms for good, in milliseconds.
double run_and_drain(Bench& bench, Duration length) {
  Duration drained{};
  for (Duration at = kStep; at <= length; at += kStep) {
    bench.world.run_for(kStep);
    if (queue_of(bench) > 10ms) drained = at;
  }
  return ms(drained);
}

void recovery(bool json, const Recovery& cell) {
  Bench bench(Bench::options(true, 500, 0));
  bench.world.start();
  bench.world.run_for(kSettled);
  const Time began = bench.world.wan.now();
  cell.begin(bench);
  const double drained = run_and_drain(bench, cell.length);
  cell.end(bench);
  const Time ended = bench.world.wan.now();
  Duration back{};
  while (bench.share() < 0.9 && back < 30s) back += kStep;
  bench.world.run_for(10s);
  const Trips during = trips_of(bench.leads, began, ended, kRtt);
  const Trips after = trips_of(bench.leads, ended + back, bench.world.wan.now() - 1s, cell.base);
  const auto counters = bench.world.laptop.session->status().datagram_counters;
  fmt::print(
      fmt::runtime(
          json ? "{{\"bench\":\"recovery\",\"cell\":\"{}\",\"back_ms\":{:.0f},\"bar_ms\":{:.0f},"
                 "\"drained_ms\":{:.0f},\"during_over_base_ms_p50\":{:.1f},\"during_over_base_ms_"
                 "p99\":{:.1f},"
                 "\"after_over_base_ms_p50\":{:.1f},\"after_over_base_ms_p99\":{:.1f},"
                 "\"lost\":{},\"spurious\":{},\"resent_early\":{},\"packets\":{}}}\n"
               : "recovery {}: back after {:.0f} ms (bar {:.0f}), queue drained after {:.0f}; "
                 "control +{:.1f} ms p50, "
                 "+{:.1f} p99 meanwhile, +{:.1f}, +{:.1f} afterwards; lost {}, spurious {}, "
                 "early {} of {}\n"),
      cell.name, ms(back), ms(2500ms + 2 * kRtt), drained, during.p50, during.p99, after.p50,
      after.p99, counters.lost, counters.spurious, counters.resent_early, counters.packets_out);
  std::fflush(stdout);
}

Change rate_to(std::uint64_t megabits) {
  return [megabits](Bench& bench) {
    const auto rate = BytesPerSecond::from_bits(megabits * 1'000'000);
    bench.world.wan.apply(bench.world.link,
                          netsim::RateStep{netsim::Direction::kUp, netsim::ConstantRate{rate}});
  };
}
Change outage(Duration length) {
  return
      [length](Bench& bench) { bench.world.wan.apply(bench.world.link, netsim::Outage{length}); };
}
Change reconfigured(const std::function<void(netsim::LinkConfig&)>& change) {
  return [change](Bench& bench) {
    netsim::LinkConfig config = bench.world.wan.link(bench.world.link).config();
    change(config);
    bench.world.wan.reconfigure(bench.world.link, config);
  };
}

std::vector<Recovery> recoveries() {
  const Change nothing = [](Bench&) {};
  return {
      {"outage-1s", outage(1s), nothing, 1s, kRtt},
      {"outage-10s", outage(10s), nothing, 10s, kRtt},
      {"outage-60s", outage(60s), nothing, 60s, kRtt},
      {"rate-500-20-500", rate_to(20), rate_to(500), 15s, kRtt},
      {"route-34ms-longer",
       [](Bench& b) { b.world.wan.apply(b.world.link, netsim::RouteStep{17ms}); }, nothing,
       Duration{}, kRtt + 34ms},
      {"reorder-5-percent", reconfigured([](netsim::LinkConfig& c) {
         c.up.reorder = {0.05, 10ms};
       }),
       nothing, Duration{}, kRtt},
      {"duplicate-2-percent", reconfigured([](netsim::LinkConfig& c) { c.up.duplicate = 0.02; }),
       nothing, Duration{}, kRtt},
  };
}

// A round trip is told at the time when its message was sent: the longest of each step.
void plot_rate_change() {
  struct Step {
    Time at;
    double delivered_mbit, queue_ms;
  };
  constexpr Duration kBefore = 5s, kLow = 15s, kAfter = 10s;
  Bench bench(Bench::options(true, 500, 0));
  bench.world.start();
  bench.world.run_for(kSettled - kBefore);
  const Time began = bench.world.wan.now();
  std::vector<Step> steps;
  for (Duration at{}; at < kBefore + kLow + kAfter; at += kStep) {
    if (at == kBefore) rate_to(20)(bench);
    if (at == kBefore + kLow) rate_to(500)(bench);
    const std::uint64_t before = bench.follows.bulk;
    steps.push_back({bench.world.wan.now(), 0, 0});
    bench.world.run_for(kStep);
    steps.back().delivered_mbit = static_cast<double>(bench.follows.bulk - before) * 80e-6;
    steps.back().queue_ms = ms(queue_of(bench));
  }
  bench.world.run_for(10s);  // what is under way arrives
  fmt::print("seconds,delivered_mbit,queue_ms,control_ms\n");
  for (const Step& step : steps) {
    const Trips trips = trips_of(bench.leads, step.at, step.at + kStep, Duration{});
    fmt::print("{:.1f},{:.2f},{:.2f},{:.2f}\n", ms(step.at - began) / 1e3, step.delivered_mbit,
               step.queue_ms, trips.most);
  }
}

struct Push {
  const char* name;
  std::uint64_t megabits = 500;
  double loss = 0;  // share
  double queue_bdp = 1;
  std::uint64_t policed_megabits = 0;                              // zero: no policer
  std::function<void(netsim::DirectionConfig&)> change = nullptr;  // of each way
};

std::vector<Push> pushes() {
  return {
      {.name = "loss-0"},
      {.name = "loss-0.1", .loss = 0.001},
      {.name = "loss-1", .loss = 0.01},
      {.name = "loss-2", .loss = 0.02},
      {.name = "bursts-1",
       .loss = 0.01,
       .change = [](auto& way) { way.loss = netsim::GilbertElliottLoss::of(0.01, 10); }},
      {.name = "queue-0.25", .queue_bdp = 0.25},
      {.name = "queue-4", .queue_bdp = 4},
      {.name = "policer-100mbit",
       .policed_megabits = 100,
       .change =
           [](auto& way) {
             way.policer = {BytesPerSecond::from_bits(100'000'000), ByteCount(256U << 10)};
           }},
      {.name = "jitter-pareto-4ms-30ms",
       .change =
           [](auto& way) {
             way.delay.jitter = netsim::ParetoJitter{4ms, 30ms};
           }},
      {.name = "rate-100mbit", .megabits = 100},
      {.name = "rate-1gbit", .megabits = 1000},
  };
}

void push(bool json, const Push& cell, bool udp) {
  constexpr std::uint64_t kBytes = 256U << 20, kSeeds = 3;
  constexpr Duration kMost = std::chrono::minutes(10);
  std::vector<double> took;
  double wire = 0;
  for (std::uint64_t seed = 1; seed <= kSeeds; ++seed) {
    test::WorldOptions how = Bench::options(udp, cell.megabits, cell.loss);
    how.link.queue_bdp = cell.queue_bdp;
    how.session.expects_bulk = true;
    how.check_every_step = false;
    Bench bench(how, seed);
    if (cell.change) {
      netsim::LinkConfig link = bench.world.wan.link(bench.world.link).config();
      for (netsim::DirectionConfig* way : {&link.up, &link.down}) cell.change(*way);
      bench.world.wan.reconfigure(bench.world.link, link);
    }
    bench.leads.bulk_left = kBytes;
    bench.world.start();
    const Time from = bench.world.wan.now();
    if (!bench.world.run_until([&] { return bench.follows.bulk >= kBytes; }, kMost)) {
      fmt::print(stderr, "{}: only {} bytes came\n", cell.name, bench.follows.bulk);
      std::exit(1);
    }
    took.push_back(ms(bench.world.wan.now() - from) * 1e-3);
    const auto& up = bench.world.wan.link(bench.world.link).pipe(netsim::Direction::kUp);
    wire = std::max(wire, static_cast<double>(up.counters().bytes_in) / double{kBytes});
  }
  std::sort(took.begin(), took.end());
  const double rate =
      1e6 / 8 * 1448 / 1500 * (1 - cell.loss) *
      static_cast<double>(cell.policed_megabits > 0 ? cell.policed_megabits : cell.megabits);
  const double bar =
      kBytes / ((udp ? 0.95 : 0.90) * rate) + (cell.loss > 0 ? 10 : 8) * ms(kRtt) * 1e-3;
  fmt::print(fmt::runtime(json ? "{{\"bench\":\"push\",\"cell\":\"{}\",\"path\":\"{}\","
                                 "\"seconds\":{:.2f},\"least\":{:.2f},\"most\":{:.2f},"
                                 "\"bar_seconds\":{:.2f},\"wire_per_useful_most\":{:.3f}}}\n"
                               : "push {} {}: {:.2f} s, {:.2f} to {:.2f} (bar {:.2f}), at most "
                                 "{:.3f} bytes on the wire for one\n"),
             cell.name, udp ? "udp" : "tls", took[took.size() / 2], took.front(), took.back(), bar,
             wire);
  std::fflush(stdout);
}

// Two minutes of bulk over a link far slower than the others, without control messages, which would
// take a good part of it.
struct Slow {
  std::uint64_t kilobits, queue_bytes;
  bool udp;
  std::string name() const {
    return fmt::format("slow-{}-{}-{}", udp ? "udp" : "tls", kilobits, queue_bytes);
  }
};

void slow(bool json, const Slow& cell) {
  constexpr std::uint64_t kSeconds = 120;
  constexpr Duration kMost = std::chrono::minutes(20);
  const std::uint64_t bytes = cell.kilobits * 125 * kSeconds;
  test::WorldOptions how = Bench::options(cell.udp, 1, 0);
  how.session.expects_bulk = true;
  how.check_every_step = false;
  Bench bench(how);
  netsim::LinkConfig link = bench.world.wan.link(bench.world.link).config();
  for (netsim::DirectionConfig* way : {&link.up, &link.down}) {
    way->rate = netsim::ConstantRate{BytesPerSecond::from_bits(cell.kilobits * 1000)};
    way->queue.bytes_max = ByteCount(cell.queue_bytes);
  }
  bench.world.wan.reconfigure(bench.world.link, link);
  bench.leads.pings = false;
  bench.leads.bulk_left = bytes;
  bench.world.start();
  const Time from = bench.world.wan.now();
  const bool whole = bench.world.run_until([&] { return bench.follows.bulk >= bytes; }, kMost);
  const double took = ms(bench.world.wan.now() - from) * 1e-3;
  const auto& up = bench.world.wan.link(bench.world.link).pipe(netsim::Direction::kUp);
  const double wire = static_cast<double>(up.counters().bytes_in) / static_cast<double>(bytes);
  fmt::print(fmt::runtime(json ? "{{\"bench\":\"slow\",\"path\":\"{}\",\"rate_kbit_s\":{},"
                                 "\"queue_bytes\":{},\"seconds\":{:.1f},\"of\":{},"
                                 "\"wire_per_useful\":{:.3f},\"connections\":{},\"whole\":{}}}\n"
                               : "slow {} {} kbit/s, queue of {} B: {:.1f} s for {}, {:.3f} bytes "
                                 "on the wire for one, {} connections, whole {}\n"),
             cell.udp ? "udp" : "tls", cell.kilobits, cell.queue_bytes, took, kSeconds, wire,
             bench.world.laptop.session->status().bulk_paths, whole);
  std::fflush(stdout);
}

}  // namespace

int main(int argc, char** argv) {
  const std::vector<std::string_view> words(argv + 1, argv + argc);
  const bool json = std::find(words.begin(), words.end(), "--json") != words.end();
  if (std::find(words.begin(), words.end(), "--plot") != words.end()) {
    plot_rate_change();
    return 0;
  }
  std::string wanted;
  for (const std::string_view word : words)
    if (word != "--json") wanted = word;
  const auto is_wanted = [&wanted](const std::string& name) { return name.starts_with(wanted); };
  for (const bool udp : {true, false})
    for (const auto& [megabits, loss] : {std::pair{500, 0.0}, {500, 0.01}, {20, 0.01}})
      if (const Latency cell{udp, static_cast<std::uint64_t>(megabits), loss};
          is_wanted(cell.name()))
        control_latency(json, cell);
  for (const Recovery& cell : recoveries())
    if (is_wanted(cell.name) || is_wanted("recovery")) recovery(json, cell);
  for (const Push& cell : pushes())
    for (const bool udp : {true, false})
      if (is_wanted(fmt::format("push-{}-{}", cell.name, udp ? "udp" : "tls")))
        push(json, cell, udp);
  for (const std::uint64_t kilobits : {200U, 500U, 1000U, 3000U})
    for (const std::uint64_t queue : {12000U, 64000U})
      for (const bool udp : {true, false})
        if (const Slow cell{kilobits, queue, udp}; is_wanted(cell.name())) slow(json, cell);
}
