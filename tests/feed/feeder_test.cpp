// What a Feeder tells and a Viewer takes, one message at a time.
#include "tests/feed/pair.hpp"
#include "tests/sim/crash_files.hpp"

namespace longhaul::feed {
namespace {

using session::Lane;
using test::Pair;
using test::RunWriter;

TEST(Feeder, ANewestAttemptWithoutRecordsHidesNoOlderOne) {
  sim::CrashFiles files;
  RunWriter first(files, "r", 1), second(files, "r", 2);
  first.name(0, "loss");
  for (std::uint64_t step = 0; step < 100; ++step) first.step(step);
  const auto empty = files.open(log_name(run_folder("r").value(), 3), store::Access::kOpenOrCreate);
  ASSERT_TRUE(empty.has_value());
  Pair pair(files);
  pair.watch("r");
  pair.exchange(2s, Lane::kBackfill);
  EXPECT_EQ(pair.model.newest_attempt(), 3U);
  EXPECT_FALSE(pair.model.complete());
  for (const auto& message : pair.kept) pair.tell(pair.viewer, message);
  pair.exchange(2s);
  EXPECT_TRUE(pair.model.complete());
  EXPECT_EQ(pair.model.series().at("loss").points, 100U);
}

TEST(Feeder, HistoryIsCompleteOnceThatOfEveryAttemptIsHere) {
  sim::CrashFiles files;
  RunWriter first(files, "r", 1), second(files, "r", 2);
  for (RunWriter* log : {&first, &second}) {
    log->name(0, "loss");
    for (std::uint64_t step = 0; step < 100; ++step) log->step(step);
  }
  Pair pair(files);
  pair.watch("r");
  pair.exchange(2s, Lane::kBackfill);
  ASSERT_EQ(pair.kept.size(), 2U);  // one of each attempt
  pair.tell(pair.viewer, pair.kept[1]);
  pair.hear();
  EXPECT_FALSE(pair.model.complete());
  pair.tell(pair.viewer, pair.kept[0]);
  pair.hear();
  EXPECT_TRUE(pair.model.complete());
}

TEST(Feeder, APeerThatTakesNoAnswersIsNotServedWithoutEnd) {
  sim::CrashFiles files;
  Pair pair(files);
  std::optional<Error> broken;
  for (std::uint64_t i = 1; i <= 200'000 && !broken; ++i) {
    pair.tell_feeder(wire::Watch{wire::WatchId(i), {"../x"}, {}, true, true});
    (void)pair.said(*pair.feeder, 0);
    EXPECT_LE(pair.feeder->held(), kAnswersMax);
    broken = pair.feeder->take_broken();
  }
  ASSERT_TRUE(broken.has_value());
  EXPECT_EQ(broken->kind(), Kind::kLimit);
}

TEST(Feeder, PagesOfAListWaitForThoseBeforeThem) {
  sim::CrashFiles files;
  for (int i = 0; i < 300; ++i) RunWriter(files, "r" + std::to_string(i), 1);
  Pair pair(files);
  pair.viewer.list(pair.now);
  for (const auto& message : pair.said(pair.viewer)) pair.tell(*pair.feeder, message);
  EXPECT_TRUE(pair.said(*pair.feeder, 0).empty());
  const std::size_t held = pair.feeder->held();
  std::size_t pages = 0;
  for (const auto& message : pair.said(*pair.feeder)) {
    EXPECT_EQ(message.lane, Lane::kDemand);
    ++pages;
  }
  EXPECT_EQ(pages, 5U);
  EXPECT_GT(held, 0U);
  EXPECT_LT(held, 64U * 300);  // one page
  EXPECT_EQ(pair.feeder->held(), 0U);
}

TEST(Feeder, ACommandOfNoKnownKindIsRefusedAndLeavesNoFile) {
  sim::CrashFiles files;
  RunWriter log(files, "r", 1);
  Pair pair(files);
  const wire::WatchId watch = pair.watch("r");
  pair.exchange(100ms);
  wire::Steer steer;
  steer.watch = watch;
  steer.id = {7};
  steer.kind = 77;
  steer.name = "lr";
  pair.viewer.steer(pair.now, steer);
  pair.exchange(100ms);
  ASSERT_EQ(pair.verdicts.size(), 1U);
  EXPECT_EQ(pair.verdicts[0].state, wire::SteerState::kRefused);
  EXPECT_FALSE(files.stat(store::TreeName::known("runs/r/control/0000000000000007.cmd")));
}

TEST(Feeder, ACommandBeforeTheWatchIsOpenLeavesNothingBehind) {
  sim::CrashFiles files;  // a folder that is no run, or not yet
  ASSERT_TRUE(store::make_folders(files, run_folder("x").value()).has_value());
  Pair pair(files);
  pair.tell_feeder(wire::Watch{wire::WatchId(1), {"x"}, {}, true, true});
  wire::Steer steer;
  steer.watch = wire::WatchId(1);
  steer.id = {7};
  steer.kind = static_cast<std::uint8_t>(run::CommandKind::kPause);
  pair.tell_feeder(steer);
  (void)pair.said(*pair.feeder);
  EXPECT_FALSE(files.stat(store::TreeName::known("runs/x/control")).has_value());
}

TEST(Feeder, ARunThatIsReplacedUnderAWatchEndsIt) {
  for (const auto& [attempts, anew] : {std::pair(1U, 1U), std::pair(2U, 1U), std::pair(1U, 2U)}) {
    sim::CrashFiles files;
    for (std::uint32_t attempt = 1; attempt <= attempts; ++attempt)
      RunWriter(files, "r", attempt).step(1);
    Pair pair(files);
    pair.watch("r");
    pair.exchange(2s);
    ASSERT_TRUE(pair.opened && !pair.opened->error);
    for (std::uint32_t attempt = 1; attempt <= attempts; ++attempt)
      ASSERT_TRUE(files.remove(log_name(run_folder("r").value(), attempt)).has_value());
    for (std::uint32_t attempt = 1; attempt <= anew; ++attempt)
      RunWriter(files, "r", attempt, "{}", WallTime{2'000'000'000}).step(1);
    pair.exchange(60s);
    ASSERT_TRUE(pair.opened->error.has_value()) << attempts << " " << anew;
    EXPECT_EQ(pair.opened->error->kind(), Kind::kChanged);
  }
}

TEST(Feeder, ARunThatIsReplacedByOneThatHasOnlyBegunEndsIt) {
  sim::CrashFiles files;
  const auto log = log_name(run_folder("r").value(), 1);
  RunWriter(files, "r", 1).step(1);
  Pair pair(files);
  pair.watch("r");
  pair.exchange(2s);
  ASSERT_TRUE(files.remove(log).has_value());
  ASSERT_TRUE(files.open(log, store::Access::kCreate).has_value());
  pair.exchange(2s);  // nothing stands there yet
  ASSERT_TRUE(files.remove(log).has_value());
  RunWriter(files, "r", 1, "{}", WallTime{2'000'000'000}).step(1);
  pair.exchange(2s);
  ASSERT_TRUE(pair.opened->error.has_value());
  EXPECT_EQ(pair.opened->error->kind(), Kind::kChanged);
}

TEST(Feeder, ARefusedOutputIsAnAnswerLikeOthers) {
  sim::CrashFiles files;
  Pair pair(files);
  wire::ReadOutput read;
  read.request = wire::FeedRequest(1);
  read.run = "../x";
  pair.tell_feeder(read);
  EXPECT_GT(pair.feeder->held(), 0U);
  EXPECT_EQ(pair.said(*pair.feeder).size(), 1U);
  EXPECT_EQ(pair.feeder->held(), 0U);
}

TEST(Viewer, ARunThatWasBegunMoreOftenThanAMessageCanNameIsNotToldTwice) {
  sim::CrashFiles files;
  std::vector<wire::LogPlace> have;
  for (std::uint32_t attempt = 1; attempt <= wire::kAttemptsKnownMax + 100; ++attempt) {
    RunWriter log(files, "r", attempt);
    log.step(attempt);
    have.push_back({attempt, log.next(), log.bytes()});
  }
  Pair pair(files);
  pair.watch("r", have);
  pair.exchange(2s);
  ASSERT_TRUE(pair.opened.has_value());
  EXPECT_FALSE(pair.opened->error.has_value());
  EXPECT_TRUE(pair.broken.empty());
  EXPECT_EQ(pair.stretches, 0U);
}

TEST(Viewer, HearsWhenTheOldestAttemptBeganThatItHas) {
  sim::CrashFiles files;
  RunWriter first(files, "r", 1), second(files, "r", 2);
  Pair pair(files);
  pair.watch("r", {{1, 1, first.bytes()}});
  pair.exchange(100ms);
  ASSERT_TRUE(pair.opened.has_value());
  EXPECT_EQ(pair.opened->first, 1U);
  EXPECT_EQ(pair.opened->began.ns, 1'000'000'000);  // as every RunWriter says
}

TEST(Viewer, SaysOnceThatAMirrorIsWrittenNoMore) {
  sim::CrashFiles files, laptop;
  RunWriter log(files, "r", 1);
  for (std::uint64_t step = 0; step < 200'000; ++step) log.step(step);
  const auto mirror = *Mirror::open(laptop, store::TreeName::known("mirror"));
  wire::History elsewhere;  // what is here is not what follows
  elsewhere.attempt = 1;
  elsewhere.next = elsewhere.first = 7;
  ASSERT_FALSE(mirror->next().value().has_value());
  ASSERT_TRUE(mirror->append(elsewhere).has_value());
  Pair pair(files);
  pair.watch("r", {}, mirror.get());
  pair.exchange(5s);
  EXPECT_GT(pair.stretches, 2U);
  EXPECT_EQ(pair.mirrors_failed, 1U);
}

TEST(Viewer, ListsNoRunWhoseNameLeadsElsewhere) {
  Viewer viewer;
  wire::RunPage page;
  page.request = viewer.list(Time{});
  page.last = true;
  for (const char* name : {"../../x", "good", "/etc/x", ""}) {
    wire::RunLine line;
    line.name = std::string(name);
    page.lines.push_back(line);
  }
  viewer.on_message(Time{}, Lane::kDemand, Slice::copy_of(wire::encode(wire::FeedMessage(page))));
  const auto event = viewer.poll_event();
  ASSERT_TRUE(event.has_value());
  const auto* listed = std::get_if<RunsListed>(&*event);
  ASSERT_NE(listed, nullptr);
  EXPECT_TRUE(listed->last);
  ASSERT_EQ(listed->lines.size(), 1U);
  EXPECT_EQ(std::string_view(listed->lines[0].name), "good");
}

TEST(Viewer, ASiteCannotMakeItHoldWithoutEnd) {
  sim::CrashFiles files;
  Pair pair(files);
  const auto say = [&pair](const auto& message) {
    pair.viewer.on_message(pair.now, Lane::kDemand,
                           Slice::copy_of(wire::encode(wire::FeedMessage(message))));
    pair.hear();
  };
  const wire::FeedRequest list = pair.viewer.list(pair.now);
  wire::RunPage page;
  page.request = list;
  page.lines.push_back(wire::RunLine());
  page.lines[0].config = std::string(wire::kRunConfigMax, ' ');
  for (page.number = 1; page.number < 10'000 && pair.broken.empty(); ++page.number) say(page);
  ASSERT_EQ(pair.broken.size(), 1U);
  EXPECT_EQ(pair.broken[0].kind(), Kind::kLimit);

  wire::History history;
  history.watch = pair.watch("r");
  history.attempt = 1;
  for (history.after = 1; history.after < 400'000 && pair.broken.size() == 1; ++history.after) {
    history.first = history.next = history.after;
    say(history);
  }
  ASSERT_EQ(pair.broken.size(), 2U);
  EXPECT_EQ(pair.broken[1].kind(), Kind::kLimit);
}

}  // namespace
}  // namespace longhaul::feed
