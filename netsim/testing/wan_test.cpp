#include "netsim/testing/wan_test.hpp"

#include <errno.h>
#include <fmt/format.h>

#include <cstdlib>
#include <iostream>
#include <string>

namespace netsim {
namespace {

void print_replay(std::uint64_t seed) {
  const auto* test = ::testing::UnitTest::GetInstance()->current_test_info();
  std::cerr << fmt::format(
      "netsim: seed {} failed; repeat it with\n  NETSIM_SEED={} {} --gtest_filter={}.{}\n", seed,
      seed, program_invocation_name, test->test_suite_name(), test->name());
}

std::optional<std::uint64_t> given_seed() {
  const char* text = std::getenv("NETSIM_SEED");
  if (text == nullptr || *text == '\0') return std::nullopt;
  char* end = nullptr;
  errno = 0;
  const std::uint64_t seed = std::strtoull(text, &end, 10);
  if (errno != 0 || *end != '\0') {
    std::cerr << "netsim: NETSIM_SEED is not a whole number: " << text << "\n";
    std::exit(2);
  }
  return seed;
}

}  // namespace

std::uint64_t seed_or(std::uint64_t fallback) {
  return given_seed().value_or(fallback);
}

void for_each_seed(std::uint64_t count, const std::function<void(std::uint64_t)>& body) {
  const auto given = given_seed();
  const std::uint64_t first = given.value_or(1);
  const std::uint64_t last = given ? *given : count;
  for (std::uint64_t seed = first; seed <= last; ++seed) {
    {
      const TrapScope trap;
      body(seed);
    }
    if (!::testing::Test::HasFailure()) continue;
    print_replay(seed);
    return;
  }
}

LinkConfig wan_of(Duration round_trip, std::uint64_t bits_per_second) {
  LinkConfig config;
  for (const Direction d : kBothWays) {
    config[d].delay.base = round_trip / 2;
    if (bits_per_second == 0) continue;
    const auto rate = BytesPerSecond::from_bits(bits_per_second);
    config[d].rate = ConstantRate{rate};
    const std::uint64_t queue =
        std::max<std::uint64_t>(rate.bytes_in(std::chrono::milliseconds(100)).value(), 10 * 1500);
    config[d].queue.bytes_max = ByteCount(std::min(queue, kQueueBytesMax.value()));
  }
  return config;
}

WanTest::Pair WanTest::join(const LinkConfig& config) {
  const HostId a = wan.add_host("a"), b = wan.add_host("b");
  return {a, b, wan.connect(a, b, config)};
}

void WanTest::TearDown() {
  trap_.reset();
  if (HasFailure()) print_replay(wan.seed());
}

}  // namespace netsim

namespace longhaul {

void PrintTo(Time time, std::ostream* out) {
  const auto ns = time.time_since_epoch().count();
  *out << fmt::format("{}{}.{:09} s", ns < 0 ? "-" : "", std::abs(ns) / 1'000'000'000,
                      std::abs(ns) % 1'000'000'000);
}

}  // namespace longhaul
