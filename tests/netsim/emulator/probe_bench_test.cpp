// ProbeBench, which `netsim check` measures with: several at a time, and the first may end first.
#include "netsim/emulator/probe_bench.hpp"

#include <gtest/gtest.h>
#include <signal.h>
#include <sys/socket.h>

#include <cerrno>
#include <optional>

#include <nlohmann/json.hpp>

namespace netsim::emulator {
namespace {

TEST(ProbeBench, EndsWhileALaterOneStillRuns) {
  std::optional<ProbeBench> first(std::in_place), second(std::in_place);
  if (const auto ready = first->set_up({}, {}); !ready) GTEST_SKIP() << ready.error().message();
  ASSERT_TRUE(second->set_up({}, {}));
  const pid_t emulator = first->emulator.pid;
  first.reset();  // its channel's end is also in the second's emulator
  EXPECT_EQ(::kill(emulator, 0), -1);
  EXPECT_EQ(errno, ESRCH);
  EXPECT_TRUE(second->stats());
}

// What one side sends arrives at the other, and is counted.
TEST(ProbeBench, CarriesProbes) {
  ProbeBench bench;
  if (const auto ready = bench.set_up({}, {}); !ready) GTEST_SKIP() << ready.error().message();
  const std::int64_t word = 0x1234567890;
  ASSERT_EQ(::send(bench.a.get(), &word, sizeof word, 0), static_cast<ssize_t>(sizeof word));
  const auto arrival = receive_one(bench.b, std::chrono::seconds(20));
  ASSERT_TRUE(arrival);
  EXPECT_EQ(arrival->first_word, word);
  EXPECT_EQ(arrival->bytes, sizeof word);
  EXPECT_GT(arrival->wall_ns, 0);
  const auto stats = bench.stats();
  ASSERT_TRUE(stats);
  EXPECT_EQ((*stats)["up"]["delivered"], 1);
}

}  // namespace
}  // namespace netsim::emulator
