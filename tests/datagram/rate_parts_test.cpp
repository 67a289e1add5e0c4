// The parts of rate control, each alone.
#include <gtest/gtest.h>

#include "lib/datagram/delay_base.hpp"
#include "lib/datagram/trial.hpp"

namespace longhaul::datagram {
namespace {

constexpr Time at(Duration since) {
  return Time{} + since;
}
AckedPacket acked(std::uint64_t number, Duration sent, Duration delay) {
  return {SentPacket{number, at(sent), 1000, 0, false}, sent + delay, false};
}

TEST(Trial, RateIsByThePeersClock) {
  Trial trial;
  for (std::uint64_t i = 0; i < 11; ++i)  // sent at once, received a millisecond apart
    trial.add(acked(i, 0ms, 5s + Duration(1ms) * static_cast<std::int64_t>(i)));
  EXPECT_EQ(trial.delivered(), BytesPerSecond(1'000'000));
}

TEST(Trial, DelayIsNotThatOfAFewLatePackets) {
  Trial trial;
  for (std::uint64_t i = 0; i < 400; ++i)
    trial.add(acked(i, Duration(1ms) * static_cast<std::int64_t>(i), i % 5 == 0 ? 50ms : 10ms));
  EXPECT_EQ(trial.delay(), Duration(10ms));
}

TEST(Trial, APacketThatCameAfterAllWasNotLost) {
  Trial trial;
  trial.add(acked(0, 0ms, 10ms));
  trial.lost_packets = 1;
  trial.lost_bytes = 1000;
  AckedPacket late = acked(1, 1ms, 30ms);
  late.was_lost = true;
  trial.add(late);
  EXPECT_EQ(trial.loss_ppm(), 0U);
}

TEST(Trial, LossesInARowAreOneEvent) {
  Trial trial;
  for (const std::uint64_t number : {3U, 4U, 5U, 9U, 20U, 21U})
    trial.add_lost(SentPacket{number, at(0ms), 1000, 0, false});
  EXPECT_EQ(trial.lost_packets, 6U);
  EXPECT_EQ(trial.lost_bytes, 6000U);
  EXPECT_EQ(trial.loss_events, 3U);
}

TEST(TrialLog, ForgetsTheOldestAndNumbersGoOn) {
  TrialLog log;
  for (std::size_t i = 0; i < TrialLog::kMax + 10; ++i)
    log.open(at(0ms), RatePhase::kSteady, BytesPerSecond(1));
  EXPECT_EQ(log.find(9), nullptr);
  ASSERT_NE(log.find(10), nullptr);
  EXPECT_EQ(log.find(10)->id, 10U);
  EXPECT_EQ(log.next_id(), TrialLog::kMax + 10);
}

TEST(DelayBase, AQueueStandsAboveTheLeastDelay) {
  DelayBase base;
  base.add(at(0s), 100ms);
  base.add(at(100ms), 95ms);
  base.add(at(200ms), 120ms);
  EXPECT_EQ(base.queue(at(300ms), 103ms), Duration(8ms));
  EXPECT_EQ(base.queue(at(300ms), 90ms), Duration(0ms));
}

TEST(DelayBase, ClocksThatRunApartAreNoQueue) {
  for (const std::int64_t ppm : {-80, 80}) {
    DelayBase base;
    for (std::int64_t second = 0; second < 30; ++second) {
      const Duration drift = Duration(1us) * (ppm * second);
      const Duration queue = second % 3 == 0 ? 0ms : 4ms;
      base.add(at(Duration(1s) * second), Duration(100ms) + drift + queue);
    }
    EXPECT_NEAR(base.skew_ppb(), static_cast<double>(ppm * 1000), 1000) << ppm;
    const Duration later = Duration(100ms) + Duration(1us) * (ppm * 40) + Duration(5ms);
    EXPECT_NEAR(static_cast<double>(base.queue(at(40s), later).count()), 5e6, 1e5) << ppm;
  }
}

TEST(DelayBase, ALongerRouteIsTakenWhenTold) {
  DelayBase base;
  base.add(at(0s), 100ms);
  base.restart(at(10s), 117ms);
  EXPECT_EQ(base.queue(at(11s), 120ms), Duration(3ms));
}

}  // namespace
}  // namespace longhaul::datagram
