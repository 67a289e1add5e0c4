// An authenticated peer that does what it should not: refused by a named limit, memory bounded.
#include <gtest/gtest.h>

#include "lib/session/in_flight.hpp"
#include "lib/session/messages.hpp"
#include "tests/session/script_service.hpp"

namespace longhaul::test {
namespace {

using namespace session;

constexpr std::size_t kWindow = 8U << 20;

wire::Data data(std::uint64_t number, std::uint32_t offset, std::uint32_t total,
                std::uint32_t bytes) {
  wire::Data out;
  out.message = number;
  out.offset = offset;
  out.total = total;
  out.lane = static_cast<std::uint8_t>(Lane::kBulk);
  out.payload = make_body(number, std::max<std::size_t>(8, bytes)).first(bytes);
  return out;
}

Kind refused(const wire::Data& frame) {
  BufferPool pool;
  Messages messages(kWindow, 1, pool);
  const auto result = messages.on_data(frame);
  return result.has_value() ? Kind::kInterrupted : result.error().kind();
}

TEST(HostilePeer, IllegalFragmentsAreRefused) {
  EXPECT_EQ(refused(data(0, 0, 100, 100)), Kind::kInterrupted);  // this one is fine
  EXPECT_EQ(refused(data(0, 0, 0, 1)), Kind::kLimit);
  EXPECT_EQ(refused(data(0, 0, kMessageMax + 1, 1024)), Kind::kLimit);
  EXPECT_EQ(refused(data(0, 0, 0xffffffff, 1024)), Kind::kLimit);
  EXPECT_EQ(refused(data(0, 8, 4096, 1024)), Kind::kMalformed);
  EXPECT_EQ(refused(data(0, 0, 4096, 1000)), Kind::kMalformed);
  EXPECT_EQ(refused(data(0, 4096, 4096, 1)), Kind::kMalformed);
  EXPECT_EQ(refused(data(0, 3072, 4096, 2048)), Kind::kMalformed);
  EXPECT_EQ(refused(data(kMessagesAhead, 0, 100, 100)), Kind::kLimit);
  EXPECT_EQ(refused(data(~std::uint64_t{0}, 0, 100, 100)), Kind::kLimit);
  wire::Data other = data(0, 0, 100, 100);
  other.lane = 0;
  EXPECT_EQ(refused(other), Kind::kMalformed);
  other.lane = 6;
  EXPECT_EQ(refused(other), Kind::kMalformed);
  other = data(0, 0, 100, 100);
  other.service = 1;
  EXPECT_EQ(refused(other), Kind::kUnsupported);
}

TEST(HostilePeer, AMillionOpenMessagesStayWithinTheWindow) {
  BufferPool pool;
  Messages messages(kWindow, 1, pool);
  std::uint64_t opened = 0;
  Result<> result;
  for (std::uint64_t i = 0; i < 1'000'000 && result.has_value(); ++i) {
    result = messages.on_data(data(i, 0, 2000, 1024));  // never finished
    if (result.has_value()) ++opened;
  }
  ASSERT_FALSE(result.has_value());
  EXPECT_EQ(result.error().kind(), Kind::kLimit);
  EXPECT_LE(opened * cost_of(2000), kWindow);
  EXPECT_LE(messages.inbox().partial_bytes(), kWindow);
  messages.check();
}

// Of twice as many keys as a sender may have, the newest value is known; of those before them it is
// forgotten, so that an older one is news again.
TEST(HostilePeer, LiveKeysWithoutEndAreForgotten) {
  constexpr std::uint64_t kKeys = 20'000, kKnown = 2 * kLiveKeysMax;
  const auto takes_an_older_value_of = [](std::uint64_t key) {
    BufferPool pool;
    Messages messages(kWindow, 1, pool);
    const auto value = [&messages](std::uint64_t number, std::uint64_t of) {
      wire::Data live = data(number, 0, 8, 8);
      live.lane = static_cast<std::uint8_t>(Lane::kLive);
      live.key = of;
      EXPECT_TRUE(messages.on_data(live).has_value());
      messages.credit(0);
    };
    for (std::uint64_t i = 1; i <= kKeys; ++i) {
      value(i, i);
      EXPECT_TRUE(messages.take().has_value());
    }
    value(0, key);
    messages.check();
    return messages.take().has_value();
  };
  EXPECT_FALSE(takes_an_older_value_of(kKeys));
  EXPECT_FALSE(takes_an_older_value_of(kKeys - kKnown + 1));
  EXPECT_TRUE(takes_an_older_value_of(kKeys - kKnown));
  EXPECT_TRUE(takes_an_older_value_of(1));
}

TEST(HostilePeer, FragmentsThatDisagreeAreRefused) {
  BufferPool pool;
  Messages messages(kWindow, 1, pool);
  ASSERT_TRUE(messages.on_data(data(0, 0, 4096, 1024)).has_value());
  EXPECT_FALSE(messages.on_data(data(0, 1024, 5000, 1024)).has_value());
}

TEST(HostilePeer, RepeatedAndStaleFramesChangeNothing) {
  BufferPool pool;
  Messages messages(kWindow, 1, pool);
  for (int i = 0; i < 3; ++i) ASSERT_TRUE(messages.on_data(data(0, 0, 100, 100)).has_value());
  ASSERT_TRUE(messages.take().has_value());
  EXPECT_FALSE(messages.take().has_value());
  EXPECT_EQ(messages.inbox().duplicates(), 2U);
}

TEST(HostilePeer, AnOlderLiveValueIsDroppedOnArrival) {
  BufferPool pool;
  Messages messages(kWindow, 1, pool);
  wire::Data newer = data(1, 0, 50, 50), older = data(0, 0, 50, 50);
  newer.lane = older.lane = static_cast<std::uint8_t>(Lane::kLive);
  newer.key = older.key = 9;
  ASSERT_TRUE(messages.on_data(newer).has_value());
  ASSERT_TRUE(messages.on_data(older).has_value());
  ASSERT_TRUE(messages.take().has_value());
  EXPECT_FALSE(messages.take().has_value());
}

TEST(HostilePeer, ControlTooFarAheadIsRefused) {
  BufferPool pool;
  ControlReceiver receiver(1, pool);
  wire::Control frame;
  frame.number = kControlAhead;
  frame.body = make_body(0, 16);
  EXPECT_FALSE(receiver.on_control(frame).has_value());
  ControlSender sender;
  EXPECT_FALSE(sender.on_acked(1).has_value());
}

TEST(HostilePeer, AcknowledgingWhatWasNeverSentIsRefused) {
  InFlight in_flight;
  in_flight.push(Fragment{MessageId(0), 0, 100, Lane::kBulk});
  EXPECT_FALSE(in_flight.on_ack(2, [](const Fragment&) {}).has_value());
  EXPECT_EQ(*in_flight.on_ack(1, [](const Fragment&) {}), 100U);
  EXPECT_EQ(*in_flight.on_ack(0, [](const Fragment&) {}), 0U);  // a late one says nothing
}

}  // namespace
}  // namespace longhaul::test
