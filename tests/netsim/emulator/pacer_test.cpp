#include "netsim/emulator/pacer.hpp"

#include <gtest/gtest.h>

namespace netsim::emulator {
namespace {

using std::chrono::microseconds;
using std::chrono::milliseconds;

const Time kStart{std::chrono::seconds(1)};

TEST(Pacer, PollsAgainWhenSomethingIsDue) {
  Pacer pacer;
  EXPECT_EQ(pacer.nap(kStart, kStart), Duration(0));
  EXPECT_EQ(pacer.nap(kStart, kStart - milliseconds(1)), Duration(0));
}

TEST(Pacer, WakesEarlierByWhatWakingTakes) {
  Pacer pacer;
  Time now = kStart;
  for (int i = 0; i < 200; ++i) {  // every sleep ends 80 us late
    const Duration nap = pacer.nap(now, now + milliseconds(10));
    ASSERT_GT(nap, Duration(0));
    now += nap + microseconds(80);
    pacer.on_wake(now);
  }
  const Duration nap = pacer.nap(now, now + milliseconds(10));
  EXPECT_LT(nap + microseconds(80), milliseconds(10));
  EXPECT_GT(nap + microseconds(80), milliseconds(10) - microseconds(40));
}

TEST(Pacer, SpinsAtMostAThirdOfTheTime) {
  Pacer pacer;
  Time now = kStart;
  Duration spun{};
  while (now < kStart + milliseconds(100)) {  // a packet every 60 us: too short to sleep and spin
    const Duration nap = pacer.nap(now, now + microseconds(60));
    if (nap == Duration(0)) spun += microseconds(10);
    now += nap == Duration(0) ? Duration(microseconds(10)) : nap;
  }
  EXPECT_LT(spun, milliseconds(36));
  EXPECT_GT(spun, milliseconds(30));
}

TEST(Pacer, NapsASecondWhenNothingIsDue) {
  Pacer pacer;
  EXPECT_EQ(pacer.nap(kStart, std::nullopt), std::chrono::seconds(1));
}

}  // namespace
}  // namespace netsim::emulator
