// A GoogleTest fixture over netsim::Wan, for any project. The run is repeatable: the seed is fixed
// (or given by NETSIM_SEED), the trap is set while a test runs, and a failing test prints the
// command that repeats it.
//
//   class Ping : public netsim::WanTest {};
//   TEST_F(Ping, AnswersAfterOneRoundTrip) {
//     const auto [laptop, site, ocean] = join(netsim::wan_of(150ms, 100'000'000));
//     ...
//     wan.run();
//     EXPECT_EQ(pinger.answered, at(150ms + 2 * 5us));
//   }
//   TEST(Ping, ArrivesOnEverySeed) {
//     netsim::for_each_seed(1000, [](std::uint64_t seed) { netsim::Wan wan(seed); .. EXPECT_..; });
//   }
#pragma once

#include <gtest/gtest.h>

#include <cstdint>
#include <functional>
#include <ostream>

#include "netsim/streams.hpp"
#include "netsim/testing/trap.hpp"
#include "netsim/wan.hpp"

namespace netsim {

// NETSIM_SEED, or `fallback`.
std::uint64_t seed_or(std::uint64_t fallback);

// Runs `body` for seeds 1 to count, or for NETSIM_SEED alone, with the trap set, until one fails;
// then prints that seed and how to repeat it.
void for_each_seed(std::uint64_t count, const std::function<void(std::uint64_t seed)>& body);

constexpr Time at(Duration since_start) {
  return Time(since_start);
}

// A symmetric link: round trip, rate both ways in bit/s (0: unlimited), and a queue of 100 ms of
// that rate.
LinkConfig wan_of(Duration round_trip, std::uint64_t bits_per_second = 0);

class WanTest : public ::testing::Test {
 protected:
  explicit WanTest(std::uint64_t seed = seed_or(1)) : wan(seed) { wan.checking(true); }
  void SetUp() override { trap_.emplace(); }
  void TearDown() override;

  struct Pair {
    HostId a, b;
    LinkId link;
  };
  Pair join(const LinkConfig& config);  // two new hosts; a sends `up`

  Wan wan;

 private:
  std::optional<TrapScope> trap_;
};

}  // namespace netsim

namespace longhaul {
void PrintTo(Time time, std::ostream* out);  // "1.500060000 s": what EXPECT_EQ shows
}  // namespace longhaul
