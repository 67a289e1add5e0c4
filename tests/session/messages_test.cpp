#include "lib/session/messages.hpp"

#include <gtest/gtest.h>

#include <algorithm>

#include "lib/base/rng.hpp"
#include "tests/session/script_service.hpp"

namespace longhaul::test {
namespace {

using namespace session;

constexpr LaneSet kAll = kUrgentLanes | kBulkLanes;
constexpr std::size_t kWindow = 16U << 20;

Message message(Lane lane, std::uint64_t number, std::size_t bytes, std::uint64_t key = 0,
                std::optional<Time> deadline = {}) {
  return Message{lane, make_body(number, bytes), key, deadline};
}

std::optional<std::uint64_t> next_number(Messages& from, Time now, LaneSet lanes = kAll) {
  const auto fragment = from.next_fragment(now, lanes, wire::kFragmentMax);
  if (!fragment.has_value()) return std::nullopt;
  return number_of(from.frame_of(*fragment).payload);
}

class MessagesTest : public ::testing::Test {
 protected:
  BufferPool pool_;
  Messages from_{kWindow, 1, pool_}, to_{kWindow, 1, pool_};
};

TEST_F(MessagesTest, UrgentLanesGoBeforeBulkByLeastSlack) {
  from_.post(ServiceId(0), message(Lane::kBulk, 1, 100));
  from_.post(ServiceId(0), message(Lane::kDemand, 2, 100, 0, Time{} + 5s));
  from_.post(ServiceId(0), message(Lane::kUpdate, 3, 100, 0, Time{} + 2s));
  from_.post(ServiceId(0), message(Lane::kDemand, 4, 100, 0, Time{} + 1s));
  from_.post(ServiceId(0), message(Lane::kLive, 5, 100));
  std::vector<std::uint64_t> order;
  while (auto number = next_number(from_, Time{} + 1s)) order.push_back(*number);
  EXPECT_EQ(order, (std::vector<std::uint64_t>{5, 4, 3, 2, 1}));
}

TEST_F(MessagesTest, AMoreUrgentMessageOvertakesOneThatIsBegun) {
  from_.post(ServiceId(0), message(Lane::kDemand, 1, 100'000, 0, Time{} + 5s));
  EXPECT_EQ(next_number(from_, Time{}), 1U);
  from_.post(ServiceId(0), message(Lane::kDemand, 2, 100, 0, Time{} + 1s));
  EXPECT_EQ(next_number(from_, Time{}), 2U);
}

TEST_F(MessagesTest, BackfillGetsItsShareBesideBulk) {
  std::uint64_t bulk = 0, backfill = 0;
  for (std::uint64_t i = 0; i < 400; ++i) {
    const Room room = from_.room();
    if (room.in(Lane::kBulk)) from_.post(ServiceId(0), message(Lane::kBulk, i, 15'360));
    if (room.in(Lane::kBackfill)) from_.post(ServiceId(0), message(Lane::kBackfill, i, 15'360));
    const auto fragment = from_.next_fragment(Time{}, kAll, wire::kFragmentMax);
    ASSERT_TRUE(fragment.has_value());
    (fragment->lane == Lane::kBulk ? bulk : backfill) += fragment->bytes;
    ASSERT_TRUE(to_.on_data(from_.frame_of(*fragment)).has_value());
    from_.on_acked(*fragment);
    from_.on_credit(to_.credit(0));
    while (to_.take()) {
    }
  }
  EXPECT_GE(backfill * 100, (bulk + backfill) * 10);
  EXPECT_LE(backfill * 100, (bulk + backfill) * 20);
}

TEST_F(MessagesTest, BulkTakesNoMoreThanATenthOfASecondOfASlowLink) {
  const auto taken = [&] {
    std::size_t bytes = 0;
    while (from_.room().in(Lane::kBulk)) {
      from_.post(ServiceId(0), message(Lane::kBulk, 1, 100'000));
      bytes += 100'000;
    }
    return bytes;
  };
  from_.set_link(180ms, BytesPerSecond::from_bits(2'000'000));
  const std::size_t slow = taken();
  EXPECT_GE(slow, kBulkQueueLeast);
  EXPECT_LT(slow, kBulkQueueLeast + 100'000);
  from_.set_link(180ms, BytesPerSecond::from_bits(100'000'000));
  EXPECT_NEAR(static_cast<double>(slow + taken()), 1.3e6, 1e5);
  from_.set_link(180ms, BytesPerSecond::from_bits(1'000'000'000));
  taken();
  EXPECT_GE(from_.queued_bytes(), lane_queue_bytes(Lane::kBulk)) << "all of it on a fast one";
}

TEST_F(MessagesTest, LiveSendsTheNewestOfAKeyAtItsPace) {
  from_.post(ServiceId(0), message(Lane::kLive, 1, 100, 7));
  from_.post(ServiceId(0), message(Lane::kLive, 2, 100, 7));
  from_.post(ServiceId(0), message(Lane::kLive, 3, 100, 8));
  EXPECT_EQ(next_number(from_, Time{}), 2U);
  EXPECT_EQ(next_number(from_, Time{}), 3U);
  from_.post(ServiceId(0), message(Lane::kLive, 4, 100, 7));
  EXPECT_EQ(next_number(from_, Time{} + 10ms), std::nullopt);
  const auto at = from_.live_at(Time{} + 10ms);
  ASSERT_TRUE(at.has_value());
  EXPECT_EQ(next_number(from_, *at), 4U);
}

TEST_F(MessagesTest, LiveTakesATwentiethOfTheRate) {
  from_.set_link(100ms, BytesPerSecond(10'000'000));
  std::uint64_t bytes = 0;
  for (Time now{}; now < Time{} + 10s; now += 1ms) {
    for (std::uint64_t key = 0; key < 20; ++key) {
      from_.post(ServiceId(0), message(Lane::kLive, key, 10'000, key));
    }
    while (auto fragment = from_.next_fragment(now, kAll, wire::kFragmentMax)) {
      bytes += fragment->bytes;
      ASSERT_TRUE(to_.on_data(from_.frame_of(*fragment)).has_value());
      from_.on_acked(*fragment);
      from_.on_credit(to_.credit(0));
    }
    while (to_.take()) {
    }
  }
  EXPECT_LE(bytes, 5'000'000U * 105 / 100);
  EXPECT_GE(bytes, 5'000'000U * 80 / 100);
}

// A path of datagrams (as the UDP path will be) beside one of a stream: frames of 1 KiB that are
// lost, repeated and overtaken, and what is lost goes over either.
TEST_F(MessagesTest, AnyFrameMayTakeAnyPath) {
  Rng rng(1, "datagrams");
  std::vector<Fragment> datagrams;
  std::uint64_t received = 0;
  constexpr std::uint64_t kCount = 40;
  for (std::uint64_t i = 0; i < kCount; ++i) {
    from_.post(ServiceId(0), message(i % 3 == 0 ? Lane::kUpdate : Lane::kBulk, i, 1000 + 7000 * i));
  }
  const auto deliver = [&](const Fragment& fragment) {
    ASSERT_TRUE(to_.on_data(from_.frame_of(fragment)).has_value());
  };
  std::set<std::uint64_t> numbers;
  for (int turn = 0; turn < 20'000 && numbers.size() < kCount; ++turn) {
    const bool stream = rng.chance(0.2);
    const auto fragment =
        from_.next_fragment(Time{}, kAll, stream ? wire::kFragmentMax : std::uint32_t{1024});
    if (fragment.has_value() && stream) {
      deliver(*fragment);
      from_.on_acked(*fragment);
    } else if (fragment.has_value()) {
      datagrams.push_back(*fragment);
    }
    if (!datagrams.empty() && (datagrams.size() > 30 || !fragment.has_value())) {
      std::swap(datagrams[rng.below(datagrams.size())], datagrams.back());
      const Fragment some = datagrams.back();
      datagrams.pop_back();
      if (rng.chance(0.3)) {
        from_.on_lost(some);
      } else {
        deliver(some);
        if (rng.chance(0.2)) deliver(some);  // a repeat
        from_.on_acked(some);
      }
    }
    while (auto arrived = to_.take()) {
      ++received;
      const std::uint64_t number = number_of(arrived->body);
      EXPECT_TRUE(numbers.insert(number).second);
      EXPECT_TRUE(equal(arrived->body.bytes(), make_body(number, 1000 + 7000 * number).bytes()));
    }
    from_.on_credit(to_.credit(0));
    from_.check();
    to_.check();
  }
  EXPECT_EQ(received, kCount);
  EXPECT_GT(to_.inbox().duplicates(), 0U);
}

TEST_F(MessagesTest, ControlIsDeliveredInOrderAndOnceOverTwoPaths) {
  ControlReceiver receiver(1, pool_);
  const auto give = [&](std::uint64_t number) {
    wire::Control frame;
    frame.number = number;
    frame.body = make_body(number, 16);
    EXPECT_TRUE(receiver.on_control(frame).has_value());
  };
  for (unsigned number : {1U, 0U, 0U, 1U, 3U, 2U, 3U, 1U, 4U}) give(number);
  for (std::uint64_t number = 0; number < 5; ++number) {
    const auto taken = receiver.take();
    ASSERT_TRUE(taken.has_value());
    EXPECT_EQ(number_of(taken->body), number);
  }
  EXPECT_FALSE(receiver.take().has_value());
  EXPECT_EQ(receiver.duplicates(), 4U);
  for (unsigned number : {0U, 4U}) give(number);  // the other path is behind
  EXPECT_FALSE(receiver.take().has_value());
  EXPECT_EQ(receiver.duplicates(), 6U);
}

TEST_F(MessagesTest, BulkLeavesTheReserveToUrgentLanes) {
  for (std::uint64_t i = 0; i < 8; ++i) from_.post(ServiceId(0), message(Lane::kBulk, i, 1U << 20));
  std::uint64_t sent = 0;
  while (auto fragment = from_.next_fragment(Time{}, kAll, wire::kFragmentMax))
    sent += fragment->bytes;
  EXPECT_LE(sent, kInitialCredit - kUrgentReserve);
  EXPECT_TRUE(from_.waits_for_credit());
  from_.post(ServiceId(0), message(Lane::kUpdate, 9, 1U << 20));
  EXPECT_EQ(next_number(from_, Time{}), 9U);
}

TEST(RepeatBudget, IsAShareOfWhatWasAckedAndALittleAtAllTimes) {
  RepeatBudget budget(Time{} + 10s);
  const auto most = [&](Time now, std::uint64_t acked) {
    std::uint64_t bytes = 0;
    for (RepeatBudget left = budget; left.allows(now, acked); bytes += 64) left.spend(64);
    return bytes;
  };
  EXPECT_EQ(most(Time{} + 10s, 0), 256U << 10);
  budget.spend(256U << 10);
  EXPECT_EQ(most(Time{} + 10s, 0), 0U);
  EXPECT_EQ(most(Time{} + 10s, 6'400'000), 64'000U);
  EXPECT_EQ(most(Time{} + 11s, 0), 4096U);  // 64 small messages a second
  EXPECT_EQ(most(Time{} + 1h, 0), 3590U * 4096);
}

}  // namespace
}  // namespace longhaul::test
