#include <gtest/gtest.h>

#include "lib/wire/feed.hpp"
#include "lib/wire/limits.hpp"
#include "tests/wire/damage.hpp"
#include "tests/wire/golden.hpp"

namespace longhaul::wire {
namespace {

TEST(FeedMessage, EachSurvivesDamage) {
  for (const GoldenBytes& golden : feed_golden()) {
    SCOPED_TRACE(golden.name);
    const auto message = decode<FeedMessage>(Bytes(golden.bytes));
    ASSERT_TRUE(message.has_value()) << message.error().message();
    expect_survives_damage(*message);
  }
}

// Sent on the control lane, whose messages are at most 1 KiB.
TEST(FeedMessage, TheLargestOfTheControlLaneFits) {
  Steer steer;
  steer.name = std::string(63, 'n');
  Steered steered;
  steered.text = std::string(kRunReasonMax, 't');
  EXPECT_LE(encoded_size(FeedMessage(steer)), kControlBodyMax);
  EXPECT_LE(size_range<Steered>().most + 1, kControlBodyMax);
}

// A page, a history message and a live message stay below what a session carries in one.
TEST(FeedMessage, TheLargestOfAnyLaneIsBelowFourMebibytes) {
  EXPECT_LT(size_range<FeedMessage>().most, 4U << 20);
}

}  // namespace
}  // namespace longhaul::wire
