#include "proxy/daemon/site_core.hpp"

#include <gtest/gtest.h>

namespace longhaul::daemon {
namespace {

constexpr WallTime kBegan{1'000'000'000'000};

// A laptop's core and a site that answers as a feeder does, with time as a number.
struct Laptop {
  SiteCore core{Time{}};
  Time now{};
  std::uint64_t watches = 0, requests = 0;
  std::map<std::string, wire::WatchId> open;
  std::vector<wire::Steer> steers;
  std::vector<Order> kept, pushes;
  std::size_t mirrors = 0, lists = 0;
  MirrorRead disk = {.have = {}, .steps = {}, .decided = {}, .appends = true};  // of every run
  std::vector<wire::LogPlace> have;  // as the newest watch said

  WallTime wall() const { return {kBegan.ns + (now - Time{}).count()}; }
  void connect() {
    ASSERT_TRUE(core.begins(now));
    core.on_session(now);
    core.on_link(now, true, true);
    obey();
  }
  void lose(bool for_good) {
    core.on_link(now, true, false);
    if (!for_good) return;
    open.clear();
    core.on_ended(now, Error(Kind::kLink, "go on", "no path for a day"), false);
  }
  void obey() {
    obey_all();
    // Or the owner would come back at once, for ever.
    EXPECT_TRUE(core.begins(now) || core.next_deadline(now) > now);
  }
  void obey_all() {
    while (auto act = core.poll(now, wall())) {
      if (std::holds_alternative<AskRuns>(*act)) {
        ++lists;
        core.on_asked(wire::FeedRequest(++requests));
      } else if (const auto* mirror = std::get_if<OpenMirror>(&*act)) {
        ++mirrors;
        core.on_mirror(now, mirror->run, disk);
      } else if (const auto* watch = std::get_if<StartWatch>(&*act)) {
        const wire::WatchId id(++watches);
        open[watch->run] = id;
        have = watch->have;
        core.board().on_watch(watch->run, id);
      } else if (const auto* end = std::get_if<EndWatch>(&*act)) {
        open.erase(end->run);
      } else if (const auto* steer = std::get_if<wire::Steer>(&*act)) {
        steers.push_back(*steer);
      } else if (const auto* order = std::get_if<KeepOrder>(&*act)) {
        kept.push_back(order->order);
      } else if (const auto* push = std::get_if<BeginPush>(&*act)) {
        pushes.push_back(push->order);
      }
    }
  }
  void list(std::vector<wire::RunLine> runs) {
    feed::RunsListed page{wire::FeedRequest(requests), std::move(runs), true, std::nullopt};
    core.on_event(now, wall(), page);
    obey();
  }
  void opened(const std::string& run, std::optional<Error> error = std::nullopt) {
    core.on_event(now, wall(), feed::Opened{open.at(run), error, wall()});
    obey();
  }
  void say(std::uint64_t id, wire::SteerState state) {
    wire::Steered steered;
    steered.id = {id};
    steered.state = state;
    core.on_event(now, wall(), steered);
    obey();
  }
  std::uint64_t have_next() const { return have.size() == 1 ? have[0].next : 0; }
  // All of attempt 1 is `records` long, and it came.
  void heard_all(const std::string& run, std::uint64_t records) {
    feed::Took took;
    took.watch = open.at(run);
    took.attempt = 1;
    took.next = records;
    core.on_event(now, wall(), took);
    core.on_event(now, wall(), feed::Heard{open.at(run), 1, records, wall(), wall(), {}});
    obey();
  }
  void applied(const std::string& run, std::uint64_t id, std::uint64_t step) {
    run::RunEvent event;
    event.kind = run::EventKind::kApplied;
    event.id = id;
    event.step = step;
    feed::Heard heard{open.at(run), 1, 10, wall(), wall(), {}};
    run::LogEntry entry;
    entry.record = event;
    heard.entries.push_back(entry);
    core.on_event(now, wall(), heard);
    obey();
  }
  Order steer(std::uint64_t number, Duration lifetime, const std::string& run = "r") {
    Order order;
    order.number = number;
    order.id = 100 + number;
    order.site = "lab";
    order.target = run;
    order.command = "lr=0.001";
    order.made = wall();
    order.expires.ns = wall().ns + lifetime.count();
    core.on_order(now, order);
    return order;
  }
};

wire::RunLine running(const std::string& name, std::int64_t wrote) {
  wire::RunLine line;
  line.name = name;
  line.state = wire::RunState::kRunning;
  line.attempts = 1;
  line.wrote.ns = wrote;
  return line;
}

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
  laptop.now += 1s;
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

TEST(SiteCore, RefusesAnOrderForARunThatIsNotThere) {
  Laptop laptop;
  laptop.steer(1, 1h);
  laptop.connect();
  laptop.opened("r", Error(Kind::kNotFound, "watch the run", "there is none"));
  EXPECT_EQ(laptop.kept.back().state, OrderState::kRefused);
  EXPECT_EQ(laptop.core.orders(), 0U);
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

TEST(SiteCore, PushesOneAfterTheOtherAndTriesAgainAfterALostLink) {
  Laptop laptop;
  for (std::uint64_t number : {1U, 2U}) {
    Order push;
    push.number = push.id = number;
    push.kind = OrderKind::kPush;
    push.site = "lab";
    push.target = "corpus";
    push.source = "/data";
    push.state = OrderState::kRunning;  // of a daemon that was killed
    laptop.core.on_order(laptop.now, push);
  }
  laptop.obey();
  EXPECT_TRUE(laptop.pushes.empty());
  laptop.connect();
  ASSERT_EQ(laptop.pushes.size(), 1U);
  laptop.core.on_push_ended(laptop.now, 1, 5, "no link");
  laptop.obey();
  EXPECT_EQ(laptop.pushes.size(), 1U);
  laptop.now += kPushPause;
  laptop.obey();
  ASSERT_EQ(laptop.pushes.size(), 2U);
  EXPECT_EQ(laptop.pushes[1].tries, 2U);
  laptop.core.on_push_ended(laptop.now, 1, 0, "v000001");
  laptop.obey();
  ASSERT_EQ(laptop.pushes.size(), 3U);
  EXPECT_EQ(laptop.pushes[2].id, 2U);
  laptop.core.on_push_ended(laptop.now, 2, 3, "no such source");
  laptop.obey();
  EXPECT_EQ(laptop.kept.back().state, OrderState::kFailed);
  EXPECT_EQ(laptop.core.orders(), 0U);
}

}  // namespace
}  // namespace longhaul::daemon
