// run_points [--json]: what a point costs on its way from a training thread to a screen, on one
// core: the push into the ring (hot; and cold, 96 MB touched between calls), the drain into the run
// log, the segment for the wire, the curve a chart is drawn from. Bars: push hot p50 40 ns, p99.9
// 150 ns; cold p50 400 ns, p99 1.5 us; 1 M points/s through drain and segment; 3 bytes a point.
#include <fmt/format.h>
#include <sys/mman.h>

#include <algorithm>
#include <cmath>
#include <string_view>

#include "lib/base/rng.hpp"
#include "lib/run/curve.hpp"
#include "lib/run/drain.hpp"
#include "lib/run/segment.hpp"
#include "tools/bench/measure.hpp"

namespace {

using namespace longhaul;
using namespace longhaul::run;

constexpr SharedLogOptions kOptions{.rings = 1, .ring_records = 1U << 20};
constexpr std::uint32_t kSeries = 20;

MutableBytes shared_memory() {  // populated, as the client maps it
  const std::size_t size = SharedLog::bytes(kOptions);
  void* at =
      mmap(nullptr, size, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS | MAP_POPULATE, -1, 0);
  ASSERT(at != MAP_FAILED);
  return {static_cast<std::byte*>(at), size};
}

double seconds() {
  timespec now{};
  clock_gettime(CLOCK_MONOTONIC, &now);
  return static_cast<double>(now.tv_sec) + 1e-9 * static_cast<double>(now.tv_nsec);
}

struct Percentiles {
  double p50 = 0, p99 = 0, p999 = 0;  // ns
};
Percentiles of(std::vector<double>& ns) {
  std::sort(ns.begin(), ns.end());
  const auto at = [&](double q) {
    return ns[static_cast<std::size_t>(q * static_cast<double>(ns.size() - 1))];
  };
  return {at(0.5), at(0.99), at(0.999)};
}

// One call between two clock reads, less what two clock reads cost by themselves.
double clock_cost() {
  std::vector<double> empty;
  for (int i = 0; i < 10'000; ++i) {
    const double before = seconds();
    empty.push_back((seconds() - before) * 1e9);
  }
  return of(empty).p50;
}

Percentiles push_cost(int calls, std::size_t touched) {
  MutableBytes memory = shared_memory();
  SharedLog shared = SharedLog::create(memory, kOptions);
  RingProducer ring = *shared.claim_ring();
  ByteVector cold(touched, std::byte{1});
  const double clock = clock_cost();
  std::vector<double> ns;
  for (int i = 0; i < calls; ++i) {
    for (std::size_t k = 0; k < cold.size(); k += 64) cold[k] ^= std::byte{1};
    bench::keep(cold);
    const Point point{SeriesId(static_cast<std::uint32_t>(i) % kSeries),
                      static_cast<std::uint64_t>(i), WallTime{i}, 0.5};
    const double before = seconds();
    ring.push(point);
    ns.push_back(std::max(0.0, (seconds() - before) * 1e9 - clock));
  }
  munmap(memory.data(), memory.size());
  return of(ns);
}

// The mean of a million calls back to back: no clock in between.
double push_mean() {
  MutableBytes memory = shared_memory();
  SharedLog shared = SharedLog::create(memory, kOptions);
  RingProducer ring = *shared.claim_ring();
  const int calls = 1 << 20;
  const double before = seconds();
  for (int i = 0; i < calls; ++i)
    ring.push({SeriesId(static_cast<std::uint32_t>(i) % kSeries), static_cast<std::uint64_t>(i),
               WallTime{i}, 0.5});
  const double mean = (seconds() - before) * 1e9 / calls;
  munmap(memory.data(), memory.size());
  return mean;
}

std::vector<Point> noisy_curves(std::uint64_t steps) {
  Rng rng(1, "bench.points");
  std::vector<Point> points;
  std::int64_t at = 1'700'000'000'000'000'000;
  for (std::uint64_t step = 0; step < steps; ++step) {
    at += 180'000'000 + static_cast<std::int64_t>(rng.below(4'000'000));
    for (std::uint32_t s = 0; s < kSeries; ++s) {
      const double curve = (1.0 + s) * (0.5 + 3.0 / std::sqrt(1.0 + static_cast<double>(step)));
      const double noise = 1.0 + 0.05 * (rng.unit() + rng.unit() - 1.0);
      points.push_back({SeriesId(s), step, WallTime{at},
                        static_cast<double>(static_cast<float>(curve * noise))});
    }
  }
  return points;
}

struct Rates {
  double drain = 0, encode = 0, decode = 0, curve = 0;  // points a second
  double log_bytes = 0, wire_bytes = 0;                 // a point
};

Rates rates() {
  Rates out;
  const auto points = noisy_curves(50'000);  // a million
  const auto count = static_cast<double>(points.size());
  MutableBytes memory = shared_memory();
  SharedLog shared = SharedLog::create(memory, kOptions);
  for (std::uint32_t s = 0; s < kSeries; ++s) shared.add_series("series" + std::to_string(s));
  RingProducer ring = *shared.claim_ring();
  for (const Point& point : points) ring.push(point);
  double began = seconds();
  Drain drain(shared, LogEncoder());
  std::size_t bytes = 0;
  while (auto frame = drain.next_frame()) {
    bytes += frame->size();
    drain.written();
  }
  out.drain = count / (seconds() - began);
  out.log_bytes = static_cast<double>(bytes) / count;
  std::vector<ByteVector> segments;
  began = seconds();
  for (std::size_t at = 0; at < points.size(); at += 40'000)
    segments.push_back(encode_segment(
        {points.begin() + static_cast<std::ptrdiff_t>(at),
         points.begin() + static_cast<std::ptrdiff_t>(std::min(points.size(), at + 40'000))}));
  out.encode = count / (seconds() - began);
  bytes = 0;
  began = seconds();
  for (const ByteVector& segment : segments) {
    bytes += segment.size();
    bench::keep(decode_segment(segment));
  }
  out.decode = count / (seconds() - began);
  out.wire_bytes = static_cast<double>(bytes) / count;
  began = seconds();
  Curve curve;
  for (std::uint64_t i = 0; i < points.size(); ++i) curve.append(i, points[i].value);
  out.curve = count / (seconds() - began);
  munmap(memory.data(), memory.size());
  return out;
}

}  // namespace

int main(int argc, char** argv) {
  const bool json = argc > 1 && std::string_view(argv[1]) == "--json";
  const double mean = push_mean();
  const Percentiles hot = push_cost(1 << 20, 0), cold = push_cost(300, 96U << 20);
  const Rates r = rates();
  if (json) {
    fmt::print(
        "{{\"bench\":\"run_points\",\"push_mean_ns\":{:.1f},\"push_p50_ns\":{:.0f},"
        "\"push_p99_ns\":{:.0f},\"push_p999_ns\":{:.0f},\"cold_p50_ns\":{:.0f},"
        "\"cold_p99_ns\":{:.0f},\"drain_per_s\":{:.0f},\"encode_per_s\":{:.0f},"
        "\"decode_per_s\":{:.0f},\"curve_per_s\":{:.0f},\"log_bytes\":{:.2f},"
        "\"wire_bytes\":{:.2f}}}\n",
        mean, hot.p50, hot.p99, hot.p999, cold.p50, cold.p99, r.drain, r.encode, r.decode, r.curve,
        r.log_bytes, r.wire_bytes);
    return 0;
  }
  fmt::print("push, hot     mean {:.1f} ns, p50 {:.0f}, p99 {:.0f}, p99.9 {:.0f}\n", mean, hot.p50,
             hot.p99, hot.p999);
  fmt::print("push, cold    p50 {:.0f} ns, p99 {:.0f}\n", cold.p50, cold.p99);
  fmt::print("drain         {:.1f} M points/s, {:.2f} bytes a point in the log\n", r.drain * 1e-6,
             r.log_bytes);
  fmt::print("segment       {:.1f} M points/s in, {:.1f} out, {:.2f} bytes a point\n",
             r.encode * 1e-6, r.decode * 1e-6, r.wire_bytes);
  fmt::print("curve         {:.1f} M points/s\n", r.curve * 1e-6);
}
