#include <gtest/gtest.h>

#include "tests/daemon/laptop.hpp"

namespace longhaul::daemon {
namespace {

TEST(SiteCore, KeepsAnOrderForADayOfflineAndSendsItOnce) {
  Laptop laptop;
  laptop.steer(1, 48h);
  laptop.obey();
  EXPECT_TRUE(laptop.steers.empty());
  laptop.now += 26h;
  laptop.connect();
  ASSERT_TRUE(laptop.open.contains("r"));
  EXPECT_TRUE(laptop.steers.empty());
  laptop.opened("r");
  ASSERT_EQ(laptop.steers.size(), 1U);
  EXPECT_EQ(laptop.steers[0].id.value, 101U);
  // It grew no younger while it waited.
  EXPECT_EQ(laptop.steers[0].expires.ns, kBegan.ns + Duration(48h).count());
  laptop.say(101, wire::SteerState::kReceived);
  laptop.applied("r", 101, 77);
  EXPECT_EQ(laptop.kept.back().state, OrderState::kApplied);
  EXPECT_EQ(laptop.kept.back().step, 77U);
  EXPECT_EQ(laptop.core.orders(), 0U);
  EXPECT_EQ(laptop.steers.size(), 1U);
}

TEST(SiteCore, SendsAnOrderAgainUnderItsIdWhenTheSessionWasLost) {
  Laptop laptop;
  laptop.steer(1, 1h);
  laptop.connect();
  laptop.opened("r");
  ASSERT_EQ(laptop.steers.size(), 1U);
  laptop.lose(true);
  laptop.now += 10s;
  laptop.connect();
  laptop.opened("r");
  ASSERT_EQ(laptop.steers.size(), 2U);
  EXPECT_EQ(laptop.steers[1].id, laptop.steers[0].id);
  EXPECT_EQ(laptop.steers[1].expires, laptop.steers[0].expires);
}

TEST(SiteCore, HoldsTheNextOrderOfARunUntilTheSiteHasAnsweredTheOneBefore) {
  Laptop laptop;
  laptop.steer(1, 1h);
  laptop.steer(2, 1h);
  laptop.steer(3, 1h, "other");
  laptop.connect();
  laptop.opened("r");
  laptop.opened("other");
  ASSERT_EQ(laptop.steers.size(), 2U);
  EXPECT_EQ(laptop.steers[0].id.value, 101U);
  EXPECT_EQ(laptop.steers[1].id.value, 103U);
  laptop.say(101, wire::SteerState::kReceived);
  ASSERT_EQ(laptop.steers.size(), 3U);
  EXPECT_EQ(laptop.steers[2].id.value, 102U);
}

TEST(SiteCore, ExpiresHereWhatNeverLeft) {
  Laptop laptop;
  laptop.steer(1, 5min);
  laptop.now += 5min;
  laptop.obey();
  ASSERT_EQ(laptop.kept.size(), 1U);
  EXPECT_EQ(laptop.kept[0].state, OrderState::kExpired);
  laptop.connect();
  EXPECT_TRUE(laptop.steers.empty());
}

TEST(SiteCore, DoesNotSendAgainWhatIsTooLateButLearnsWhatBecameOfIt) {
  Laptop laptop;
  laptop.steer(1, 5min);
  laptop.connect();
  laptop.opened("r");
  ASSERT_EQ(laptop.steers.size(), 1U);
  laptop.lose(true);
  laptop.now += 1h;
  laptop.obey();
  EXPECT_EQ(laptop.kept.back().state, OrderState::kSent);
  laptop.connect();
  laptop.opened("r");
  EXPECT_EQ(laptop.steers.size(), 1U);
  laptop.applied("r", 101, 12);
  EXPECT_EQ(laptop.kept.back().state, OrderState::kApplied);
}

TEST(SiteCore, SendsAnOrderAlsoWhileAnotherProcessKeepsTheMirror) {
  Laptop laptop;
  laptop.disk.appends = false;
  laptop.disk.have = {{1, 500, 9000}};
  laptop.steer(1, 5min);
  laptop.connect();
  laptop.opened("r");
  ASSERT_EQ(laptop.steers.size(), 1U);
  EXPECT_EQ(laptop.have_next(), 500U);  // what is on the disk is not fetched again
  EXPECT_FALSE(laptop.core.board().marks("r")->watched);
  // The link goes before the site answers, and the order grows too late to be sent again.
  laptop.lose(true);
  laptop.now += 1h;
  laptop.connect();
  laptop.opened("r");
  EXPECT_EQ(laptop.kept.back().state, OrderState::kSent);
  laptop.heard_all("r", 600);  // the history holds no verdict: nobody took it
  laptop.now += kVerdictWait;
  laptop.obey();
  EXPECT_EQ(laptop.steers.size(), 1U);
  EXPECT_EQ(laptop.kept.back().state, OrderState::kExpired);
  EXPECT_FALSE(laptop.open.contains("r"));  // nothing else wants it
}

TEST(SiteCore, OpensTheMirrorsOfAListItKeptWithoutALink) {
  Laptop laptop;
  laptop.disk.have = {{1, 500, 9000}};
  laptop.disk.steps = {{1, 77}};
  laptop.core.restore(laptop.now, {{running("r", 5)}, {9}});
  laptop.obey();
  EXPECT_EQ(laptop.mirrors, 1U);
  EXPECT_TRUE(laptop.open.empty());
  EXPECT_EQ(laptop.core.board().marks("r")->complete_step, 77U);
  EXPECT_TRUE(laptop.core.board().marks("r")->kept);
  laptop.connect();
  EXPECT_TRUE(laptop.open.contains("r"));
  EXPECT_EQ(laptop.mirrors, 1U);
}

TEST(SiteCore, WatchesOnFromWhereTheLostSessionWas) {
  Laptop laptop;
  laptop.connect();
  laptop.list({running("r", 5)});
  laptop.opened("r");
  laptop.heard_all("r", 600);
  EXPECT_TRUE(laptop.core.board().marks("r")->complete);
  laptop.lose(true);
  laptop.disk.have = {{1, 600, 100}};
  laptop.now += 1min;
  laptop.connect();
  ASSERT_TRUE(laptop.open.contains("r"));
  EXPECT_EQ(laptop.have_next(), 600U);
  laptop.opened("r");
  // What the site has recorded meanwhile is not known yet.
  EXPECT_FALSE(laptop.core.board().marks("r")->complete);
}

TEST(SiteCore, KnowsNothingOfARunThatTookTheNameOfAnother) {
  Laptop laptop;
  laptop.connect();
  laptop.list({running("r", 5)});
  laptop.opened("r");
  laptop.heard_all("r", 600);
  laptop.opened("r", Error(Kind::kChanged, "watch the run", "another was begun under its name"));
  EXPECT_FALSE(laptop.core.board().marks("r")->complete);
  laptop.now += kBoardRetry;
  laptop.obey();
  laptop.opened("r");
  laptop.heard_all("r", 20);
  EXPECT_TRUE(laptop.core.board().marks("r")->complete);
  EXPECT_EQ(laptop.core.board().marks("r")->recorded, 20U);
}

TEST(SiteCore, IsCompleteWithEveryAttempt) {
  Laptop laptop;
  laptop.connect();
  laptop.list({running("r", 5)});
  laptop.opened("r");
  laptop.core.on_event(laptop.now, laptop.wall(),
                       feed::Heard{laptop.open.at("r"), 2, 0, laptop.wall(), laptop.wall(), {}});
  EXPECT_FALSE(laptop.core.board().marks("r")->complete);  // of attempt 1 nothing has come
  laptop.heard_all("r", 10);
  EXPECT_TRUE(laptop.core.board().marks("r")->complete);
}

// A site names attempts as it likes.
TEST(SiteCore, HoldsNoMoreAttemptsThanItsBoundSays) {
  Laptop laptop;
  laptop.connect();
  std::vector<wire::RunLine> runs;
  for (int i = 0; i < 30; ++i) runs.push_back(running("run-" + std::to_string(i), i));
  laptop.list(runs);
  for (const auto& [run, watch] : std::map(laptop.open)) laptop.opened(run);
  for (const auto& [run, watch] : laptop.open) {
    for (std::uint32_t attempt = 1; attempt <= kAttemptsBoardMax + 10; ++attempt)
      laptop.core.on_event(laptop.now, laptop.wall(),
                           feed::Heard{watch, attempt, 0, laptop.wall(), laptop.wall(), {}});
    EXPECT_LE(laptop.core.board().marks(run)->attempt, kAttemptsBoardMax);
    EXPECT_FALSE(laptop.core.board().marks(run)->complete);  // of some nothing is known
  }
  EXPECT_EQ(laptop.core.board().attempts(), kAttemptsOfAllMax);
  laptop.lose(true);
  laptop.now += 1min;
  laptop.connect();
  laptop.list({});
  laptop.now += kListEvery;
  laptop.obey();
  laptop.list({});
  for (const auto& [run, watch] : std::map(laptop.open))
    laptop.opened(run, Error(Kind::kChanged, "watch the run", "another was begun under its name"));
  EXPECT_EQ(laptop.core.board().attempts(), 0U);
}

TEST(SiteCore, LetsGoOfAFinishedRunOnceItIsWhole) {
  Laptop laptop;
  laptop.connect();
  auto ended = running("r", 1);
  ended.state = wire::RunState::kEnded;
  laptop.list({ended});
  laptop.opened("r");
  ASSERT_TRUE(laptop.open.contains("r"));
  feed::Took took;
  took.watch = laptop.open.at("r");
  took.attempt = 1;
  took.next = 10;
  laptop.core.on_event(laptop.now, laptop.wall(), took);
  laptop.core.on_event(laptop.now, laptop.wall(),
                       feed::Heard{laptop.open.at("r"), 1, 10, {1}, laptop.wall(), {}});
  laptop.obey();
  EXPECT_FALSE(laptop.open.contains("r"));
  laptop.now += kListEvery;
  laptop.obey();
  laptop.list({ended});
  EXPECT_FALSE(laptop.open.contains("r"));
  ended.wrote.ns = 2;  // somebody wrote on
  laptop.now += kListEvery;
  laptop.obey();
  laptop.list({ended});
  EXPECT_TRUE(laptop.open.contains("r"));
}

// A site's names become paths here.
TEST(SiteCore, LooksAtNoRunWhoseNameLeadsOutOfItsFolder) {
  const std::vector<wire::RunLine> runs{running("../../../../x", 9), running("/etc", 8),
                                        running("a/../b", 7), running("", 6), running("good", 1)};
  Laptop restored;
  restored.core.restore(restored.now, {runs, {9}});
  restored.obey();
  EXPECT_EQ(restored.mirrors, 1U);
  EXPECT_EQ(restored.core.board().names(), std::vector<std::string>{"good"});
  Laptop laptop;
  laptop.connect();
  laptop.list(runs);
  laptop.core.board().ask(laptop.now, "../y");
  laptop.steer(1, 1h, "../z");
  laptop.obey();
  EXPECT_EQ(laptop.mirrors, 1U);
  EXPECT_EQ(laptop.core.board().names(), std::vector<std::string>{"good"});
  EXPECT_EQ(laptop.core.list().runs.size(), 1U);
  ASSERT_EQ(laptop.kept.size(), 1U);
  EXPECT_EQ(laptop.kept[0].state, OrderState::kRefused);
}

TEST(SiteCore, ListsAnewWhenARunOpensThatTheListDoesNotHave) {
  Laptop laptop;
  laptop.steer(1, 1h);
  laptop.connect();
  laptop.list({});
  ASSERT_EQ(laptop.lists, 1U);
  laptop.opened("r");
  EXPECT_EQ(laptop.lists, 2U);
}

// Each by the state that gives `ctl` the code it would have without a daemon.
TEST(SiteCore, EndsAnOrderForARunThatIsNotThereOrNotForUs) {
  for (const auto& [kind, state] : {std::pair(Kind::kNotFound, OrderState::kMissing),
                                    std::pair(Kind::kAuth, OrderState::kDenied),
                                    std::pair(Kind::kUsage, OrderState::kRefused)}) {
    Laptop laptop;
    laptop.steer(1, 1h);
    laptop.connect();
    laptop.opened("r", Error(kind, "watch the run", "why"));
    EXPECT_EQ(laptop.kept.back().state, state);
    EXPECT_EQ(laptop.core.orders(), 0U);
  }
}

TEST(SiteCore, WatchesTheNewestRunsWhereThereAreTooMany) {
  Laptop laptop;
  laptop.connect();
  std::vector<wire::RunLine> runs;
  for (int i = 0; i < 100; ++i) runs.push_back(running("run-" + std::to_string(i), i));
  laptop.list(runs);
  EXPECT_EQ(laptop.open.size(), kWatchesMax);
  EXPECT_TRUE(laptop.open.contains("run-99"));
  EXPECT_FALSE(laptop.open.contains("run-0"));
  for (const auto& [run, watch] : std::map(laptop.open)) laptop.opened(run);
  // What somebody asks for takes the place of one that nobody did.
  laptop.core.board().ask(laptop.now, "run-0");
  laptop.obey();
  EXPECT_TRUE(laptop.open.contains("run-0"));
  EXPECT_LE(laptop.open.size(), kWatchesMax);
}

TEST(SiteCore, AsksForALongListLessOften) {
  Laptop laptop;
  laptop.connect();
  ASSERT_EQ(laptop.lists, 1U);
  auto ended = running("r", 1);
  ended.state = wire::RunState::kEnded;
  ended.config = std::string(16'000, 'x');
  std::vector<wire::RunLine> runs(100, ended);
  for (int i = 0; i < 100; ++i) runs[static_cast<std::size_t>(i)].name = "r" + std::to_string(i);
  laptop.list(runs);
  laptop.now += 5min;
  laptop.obey();
  EXPECT_EQ(laptop.lists, 1U);
  laptop.now += 5min;
  laptop.obey();
  EXPECT_EQ(laptop.lists, 2U);
}

}  // namespace
}  // namespace longhaul::daemon
