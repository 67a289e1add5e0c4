// What becomes of orders: through stops, disks that fail, sites that fall silent.
#include <gtest/gtest.h>

#include "tests/daemon/laptop.hpp"

namespace longhaul::daemon {
namespace {

TEST(SiteCore, TriesAPushAgainUnlessItSaysItselfWhatBecameOfIt) {
  Laptop laptop;
  laptop.core.on_order(laptop.now, push_order(1));
  laptop.connect();
  std::size_t tries = 1;
  for (const std::optional<int> code :
       {std::optional<int>(), std::optional(137), std::optional(141), std::optional(130)}) {
    laptop.core.on_task_ended(laptop.now, 1, code, "");
    laptop.obey();
    EXPECT_EQ(laptop.kept.back().state, OrderState::kQueued) << code.value_or(-1);
    laptop.now += kTaskPause;
    laptop.obey();
    EXPECT_EQ(laptop.tasks.size(), ++tries);
  }
  laptop.core.on_task_ended(laptop.now, 1, 1, "");
  laptop.obey();
  EXPECT_EQ(laptop.kept.back().state, OrderState::kFailed);
}

// An order that was received, with all that the run had logged by then, and whose time is over.
void let_it_expire(Laptop& laptop) {
  laptop.steer(1, 10s);
  laptop.connect();
  laptop.opened("r");
  laptop.heard_all("r", 100);
  laptop.say(101, wire::SteerState::kReceived);
  laptop.now += 10s + 1ns;
}

TEST(SiteCore, CallsAnOrderExpiredOnceTheSiteWasHeardLongEnoughAfterItsTime) {
  Laptop laptop;
  let_it_expire(laptop);
  laptop.obey();
  laptop.now += kVerdictWait - 1ns;
  laptop.obey();
  EXPECT_EQ(laptop.kept.back().state, OrderState::kReceived);
  laptop.now += 1ns;
  laptop.obey();
  EXPECT_EQ(laptop.kept.back().state, OrderState::kExpired);
}

TEST(SiteCore, CallsNoOrderExpiredThatASilentSiteMayHaveCarriedOut) {
  Laptop laptop;
  let_it_expire(laptop);
  laptop.silent_since = laptop.now - 5s;
  for (int second = 0; second < 100; ++second) {  // the link is not known to be gone
    laptop.obey();
    ASSERT_EQ(laptop.kept.back().state, OrderState::kReceived);
    laptop.now += 1s;
  }
  laptop.silent_since.reset();
  laptop.obey();  // its first word is not its news
  EXPECT_EQ(laptop.kept.back().state, OrderState::kReceived);
  laptop.now += 1s;
  laptop.applied("r", 101, 7);
  EXPECT_EQ(laptop.kept.back().state, OrderState::kApplied);
}

TEST(SiteCore, WaitsForTheNewsAgainWhenTheLinkWasLostAfterAnOrdersTime) {
  Laptop laptop;
  let_it_expire(laptop);
  laptop.obey();
  laptop.lose(false);
  laptop.now += 1min;
  laptop.obey();
  laptop.core.on_link(laptop.now, true, true, laptop.now);
  laptop.obey();
  EXPECT_EQ(laptop.kept.back().state, OrderState::kReceived);
  laptop.now += kVerdictWait;
  laptop.obey();
  EXPECT_EQ(laptop.kept.back().state, OrderState::kExpired);
}

TEST(SiteCore, SendsNoCommandBeforeTheDiskSaysThatItMayHaveLeft) {
  Laptop laptop;
  laptop.disk_works = false;
  laptop.steer(1, 1h);
  laptop.steer(2, 1h);
  laptop.connect();
  laptop.opened("r");
  ASSERT_EQ(laptop.kept.size(), 1U);
  EXPECT_EQ(laptop.kept[0].state, OrderState::kSent);
  EXPECT_TRUE(laptop.steers.empty());
  // The session goes meanwhile: it goes out over the next one.
  laptop.lose(true);
  laptop.now += 1min;
  laptop.connect();
  laptop.opened("r");
  EXPECT_TRUE(laptop.steers.empty());
  laptop.core.on_kept(laptop.kept[0]);
  laptop.obey();
  ASSERT_EQ(laptop.steers.size(), 1U);
  EXPECT_EQ(laptop.steers[0].id.value, 101U);
}

TEST(SiteCore, KnowsThatACommandWhoseStateCouldNotBeKeptNeverLeft) {
  Laptop laptop;
  laptop.disk_works = false;
  laptop.steer(1, 5min);
  laptop.connect();
  laptop.opened("r");
  laptop.now += 5min;
  laptop.obey();
  EXPECT_EQ(laptop.kept.back().state, OrderState::kExpired);
  EXPECT_TRUE(laptop.steers.empty());
}

// The owner has joined its tasks then, and begins nothing.
TEST(SiteCore, SaysNothingButWhatBecameOfOrdersOnceItStops) {
  Laptop laptop;
  laptop.core.on_order(laptop.now, push_order(1));
  laptop.core.on_order(laptop.now, push_order(2));
  laptop.steer(3, 1h);
  laptop.connect();
  laptop.list({running("other", 5)});
  ASSERT_EQ(laptop.tasks.size(), 1U);
  const std::size_t lists = laptop.lists, mirrors = laptop.mirrors;
  laptop.core.stop();
  laptop.core.on_task_ended(laptop.now, 1, 1, "the pipe broke");
  laptop.lose(true);
  laptop.now += 1h;
  for (int act = 0; auto said = laptop.core.poll(laptop.now, laptop.wall()); ++act) {
    ASSERT_LT(act, 10);
    const auto* order = std::get_if<KeepOrder>(&*said);
    ASSERT_NE(order, nullptr);
    laptop.kept.push_back(order->order);
  }
  EXPECT_EQ(laptop.kept.back().id, 1U);
  EXPECT_EQ(laptop.kept.back().state, OrderState::kQueued);  // another daemon goes on with it
  EXPECT_EQ(laptop.lists, lists);
  EXPECT_EQ(laptop.mirrors, mirrors);
}

TEST(SiteCore, PushesOneAfterTheOtherAndTriesAgainAfterALostLink) {
  Laptop laptop;
  for (std::uint64_t number : {1U, 2U}) {
    Order push = push_order(number);
    push.state = OrderState::kRunning;  // of a daemon that was killed
    laptop.core.on_order(laptop.now, push);
  }
  laptop.obey();
  EXPECT_TRUE(laptop.tasks.empty());
  laptop.connect();
  ASSERT_EQ(laptop.tasks.size(), 1U);
  laptop.core.on_task_ended(laptop.now, 1, 5, "no link");
  laptop.obey();
  EXPECT_EQ(laptop.tasks.size(), 1U);
  laptop.now += kTaskPause;
  laptop.obey();
  ASSERT_EQ(laptop.tasks.size(), 2U);
  EXPECT_EQ(laptop.tasks[1].tries, 2U);
  laptop.core.on_task_ended(laptop.now, 1, 0, "v000001");
  laptop.obey();
  ASSERT_EQ(laptop.tasks.size(), 3U);
  EXPECT_EQ(laptop.tasks[2].id, 2U);
  laptop.core.on_task_ended(laptop.now, 2, 3, "no such source");
  laptop.obey();
  EXPECT_EQ(laptop.kept.back().state, OrderState::kFailed);
  EXPECT_EQ(laptop.core.orders(), 0U);
}

TEST(SiteCore, FollowsRunsBesideWhatGoesInTurn) {
  Laptop laptop;
  Order fetch = follow_order(2);
  fetch.kind = OrderKind::kFetch;
  laptop.core.on_order(laptop.now, push_order(1));
  laptop.core.on_order(laptop.now, fetch);
  for (std::uint64_t number = 3; number < 4 + kFollowersMax; ++number)
    laptop.core.on_order(laptop.now, follow_order(number));
  laptop.connect();
  const auto ids = [&laptop] {
    std::vector<std::uint64_t> all;
    for (const Order& order : laptop.tasks) all.push_back(order.id);
    return all;
  };
  EXPECT_EQ(ids(), (std::vector<std::uint64_t>{1, 3, 4, 5, 6, 7, 8, 9, 10}));
  laptop.core.on_task_ended(laptop.now, 1, 0, "v000001");
  laptop.obey();
  EXPECT_EQ(ids().back(), 2U);
  laptop.core.on_task_ended(laptop.now, 3, 3, "no such run");
  laptop.obey();
  EXPECT_EQ(ids().back(), 11U);
}

TEST(SiteCore, GoesOnFollowingUnlessItCannotEverBe) {
  Laptop laptop;
  laptop.core.on_order(laptop.now, follow_order(1));
  laptop.connect();
  std::size_t tries = 1;
  for (const std::optional<int> code : {std::optional<int>(), std::optional(0), std::optional(1),
                                        std::optional(5), std::optional(6), std::optional(137)}) {
    laptop.core.on_task_news(1, 2, tries, "/here/step");
    laptop.core.on_task_ended(laptop.now, 1, code, "the disk is full");
    laptop.obey();
    EXPECT_EQ(laptop.kept.back().state, OrderState::kQueued) << code.value_or(-1);
    EXPECT_EQ(laptop.kept.back().step, tries);
    EXPECT_EQ(laptop.kept.back().attempt, 2U);
    laptop.now += kTaskPause;
    laptop.obey();
    EXPECT_EQ(laptop.tasks.size(), ++tries);
  }
  for (const int code : {2, 3, 4}) {
    const std::uint64_t number = static_cast<std::uint64_t>(code);
    laptop.core.on_order(laptop.now, follow_order(number));
    laptop.obey();
    laptop.core.on_task_ended(laptop.now, number, code, "no such run");
    laptop.obey();
    EXPECT_EQ(laptop.kept.back().state, OrderState::kFailed) << code;
  }
}

TEST(SiteCore, TakesBackWhatWaitsAndEndsWhatRuns) {
  Laptop laptop;
  laptop.core.on_order(laptop.now, follow_order(1));
  laptop.core.on_order(laptop.now, push_order(2));
  laptop.core.on_order(laptop.now, push_order(3));
  laptop.connect();
  ASSERT_TRUE(laptop.core.withdraw(laptop.now, 3).has_value());  // its turn had not come
  laptop.obey();
  EXPECT_EQ(laptop.kept.back().id, 3U);
  EXPECT_EQ(laptop.kept.back().state, OrderState::kWithdrawn);
  ASSERT_TRUE(laptop.core.withdraw(laptop.now, 1).has_value());
  ASSERT_TRUE(laptop.core.withdraw(laptop.now, 1).has_value());
  ASSERT_TRUE(laptop.core.withdraw(laptop.now, 2).has_value());
  laptop.obey();
  EXPECT_EQ(laptop.ended, (std::vector<std::uint64_t>{1, 2}));
  EXPECT_EQ(laptop.kept.back().id, 3U);  // until its program has ended
  laptop.core.on_task_ended(laptop.now, 1, 130, "interrupted");
  laptop.obey();
  EXPECT_EQ(laptop.kept.back().id, 1U);
  EXPECT_EQ(laptop.kept.back().state, OrderState::kWithdrawn);
  laptop.core.on_task_ended(laptop.now, 2, 0, "v000001");  // it was there already
  laptop.obey();
  EXPECT_EQ(laptop.kept.back().state, OrderState::kApplied);
  EXPECT_EQ(laptop.core.orders(), 0U);
  const auto gone = laptop.core.withdraw(laptop.now, 1);
  ASSERT_FALSE(gone.has_value());
  EXPECT_EQ(gone.error().kind(), Kind::kUsage);
  EXPECT_EQ(gone.error().why(), "none of that number waits");
}

TEST(SiteCore, TakesNoCommandBackThatMayHaveLeft) {
  Laptop laptop;
  laptop.steer(1, 1h);
  laptop.steer(2, 1h, "other");
  ASSERT_TRUE(laptop.core.withdraw(laptop.now, 2).has_value());
  laptop.connect();
  laptop.opened("r");
  ASSERT_EQ(laptop.steers.size(), 1U);
  const auto left = laptop.core.withdraw(laptop.now, 1);
  ASSERT_FALSE(left.has_value());
  EXPECT_EQ(left.error().kind(), Kind::kUsage);
  EXPECT_EQ(left.error().why(), "it may have left");
  laptop.applied("r", 101, 7);
  EXPECT_EQ(laptop.kept.back().state, OrderState::kApplied);
}

}  // namespace
}  // namespace longhaul::daemon
