#include "netsim/link.hpp"

#include <gmock/gmock.h>

namespace netsim {
namespace {

using namespace longhaul;  // literals

Time at(Duration d) {
  return Time(d);
}

LinkConfig two_ways(Duration one_way) {
  LinkConfig config;
  config.up.delay.base = config.down.delay.base = one_way;
  return config;
}

std::vector<Duration> arrivals(Link& link, Direction direction) {
  std::vector<Duration> out;
  while (const auto delivery = link.pop(at(1h), direction))
    out.push_back(delivery->at.time_since_epoch());
  return out;
}

TEST(Link, DirectionsAreTheirOwn) {
  auto config = two_ways(10ms);
  config.down.delay.base = 30ms;
  Link link(config, Rng(1), Time{});
  link.push(at(0s), Direction::kUp, {1, 100});
  link.push(at(0s), Direction::kDown, {2, 100});
  EXPECT_THAT(arrivals(link, Direction::kUp), testing::ElementsAre(10ms));
  EXPECT_THAT(arrivals(link, Direction::kDown), testing::ElementsAre(30ms));
}

TEST(Link, AddingADirectionsNoiseLeavesTheOthersDrawsAlone) {
  auto config = two_ways(10ms);
  config.up.loss = BernoulliLoss{0.5};
  const auto lost = [&] {
    Link link(config, Rng(7), Time{});
    std::vector<std::uint64_t> out;
    for (std::uint64_t i = 0; i < 200; ++i) {
      link.push(at(i * 1ms), Direction::kUp, {i, 100});
      link.push(at(i * 1ms), Direction::kDown, {i, 100});
      while (const auto drop = link.pop_drop(Direction::kUp)) out.push_back(drop->cookie);
    }
    return out;
  };
  const auto before = lost();
  config.down.loss = BernoulliLoss{0.3};
  config.up.delay.jitter = NormalJitter{1ms};
  EXPECT_EQ(lost(), before);
}

TEST(Link, EventsHappenAtTheirTimeHoweverLateOneLooks) {
  auto config = two_ways(10ms);
  config.events = {Event{5ms, {}, Outage{3ms}}, Event{20ms, {}, RouteStep{-4ms}}};
  Link link(config, Rng(1), Time{});
  link.push(at(0s), Direction::kUp, {1, 100});    // in flight at 5 ms
  link.push(at(8ms), Direction::kUp, {2, 100});   // the link is back
  link.push(at(25ms), Direction::kUp, {3, 100});  // 6 ms after the step
  EXPECT_THAT(arrivals(link, Direction::kUp), testing::ElementsAre(18ms, 31ms));
  EXPECT_EQ(link.pop_drop(Direction::kUp)->why, DropReason::kOutage);
}

TEST(Link, OverlappingOutagesEndWithTheLast) {
  Link link(two_ways(10ms), Rng(1), Time{});
  link.apply(at(0s), Outage{10ms});
  link.apply(at(5ms), Partition{Direction::kUp, 20ms});
  link.apply(at(6ms), Outage{1ms});
  for (const Duration t : {8ms, 11ms, 24ms, 25ms})
    for (const Direction d : kBothWays) link.push(at(t), d, {1, 100});
  EXPECT_THAT(arrivals(link, Direction::kUp), testing::ElementsAre(35ms));
  EXPECT_THAT(arrivals(link, Direction::kDown), testing::ElementsAre(21ms, 34ms, 35ms));
}

TEST(Link, APmtuDropIsSilentAndEnds) {
  Link link(two_ways(10ms), Rng(1), Time{});
  link.apply(at(0s), PmtuDrop{1400, 1s});
  link.push(at(1ms), Direction::kUp, {1, 1401});
  link.push(at(2ms), Direction::kUp, {2, 1400});
  link.push(at(1s), Direction::kUp, {3, 1500});
  EXPECT_EQ(link.pop_drop(Direction::kUp)->why, DropReason::kBlackHole);
  EXPECT_THAT(arrivals(link, Direction::kUp), testing::ElementsAre(12ms, 1010ms));
}

TEST(Link, RepeatedEventsNeedNoWakeWhenNothingFlies) {
  auto config = two_ways(10ms);
  config.events = {Event{1s, 1s, Rebind{}}};
  Link link(config, Rng(1), Time{});
  EXPECT_FALSE(link.next_delivery());
  EXPECT_EQ(link.next_deadline(), at(1s));
  link.advance(at(3500ms));
  int rebinds = 0;
  while (link.pop_rebind()) ++rebinds;
  EXPECT_EQ(rebinds, 3);
}

TEST(Link, ReconfigureRestartsOnlyAChangedTimeline) {
  auto config = two_ways(10ms);
  config.events = {Event{1s, {}, Outage{1s}}};
  Link link(config, Rng(1), Time{});
  config.up.delay.base = 20ms;
  link.reconfigure(at(900ms), config);
  link.push(at(1500ms), Direction::kUp, {1, 100});
  EXPECT_EQ(link.pop_drop(Direction::kUp)->why, DropReason::kOutage);
  config.events.clear();
  link.reconfigure(at(1600ms), config);  // the outage under way ends as it would have
  link.push(at(1999ms), Direction::kUp, {2, 100});
  link.push(at(2s), Direction::kUp, {3, 100});
  EXPECT_THAT(arrivals(link, Direction::kUp), testing::ElementsAre(2020ms));
}

TEST(Config, EveryNonsenseGetsALine) {
  const auto complaint = [](auto change) {
    LinkConfig config;
    change(config);
    const auto result = check(config);
    return result ? std::string() : result.error().message();
  };
  using C = LinkConfig;
  EXPECT_EQ(complaint([](C&) {}), "");
  const std::vector<std::string> complaints = {
      complaint([](C& c) { c.up.loss = BernoulliLoss{-0.1}; }),
      complaint([](C& c) { c.up.loss = BernoulliLoss{std::numeric_limits<double>::quiet_NaN()}; }),
      complaint([](C& c) { c.down.loss = TraceLoss{}; }),
      complaint([](C& c) { c.down.loss = NthLoss{0}; }),
      complaint([](C& c) { c.up.rate = ConstantRate{BytesPerSecond(0)}; }),
      complaint([](C& c) { c.up.rate = TraceRate{}; }),
      complaint([](C& c) {
        c.up.rate = TraceRate{{5ms, 4ms}, 5ms};
      }),
      complaint([](C& c) {
        c.up.rate = TraceRate{{5ms}, 4ms};
      }),
      complaint([](C& c) { c.up.queue.bytes_max = ByteCount(10'000'000'000); }),
      complaint([](C& c) { c.up.queue.packets_max = 0; }),
      complaint([](C& c) { c.up.delay.base = -1ms; }),
      complaint([](C& c) { c.up.delay.correlation = 1; }),
      complaint([](C& c) { c.up.delay.jitter = EmpiricalJitter{}; }),
      complaint([](C& c) {
        c.up.delay.jitter = ParetoJitter{4ms, 4ms};
      }),
      complaint([](C& c) { c.up.mtu_bytes = 10; }),
      complaint([](C& c) {
        c.up.policer = PolicerConfig{BytesPerSecond(0), 1_B};
      }),
      complaint([](C& c) {
        c.up.aggregation = AggregationConfig{0, 1ms};
      }),
      complaint([](C& c) {
        c.events = {Event{-1s, {}, Outage{1s}}};
      }),
      complaint([](C& c) {
        c.events = {Event{1s, 0s, Outage{1s}}};
      }),
      complaint([](C& c) {
        c.events = {Event{2s, {}, Outage{1s}}, Event{1s, {}, Rebind{}}};
      }),
  };
  for (std::size_t i = 0; i < complaints.size(); ++i) {
    EXPECT_NE(complaints[i], "") << i;
    EXPECT_EQ(complaints[i].find('\n'), std::string::npos) << complaints[i];
  }
}

}  // namespace
}  // namespace netsim
