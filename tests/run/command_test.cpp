#include "lib/run/command.hpp"

#include <gtest/gtest.h>

namespace longhaul::run {
namespace {

Command command(const char* text, std::uint64_t id, std::int64_t expires = 0) {
  Command out = parse_command(text).value();
  out.id = id;
  out.expires = WallTime{expires};
  return out;
}

TEST(Command, IsReadAsItIsShown) {
  for (const char* text : {"lr=0.001", "lr*=0.5", "beta1=-1e-09", "pause", "resume", "checkpoint",
                           "stop", "opt/group.0-a_b=3"})
    EXPECT_EQ(shown(parse_command(text).value()), text);
}

TEST(Command, RefusesNonsense) {
  for (const char* text : {"", "lr", "lr=", "=1", "lr=x", "lr=1x", "lr=nan", "lr=inf", "l r=1",
                           "halt", "*=2", "lr\n=1"})
    EXPECT_FALSE(parse_command(text).has_value()) << text;
  const auto why = [](const char* text) { return parse_command(text).error().message(); };
  EXPECT_EQ(why("dance"),
            "understand 'dance': not NAME=VALUE, NAME*=VALUE, pause, resume, checkpoint or stop");
  EXPECT_EQ(why("lr=fast"), "understand 'lr=fast': the value is not a finite number");
  EXPECT_EQ(why("l r=1"),
            "understand 'l r=1': a name is 1 to 63 letters, digits, dots, slashes, "
            "dashes and underscores");
}

TEST(ControlBook, HandsEachCommandOutOnce) {
  ControlBook book;
  std::vector<RunEvent> expired;
  EXPECT_FALSE(book.on_command(WallTime{10}, 1, command("lr=1", 7)));
  EXPECT_FALSE(book.on_command(WallTime{10}, 1, command("lr=1", 7)));
  const auto taken = book.take(WallTime{10}, 1, expired);
  ASSERT_TRUE(taken.has_value());
  EXPECT_FALSE(book.take(WallTime{10}, 1, expired));
  EXPECT_FALSE(book.decided(7));
  const RunEvent event = book.done(WallTime{11}, 5, *taken, EventKind::kApplied);
  EXPECT_EQ(event.step, 5U);
  EXPECT_EQ(event.text, "lr=1");
  EXPECT_TRUE(book.decided(7));
  EXPECT_FALSE(book.on_command(WallTime{12}, 6, command("lr=1", 7)));
  EXPECT_FALSE(book.pending());
}

TEST(ControlBook, PassesOverACommandWithoutAnIdHoweverOftenItsFileIsRead) {
  ControlBook book;
  for (int look = 0; look < 3; ++look)
    EXPECT_FALSE(book.on_command(WallTime{10}, 1, command("pause", 0)).has_value());
  EXPECT_FALSE(book.pending());
}

TEST(ControlBook, ExpiryIsJudgedWhereItWouldTakeEffect) {
  ControlBook book;
  std::vector<RunEvent> expired;
  EXPECT_EQ(book.on_command(WallTime{10}, 1, command("stop", 1, 9))->kind, EventKind::kExpired);
  EXPECT_FALSE(book.on_command(WallTime{10}, 1, command("stop", 2, 20)));
  EXPECT_FALSE(book.take(WallTime{21}, 3, expired)) << "it waited for a step for too long";
  ASSERT_EQ(expired.size(), 1U);
  EXPECT_EQ(expired[0].id, 2U);
  EXPECT_EQ(expired[0].step, 3U);
}

TEST(ControlBook, RemembersWhatIsInForceFromTheLog) {
  ControlBook before, after;
  for (const Command& c :
       {command("lr=1", 1), command("wd*=2", 2), command("lr*=0.5", 3), command("pause", 4)})
    after.on_event(before.done(WallTime{1}, 1, c, EventKind::kApplied));
  const RunEvent refused =
      before.done(WallTime{1}, 1, command("lr=9", 5), EventKind::kRefused, "no");
  EXPECT_EQ(refused.text, "lr=9: no");
  EXPECT_EQ(before.done(WallTime{1}, 1, command("stop", 6), EventKind::kRefused, "").text, "stop");
  after.on_event(refused);
  ASSERT_EQ(after.in_force().size(), 2U);
  EXPECT_EQ(shown(after.in_force().at("lr")), "lr*=0.5");
  EXPECT_EQ(shown(after.in_force().at("wd")), "wd*=2");
}

TEST(ControlBook, BoundsWhatWaits) {
  ControlBook book;
  for (std::uint64_t id = 1; id <= kCommandsPendingMax; ++id)
    EXPECT_FALSE(book.on_command(WallTime{1}, 1, command("checkpoint", id)));
  EXPECT_EQ(book.on_command(WallTime{1}, 1, command("checkpoint", 1000))->kind,
            EventKind::kRefused);
}

}  // namespace
}  // namespace longhaul::run
