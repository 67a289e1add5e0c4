// A run watched and steered over a simulated ocean.
#include "tests/sim/feed_world.hpp"

namespace longhaul::test {
namespace {

TEST(Feed, P7TheNewestValueIsFirstWhateverTheBacklog) {
  FeedWorld world(ocean(1));  // 1 Mbit/s: the backlog takes many seconds
  RunWriter log(world.site_disk, "r", 1);
  put_backlog(log, 400'000);
  log.step(999'999);
  world.net.start();
  world.begin_watch();
  ASSERT_TRUE(world.until([&] { return world.newest == 999'999; }, 60s));
  const Duration shown = world.newest_at - Time{};
  EXPECT_LT(shown, 6 * kRtt + 1s);  // TCP, TLS, the watch, its answer
  EXPECT_LT(world.points.size(), 400'000U);
  ASSERT_TRUE(world.until([&] { return world.points.size() == 400'001; }, 300s));
  EXPECT_GT(world.net.wan.now() - Time{}, 2 * shown);
  EXPECT_EQ(world.lost, 0U);
}

// One-way delay and 100 ms, while history fills the link.
TEST(Feed, P7AStepReachesTheScreenInTime) {
  FeedWorld world(ocean(2));
  RunWriter log(world.site_disk, "r", 1);
  put_backlog(log, 600'000);
  world.net.start();
  world.begin_watch();
  ASSERT_TRUE(world.until([&] { return world.opened; }, 60s));
  world.train(log);
  std::vector<Duration> took;
  std::uint64_t seen = 0;
  const Time end = world.net.wan.now() + 20s;
  ASSERT_TRUE(world.until(
      [&] {
        if (world.newest > seen && world.logged_at.contains(world.newest)) {
          seen = world.newest;
          took.push_back(world.newest_at - world.logged_at.at(seen));
        }
        return world.net.wan.now() >= end;
      },
      30s));
  ASSERT_GT(took.size(), 100U);
  std::sort(took.begin(), took.end());
  EXPECT_LT(took[took.size() / 2], kRtt / 2 + 100ms);
  EXPECT_LT(took[took.size() * 99 / 100], kRtt / 2 + 250ms);
}

// newest_within, whole_within: of the end of the outage.
void expect_back_after(const WorldOptions& options, Duration outage, std::uint64_t seed,
                       Duration newest_within, Duration whole_within) {
  FeedWorld world(options, seed);
  RunWriter log(world.site_disk, "r", 1);
  put_backlog(log, 1'000);
  world.net.start();
  world.begin_watch();
  world.train(log);
  ASSERT_TRUE(world.until([&] { return world.points.size() > 1'100; }, 60s));
  world.net.wan.apply(world.net.link, netsim::Outage{outage});
  const Time back = world.net.wan.now() + outage;
  ASSERT_FALSE(world.until([&] { return world.net.wan.now() > back; }, outage));
  const std::uint64_t missed = world.newest;
  ASSERT_TRUE(
      world.until([&] { return world.newest_at > back && world.newest > missed + 100; }, 60s));
  EXPECT_LT(world.newest_at - back, newest_within) << "seed " << seed;
  // It is the newest, not the first of what was missed.
  EXPECT_LT(world.next_step - world.newest, static_cast<std::uint64_t>(1s / kStepTime));
  world.training = false;
  ASSERT_TRUE(
      world.until([&] { return world.points.size() == 1'000 + world.logged_at.size(); }, 300s));
  EXPECT_LT(world.net.wan.now() - back, whole_within) << "seed " << seed;
  EXPECT_EQ(world.lost, 0U);
}

TEST(Feed, P7AfterAnOutageOfTenMinutesTheNewestIsBackAtOnceAndNothingIsLost) {
  for (std::uint64_t seed = 1; seed <= 5; ++seed)
    expect_back_after(ocean(10), 10min, seed, 3 * kRtt + 1s, 20s);
}

// Over the fast path it is back sooner.
TEST(Feed, P7AfterAnOutageDatagramsBringTheNewestAtOnceAndAllOfTheHistory) {
  WorldOptions options = ocean(10);
  options.session.datagrams = true;
  for (std::uint64_t seed = 1; seed <= 3; ++seed) {
    expect_back_after(options, 60s, seed, 2 * kRtt + 250ms, 10s);
    expect_back_after(options, 10min, seed, 2 * kRtt + 250ms, 20s);
  }
}

// Before the outage the run had too little to say to show what the link carries: the rate begins
// anew, as high as it would for a link that nothing is known of.
TEST(Feed, P7AfterAnOutageTheHistoryComesAtTheLinksRateThoughItWasNeverMeasured) {
  WorldOptions options = ocean(100);
  options.session.datagrams = true;
  FeedWorld world(options);
  RunWriter log(world.site_disk, "r", 1);
  world.net.start();
  world.begin_watch();
  world.train(log);
  ASSERT_TRUE(world.until([&] { return world.points.size() > 200; }, 60s));
  world.net.wan.apply(world.net.link, netsim::Outage{60s});
  const Time back = world.net.wan.now() + 60s;
  put_backlog(log, 50'000);
  ASSERT_FALSE(world.until([&] { return world.net.wan.now() > back; }, 60s));
  world.training = false;
  const std::size_t all = 50'000 + world.logged_at.size();
  ASSERT_TRUE(world.until([&] { return world.points.size() == all; }, 300s));
  EXPECT_LT(world.net.wan.now() - back, 5s);
  EXPECT_EQ(world.lost, 0U);
}

TEST(Feed, ARestartedLaptopAsksOnlyForWhatItsMirrorLacks) {
  FeedWorld world(ocean(10, 0.01));
  world.mirror_on = true;
  RunWriter log(world.site_disk, "r", 1);
  put_backlog(log, 50'000);
  world.net.start();
  world.begin_watch();
  ASSERT_TRUE(world.until([&] { return world.points.size() == 50'000; }, 120s));
  world.begin_again();
  EXPECT_EQ(world.mirrored, 50'000U);
  log.step(50'000);
  ASSERT_TRUE(world.until([&] { return world.points.size() == 50'001; }, 60s));  // none twice
}

TEST(Feed, ACommandIsReceivedThenAppliedAndNeverTwice) {
  FeedWorld world(ocean(10, 0.02));
  RunWriter log(world.site_disk, "r", 1);
  world.net.start();
  world.begin_watch(false);
  world.train(log);
  ASSERT_TRUE(world.until([&] { return world.opened; }, 60s));
  world.steer(77, 60s);
  ASSERT_TRUE(world.until([&] { return world.verdicts.size() == 2; }, 60s));
  EXPECT_EQ(world.verdicts[0].state, wire::SteerState::kReceived);
  EXPECT_EQ(world.verdicts[1].state, wire::SteerState::kApplied);
  EXPECT_EQ(world.verdicts[1].text, "lr=0.5");
  EXPECT_GE(world.verdicts[1].step, 1'000'000U);
  EXPECT_GT(world.news, 0U);  // the mark, for everybody who watches
  // The laptop begins anew and asks again with the same id: it hears what became of it.
  const wire::Steered first = world.verdicts[1];
  world.begin_again();
  ASSERT_TRUE(world.until([&] { return world.opened; }, 60s));
  world.verdicts.clear();
  world.steer(77, 60s);
  ASSERT_TRUE(world.until([&] { return !world.verdicts.empty(); }, 60s));
  EXPECT_EQ(world.verdicts.back().state, wire::SteerState::kApplied);
  EXPECT_EQ(world.verdicts.back().step, first.step);
  world.until([] { return false; }, 5s);
  EXPECT_EQ(world.applied, 1U);
}

TEST(Feed, ACommandThatWasOnItsWayInAnOutageExpires) {
  FeedWorld world(ocean(10));
  RunWriter log(world.site_disk, "r", 1);
  world.net.start();
  world.begin_watch(false);
  world.train(log);
  ASSERT_TRUE(world.until([&] { return world.opened; }, 60s));
  world.net.wan.apply(world.net.link, netsim::Outage{120s});
  world.until([] { return false; }, 1s);
  world.steer(78, 30s);
  ASSERT_TRUE(world.until([&] { return !world.verdicts.empty(); }, 200s));
  EXPECT_EQ(world.verdicts[0].state, wire::SteerState::kExpired);
  EXPECT_EQ(world.applied, 0U);
}

TEST(Feed, AnObserverMayLookButNotSteer) {
  FeedWorld world(ocean(10));
  world.owner = false;
  RunWriter log(world.site_disk, "r", 1);
  world.net.start();
  world.begin_watch();
  world.train(log);
  ASSERT_TRUE(world.until([&] { return world.opened && !world.points.empty(); }, 60s));
  world.steer(79, 60s);
  ASSERT_TRUE(world.until([&] { return !world.verdicts.empty(); }, 60s));
  EXPECT_EQ(world.verdicts[0].state, wire::SteerState::kDenied);
  EXPECT_FALSE(world.site_disk.stat(store::TreeName::known("runs/r/control")).has_value());
}

TEST(Feed, OutputComesInOrderAndIsFollowedThroughLossAndAnOutage) {
  FeedWorld world(ocean(10, 0.02));
  Printer printer(world.site_disk);
  for (int i = 0; i < 40'000; ++i) printer.print("line " + std::to_string(i) + "\n");
  world.net.start();
  world.read_output(0, false, true);
  ASSERT_TRUE(world.until([&] { return world.printed == printer.all; }, 60s));
  world.net.wan.apply(world.net.link, netsim::Outage{30s});
  for (int i = 0; i < 10'000; ++i) printer.print("later " + std::to_string(i) + "\n");
  ASSERT_TRUE(world.until([&] { return world.printed == printer.all; }, 120s));
  EXPECT_FALSE(world.printed_last);
  printer.begin_anew();
  printer.print("anew\n");
  ASSERT_TRUE(world.until([&] { return world.printed_last; }, 60s));
  EXPECT_EQ(world.printed_error->kind(), Kind::kChanged);
}

TEST(Feed, OutputIsReadFromItsEndAndGoesOnWhereAReaderWas) {
  FeedWorld world(ocean(10));
  Printer printer(world.site_disk);
  printer.print(std::string(300'000, 'a') + std::string(1'000, 'b'));
  world.net.start();
  world.printed_from = 300'000;
  world.read_output(1'000, true, false);
  ASSERT_TRUE(world.until([&] { return world.printed_last; }, 60s));
  EXPECT_EQ(world.printed, std::string(1'000, 'b'));
  printer.print("c");
  world.printed_from = 301'000;
  world.read_output(301'000, false, false);
  ASSERT_TRUE(world.until([&] { return world.printed_last; }, 60s));
  EXPECT_EQ(world.printed, "c");
  world.printed_from = 0;
  world.read_output(1U << 30, true, false);  // of more than there is: all
  ASSERT_TRUE(world.until([&] { return world.printed_last; }, 60s));
  EXPECT_EQ(world.printed, printer.all);
  world.viewer().read_output(world.net.laptop.clock(), {"none", 0, false, true});
  world.net.laptop.drain();
  world.printed_last = false;
  ASSERT_TRUE(world.until([&] { return world.printed_last; }, 60s));
  EXPECT_EQ(world.printed_error->kind(), Kind::kNotFound);
}

TEST(Feed, ARunThatIsNotThereIsRefused) {
  FeedWorld world(ocean(10));
  world.net.start();
  world.begin_watch();
  ASSERT_TRUE(world.until([&] { return world.refused.has_value(); }, 60s));
  EXPECT_EQ(world.refused->kind(), Kind::kNotFound);
}

TEST(Feed, ANewAttemptIsFollowedAndTheOldOneKept) {
  FeedWorld world(ocean(10));
  RunWriter first(world.site_disk, "r", 1);
  put_backlog(first, 100);
  world.net.start();
  world.begin_watch();
  ASSERT_TRUE(world.until([&] { return world.points.size() == 100; }, 60s));
  RunWriter second(world.site_disk, "r", 2);
  for (std::uint64_t step = 50; step < 150; ++step) second.step(step);
  ASSERT_TRUE(world.until([&] { return world.points.size() == 200; }, 60s));
  EXPECT_EQ(world.newest, 149U);
}

}  // namespace
}  // namespace longhaul::test
