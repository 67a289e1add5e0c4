#include "lib/session/scheduler.hpp"

#include <gtest/gtest.h>

#include <map>

namespace longhaul::session {
namespace {

constexpr LaneSet kAll = kUrgentLanes | kBulkLanes;
constexpr Duration kRtt = 180ms;

struct Queue {
  Scheduler scheduler;
  Scheduler::Offers offers{};
  Time now = Time{} + 10s;
  std::map<Lane, std::uint64_t> sent;
  Queue() { scheduler.set_link(kRtt, BytesPerSecond(10'000'000)); }
  Scheduler::Offer& at(Lane lane) { return offers[static_cast<std::size_t>(lane)]; }
  void ready(Lane lane, bool is = true) { at(lane).ready = is; }
  std::optional<Lane> pick(LaneSet allowed = kAll) { return scheduler.pick(now, offers, allowed); }
  std::optional<Lane> send(std::uint64_t bytes) {
    const auto lane = pick();
    if (!lane) return lane;
    scheduler.on_sent(now, *lane, bytes);
    sent[*lane] += bytes;
    return lane;
  }
};

TEST(Scheduler, NothingToSendIsNoLane) {
  Queue queue;
  EXPECT_EQ(queue.pick(), std::nullopt);
}

TEST(Scheduler, LiveGoesFirstOnceAPace) {
  Queue queue;
  for (const Lane lane : {Lane::kLive, Lane::kUpdate, Lane::kBulk}) queue.ready(lane);
  EXPECT_EQ(queue.send(100), Lane::kLive);
  EXPECT_EQ(queue.send(100), Lane::kLive);  // all that waits goes in one turn
  queue.now += 3ms;                         // which is over
  EXPECT_EQ(queue.pick(), Lane::kUpdate);
  const auto again = queue.scheduler.live_at(queue.now);
  ASSERT_TRUE(again);
  EXPECT_EQ(*again, Time{} + 10s + kRtt / 2);
  queue.now = *again - 1ns;
  EXPECT_EQ(queue.pick(), Lane::kUpdate);
  queue.now = *again;
  EXPECT_EQ(queue.scheduler.live_at(queue.now), std::nullopt);
  EXPECT_EQ(queue.pick(), Lane::kLive);
}

TEST(Scheduler, LiveHasATwentiethOfTheRateAtMost) {
  Queue queue;
  queue.ready(Lane::kLive);
  queue.ready(Lane::kBulk);
  const Time end = queue.now + 20s;
  for (; queue.now < end; queue.now += 100us)  // 10 MB/s
    queue.send(1000);
  EXPECT_LE(queue.sent[Lane::kLive], 500'000U * 20 + kLiveBurst + 1000);
  EXPECT_GE(queue.sent[Lane::kBulk], 9'400'000U * 20);
  // Its deadline is one at which it may go, and not before.
  while (queue.send(1000) == Lane::kLive) {
  }
  const auto again = queue.scheduler.live_at(queue.now);
  ASSERT_TRUE(again && *again > queue.now);
  queue.now = *again;
  EXPECT_EQ(queue.pick(), Lane::kLive);
}

TEST(Scheduler, OfUpdateAndDemandTheOneWithLessSlackGoes) {
  Queue queue;
  for (const Lane lane : {Lane::kUpdate, Lane::kDemand, Lane::kBulk}) queue.ready(lane);
  queue.at(Lane::kUpdate).start_by = queue.now + 2s;
  queue.at(Lane::kDemand).start_by = queue.now + 1s;
  EXPECT_EQ(queue.pick(), Lane::kDemand);
  queue.at(Lane::kDemand).start_by = queue.now + 2s;
  EXPECT_EQ(queue.pick(), Lane::kUpdate);
  queue.ready(Lane::kUpdate, false);
  EXPECT_EQ(queue.pick(), Lane::kDemand);
  queue.ready(Lane::kDemand, false);
  EXPECT_EQ(queue.pick(), Lane::kBulk);
}

TEST(Scheduler, BulkAndBackfillShareByWeight) {
  Queue queue;
  queue.ready(Lane::kBulk);
  queue.ready(Lane::kBackfill);
  for (int i = 0; i < 10'000; ++i) queue.send(1000);
  const std::uint64_t all = queue.sent[Lane::kBulk] + queue.sent[Lane::kBackfill];
  EXPECT_NEAR(static_cast<double>(queue.sent[Lane::kBackfill]) / static_cast<double>(all), 0.15,
              0.001);
}

TEST(Scheduler, WhoComesBackIsNotPaidForThePast) {
  for (const auto& [steady, back] :
       {std::pair{Lane::kBulk, Lane::kBackfill}, std::pair{Lane::kBackfill, Lane::kBulk}}) {
    Queue queue;
    queue.ready(steady);
    for (int i = 0; i < 10'000; ++i) queue.send(1000);
    queue.ready(back);
    queue.sent.clear();
    for (int i = 0; i < 1'000; ++i) queue.send(1000);
    const std::uint64_t weight = back == Lane::kBulk ? kBulkWeight : kBackfillWeight;
    EXPECT_NEAR(static_cast<double>(queue.sent[back]), static_cast<double>(weight) * 1e4, 3e3);
  }
}

TEST(Scheduler, APathSendsOnlyWhatItMay) {
  Queue queue;
  for (const Lane lane : {Lane::kLive, Lane::kUpdate, Lane::kBulk}) queue.ready(lane);
  EXPECT_EQ(queue.pick(kBulkLanes), Lane::kBulk);
  EXPECT_EQ(queue.pick(only(Lane::kDemand)), std::nullopt);
  EXPECT_EQ(queue.pick(kDeadlineLanes), Lane::kUpdate);
  // Bulk that a path may not carry is not taken for bulk that has nothing to send.
  queue.ready(Lane::kBackfill);
  for (int i = 0; i < 100; ++i) queue.scheduler.on_sent(queue.now, Lane::kBackfill, 1000);
  EXPECT_EQ(queue.pick(kUrgentLanes), Lane::kLive);
  EXPECT_EQ(queue.pick(kBulkLanes), Lane::kBulk);
}

TEST(Scheduler, WhereTheRateIsUnknownLiveStillGoes) {
  Queue queue;
  queue.scheduler.set_link(Duration{}, {});
  queue.ready(Lane::kLive);
  std::uint64_t sent = 0;
  for (const Time end = queue.now + 10s; queue.now < end; queue.now += 1ms)
    if (queue.send(500)) sent += 500;
  EXPECT_GE(sent, 10U * (32U << 10) * 9 / 10);  // 32 KiB/s
  EXPECT_LE(sent, 10U * (32U << 10) + kLiveBurst + 500);
}

}  // namespace
}  // namespace longhaul::session
