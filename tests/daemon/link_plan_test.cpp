#include "proxy/daemon/link_plan.hpp"

#include <gtest/gtest.h>

namespace longhaul::daemon {
namespace {

const Error kGone(Kind::kLink, "go on with the session", "no path for a day");

Duration next_pause(LinkPlan& plan, Time& now, bool mends = false) {
  EXPECT_TRUE(plan.begins(now));
  plan.on_begun(now);
  plan.on_ended(now, kGone, mends);
  const Duration pause = plan.next() - now;
  now = plan.next();
  return pause;
}

TEST(LinkPlan, TriesForEverWithPausesUpToAMinute) {
  Time now{};
  LinkPlan plan(now);
  for (const int seconds : {1, 2, 4, 8, 16, 32, 60, 60, 60})
    EXPECT_EQ(next_pause(plan, now), std::chrono::seconds(seconds));
}

TEST(LinkPlan, BeginsAnewWithShortPausesOnceTheLinkStood) {
  Time now{};
  LinkPlan plan(now);
  for (int i = 0; i < 8; ++i) next_pause(plan, now);
  plan.on_begun(now);
  plan.on_session(now, true, true);
  EXPECT_EQ(plan.state(), LinkState::kUp);
  EXPECT_FALSE(plan.why());
  plan.on_session(now + 8h, true, false);
  EXPECT_EQ(plan.state(), LinkState::kDown);
  EXPECT_EQ(plan.since(), now + 8h);
  EXPECT_EQ(plan.stood_until(), now);
  plan.on_ended(now + 32h, kGone, false);
  EXPECT_EQ(plan.next(), now + 32h + 1s);
}

TEST(LinkPlan, LeavesTimeToMendWhatOnlyAPersonCan) {
  Time now{};
  LinkPlan plan(now);
  EXPECT_EQ(next_pause(plan, now, true), kMendPause);
}

TEST(LinkPlan, TriesAtOnceWhenTheHostMovedButNotTwiceInASecond) {
  Time now{};
  LinkPlan plan(now);
  for (int i = 0; i < 8; ++i) next_pause(plan, now);
  plan.on_begun(now);
  plan.on_ended(now, kGone, true);
  plan.hurry(now + 10s);
  EXPECT_TRUE(plan.begins(now + 10s));
  plan.on_begun(now + 10s);
  plan.on_ended(now + 10s, kGone, false);
  plan.hurry(now + 10s);
  EXPECT_FALSE(plan.begins(now + 10s));
  EXPECT_TRUE(plan.begins(now + 11s));
}

}  // namespace
}  // namespace longhaul::daemon
