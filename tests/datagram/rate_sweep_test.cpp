// A random sweep over links. Constants were first tuned on the even cells, and the odd ones looked
// at once, afterwards; since then both are looked at with every change. LONGHAUL_SWEEP_FROM=1000
// takes cells that nobody has seen, by number; more and larger links under LONGHAUL_LONG=1, of
// which LONGHAUL_SWEEP_CELLS=20 takes so many of each half.
#include <gtest/gtest.h>

#include <algorithm>
#include <cstdlib>
#include <map>
#include <string>
#include <tuple>

#include "lib/base/rng.hpp"
#include "tests/datagram/rate_world.hpp"

namespace longhaul::datagram {
namespace {

struct Cell {
  std::uint64_t seed = 0;
  BytesPerSecond rate;
  Duration rtt{}, jitter{};
  double loss = 0, burst = 1, queue_bdp = 1, correlation = 0;
  std::uint64_t queue_bytes = 0, policer_bytes = 0;
  std::string text() const;
};

std::string Cell::text() const {
  const auto number = [](double value) {
    char out[32];
    std::snprintf(out, sizeof out, "%.3g", value);
    return std::string(out);
  };
  return "cell " + std::to_string(seed) + ": " + number(static_cast<double>(rate.bits()) / 1e6) +
         " Mbit/s, " + number(static_cast<double>(rtt.count()) / 1e6) + " ms, loss " +
         number(loss * 100) + " % in bursts of " + number(burst) + ", queue " + number(queue_bdp) +
         " BDP = " + std::to_string(queue_bytes / kPacketBytes) + " packets, policer " +
         std::to_string(policer_bytes / 1000) + " kB, jitter " +
         number(static_cast<double>(jitter.count()) / 1e6) + " ms, correlated " +
         number(correlation);
}

// Log-uniform in [low, high]; the drawing is exact enough without libm: a random power of two of a
// random mantissa.
double log_uniform(Rng& rng, double low, double high) {
  while (true) {
    double value = low;
    for (double step = 1.9; step > 1.0001; step = 1 + (step - 1) / 1.5)
      for (int i = 0; i < 24; ++i)
        if (rng.chance(0.5)) value *= step;
    // Folded into the range: a product of random factors spreads evenly over many octaves.
    while (value > high) value *= low / high;
    if (value >= low) return value;
  }
}

constexpr std::uint64_t kPacketsPerCell = 2'500'000, kPacketsPerLongCell = 40'000'000;
constexpr std::uint64_t kPacketsInFlight = 20'000, kPacketsInLongFlight = 75'000;  // of 1 BDP

bool want_long() {
  return std::getenv("LONGHAUL_LONG") != nullptr;
}

std::uint64_t asked_or(const char* variable, std::uint64_t usual) {
  const char* asked = std::getenv(variable);
  return asked == nullptr ? usual : std::strtoull(asked, nullptr, 10);
}

Duration length_of(const Cell& cell) {
  return std::max<Duration>(60 * cell.rtt, 20s);
}

Cell draw(std::uint64_t seed) {
  Rng rng(seed, "rate sweep");
  const std::uint64_t most = want_long() ? kPacketsPerLongCell : kPacketsPerCell;
  const std::uint64_t widest = want_long() ? kPacketsInLongFlight : kPacketsInFlight;
  while (true) {
    Cell cell;
    cell.seed = seed;
    cell.rtt = Duration(static_cast<std::int64_t>(log_uniform(rng, 1e6, 800e6)));
    cell.rate = BytesPerSecond(static_cast<std::uint64_t>(log_uniform(rng, 125e3, 1.25e9)));
    const std::uint64_t bdp = cell.rate.bytes_in(cell.rtt).value();
    if (bdp < 10 * kPacketBytes || bdp > widest * kPacketBytes) continue;
    if (cell.rate.bytes_in(length_of(cell)).value() / kPacketBytes > most) continue;
    cell.queue_bdp = log_uniform(rng, 0.05, 8);
    cell.queue_bytes = std::max<std::uint64_t>(
        static_cast<std::uint64_t>(cell.queue_bdp * static_cast<double>(bdp)), 10 * kPacketBytes);
    if (rng.chance(0.6)) cell.loss = log_uniform(rng, 0.0001, 0.1);
    if (cell.loss > 0 && rng.chance(0.3)) cell.burst = log_uniform(rng, 1.5, 20);
    if (rng.chance(0.15))
      cell.policer_bytes = static_cast<std::uint64_t>(
          std::max(log_uniform(rng, 0.1, 4) * static_cast<double>(bdp), 10.0 * kPacketBytes));
    if (rng.chance(0.3))
      cell.jitter = Duration(static_cast<std::int64_t>(static_cast<double>(cell.rtt.count()) *
                                                       log_uniform(rng, 0.005, 0.05)));
    if (rng.chance(0.5)) cell.correlation = rng.unit() * 0.9;
    return cell;
  }
}

netsim::LinkConfig link_of(const Cell& cell) {
  netsim::LinkConfig link;
  link.up.rate = netsim::ConstantRate{cell.rate};
  link.up.queue.bytes_max = ByteCount(cell.queue_bytes);
  link.up.delay.base = link.down.delay.base = cell.rtt / 2;
  if (cell.loss > 0 && cell.burst > 1)
    link.up.loss = netsim::GilbertElliottLoss::of(cell.loss, cell.burst);
  else if (cell.loss > 0)
    link.up.loss = netsim::BernoulliLoss{cell.loss};
  if (cell.policer_bytes > 0) {
    link.up.policer = netsim::PolicerConfig{cell.rate, ByteCount(cell.policer_bytes)};
    link.up.rate = netsim::ConstantRate{BytesPerSecond(cell.rate.value() * 4)};
  }
  if (cell.jitter > Duration{}) {
    link.up.delay.jitter = link.down.delay.jitter = netsim::NormalJitter{cell.jitter};
    link.up.delay.correlation = cell.correlation;
  }
  return link;
}

struct Outcome {
  double share = 0;           // of rate x (1 - loss), over the second half
  double standing_queue = 0;  // BDP: median of the second half
};

Outcome run(const Cell& cell) {
  RateWorld world(link_of(cell), cell.seed);
  RateOptions options;
  options.packet_bytes = kPacketBytes;
  options.handshake_rtt = cell.rtt;
  const RateControl& rate = world.add_ours(options);
  const Duration length = length_of(cell);
  std::vector<Duration> queues;
  world.every(length / 1000, [&](Duration now) {
    if (now >= length / 2) queues.push_back(world.queue());
  });
  world.run_until(length / 2);
  const std::uint64_t half = world.delivered_bytes(0);
  world.run_until(length);
  std::nth_element(queues.begin(), queues.begin() + static_cast<std::ptrdiff_t>(queues.size() / 2),
                   queues.end());
  Outcome outcome;
  // What the loss model takes before the bottleneck can be sent again, so the bottleneck may be
  // full.
  const double most = static_cast<double>(cell.rate.bytes_in(length - length / 2).value());
  outcome.share = static_cast<double>(world.delivered_bytes(0) - half) / most;
  outcome.standing_queue = static_cast<double>(queues[queues.size() / 2].count()) /
                           static_cast<double>(cell.rtt.count());
  if (outcome.share < 0.6 || outcome.standing_queue > 1)
    std::printf("%s: share %.3f, standing queue %.3f BDP\n  %s\n", cell.text().c_str(),
                outcome.share, outcome.standing_queue, to_text(rate.state()).c_str());
  return outcome;
}

// Cells below the bar, why, and what they reach at least; a cell that does better may be dropped.
struct Exception {
  double share_least, queue_most;
  const char* why;
};
const std::map<std::uint64_t, Exception>& exceptions() {
  static const std::map<std::uint64_t, Exception> kCells = {
      {86, {0.6, 1.1, "1.6 ms of way: after losses at the start it climbs until a queue stands"}},
      {65, {0.6, 1.6, "held out: 1.3 ms of way, as cell 86"}},
  };
  return kCells;
}

void sweep(std::uint64_t first) {
  const std::uint64_t from = asked_or("LONGHAUL_SWEEP_FROM", 0);
  const std::uint64_t count = asked_or("LONGHAUL_SWEEP_CELLS", want_long() ? 500 : 50);
  std::vector<double> shares;
  for (std::uint64_t i = 0; i < count; ++i) {
    const Cell cell = draw(from + first + 2 * i);
    const Outcome outcome = run(cell);
    shares.push_back(outcome.share);
    const auto known = exceptions().find(cell.seed);
    const bool excused = !want_long() && known != exceptions().end();
    EXPECT_GE(outcome.share, excused ? known->second.share_least : 0.6) << cell.text();
    EXPECT_LE(outcome.standing_queue, excused ? known->second.queue_most : 1) << cell.text();
  }
  std::sort(shares.begin(), shares.end());
  std::printf("share of the link: least %.3f, tenth %.3f, median %.3f of %zu cells\n",
              shares.front(), shares[shares.size() / 10], shares[shares.size() / 2], shares.size());
}

TEST(RateSweep, TunedHalf) {
  sweep(0);
}

TEST(RateSweep, HeldOutHalf) {
  sweep(1);
}

// The fastest links, beyond the drawn cells: up to 75,000 packets in flight. Round trip and loss.
class RateSweepTenGigabit : public testing::TestWithParam<std::tuple<Duration, double>> {};

TEST_P(RateSweepTenGigabit, IsFilled) {
  Cell cell;
  cell.seed = 1'000'000;
  cell.rate = BytesPerSecond::from_bits(10'000'000'000);
  std::tie(cell.rtt, cell.loss) = GetParam();
  if (!want_long() && (cell.rtt > 10ms || cell.loss == 0.001)) GTEST_SKIP() << "LONGHAUL_LONG=1";
  cell.queue_bdp = 2;
  cell.queue_bytes = 2 * cell.rate.bytes_in(cell.rtt).value();
  const Outcome outcome = run(cell);
  std::printf("%s: %.3f, queue %.3f BDP\n", cell.text().c_str(), outcome.share,
              outcome.standing_queue);
  EXPECT_GE(outcome.share, 0.6) << cell.text();
  EXPECT_LE(outcome.standing_queue, 1) << cell.text();
}
INSTANTIATE_TEST_SUITE_P(Cells, RateSweepTenGigabit,
                         testing::Combine(testing::Values(1ms, 10ms, 90ms),
                                          testing::Values(0.0, 0.001, 0.01)));

}  // namespace
}  // namespace longhaul::datagram
