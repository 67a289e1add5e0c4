#include "netsim/testing/wan_test.hpp"

#include <gmock/gmock.h>

namespace netsim {
namespace {

using namespace longhaul;  // literals
using testing::ElementsAre;

class Inbox : public DatagramUser {
 public:
  void on_datagram(Time now, const Datagram& datagram) override {
    times.push_back(now.time_since_epoch());
    texts.emplace_back(text_of(datagram.payload.bytes()));
    from.push_back(datagram.from);
    ecn.push_back(datagram.ecn);
  }
  void on_too_big(Time now, Endpoint, std::uint32_t mtu_bytes) override {
    too_big.emplace_back(now.time_since_epoch(), mtu_bytes);
  }
  std::vector<Duration> times;
  std::vector<std::string> texts;
  std::vector<Endpoint> from;
  std::vector<Ecn> ecn;
  std::vector<std::pair<Duration, std::uint32_t>> too_big;
};

class WanNet : public WanTest {
 protected:
  void send(HostId from, HostId to, std::string_view text, Ecn ecn = Ecn::kNotEct) {
    wan.send({endpoint(from, 5000), endpoint(to, 9000), Slice::copy_of(text), ecn});
  }
  Inbox inbox, sender;
};

TEST_F(WanNet, DatagramsArriveAtTheirExactTime) {
  const auto [a, b, link] = join(wan_of(150ms, 8'000'000));  // 1 us a byte
  wan.bind(endpoint(b, 9000), inbox);
  send(a, b, "hello");
  send(a, b, "you");
  wan.run();
  EXPECT_THAT(inbox.times, ElementsAre(75ms + 33us, 75ms + 33us + 31us));
  EXPECT_THAT(inbox.texts, ElementsAre("hello", "you"));
  EXPECT_EQ(wan.now(), at(75ms + 64us));
}

TEST_F(WanNet, TakesTheShortestWayUnlessToldOtherwise) {
  const HostId a = wan.add_host("a"), b = wan.add_host("b"), c = wan.add_host("c");
  wan.connect(a, b, wan_of(20ms));
  wan.connect(b, c, wan_of(20ms));
  const LinkId direct = wan.connect(a, c, wan_of(200ms));
  wan.bind(endpoint(c, 9000), inbox);
  send(a, c, "direct");
  wan.run();
  EXPECT_THAT(inbox.times, ElementsAre(100ms));
  wan.route(a, c, LinkId(0));
  send(a, c, "by b");
  wan.run();
  EXPECT_EQ(inbox.times.back(), 120ms);
  wan.route(a, c, direct);
  send(a, c, "direct again");
  wan.run();
  EXPECT_EQ(inbox.times.back(), 220ms);
}

TEST_F(WanNet, CircularRoutesEnd) {
  const HostId a = wan.add_host("a"), b = wan.add_host("b"), c = wan.add_host("c");
  const LinkId ab = wan.connect(a, b, wan_of(2ms));
  wan.connect(b, c, wan_of(2ms));
  wan.route(b, c, ab);
  wan.bind(endpoint(c, 9000), inbox);
  send(a, c, "round");
  wan.run();
  EXPECT_THAT(inbox.times, testing::IsEmpty());
  EXPECT_EQ(wan.packet_hops(), 64U);
}

TEST_F(WanNet, AHostReachesItself) {
  const HostId a = wan.add_host("a");
  wan.bind(endpoint(a, 9000), inbox);
  send(a, a, "me");
  EXPECT_THAT(inbox.texts, testing::IsEmpty());  // never within the call
  wan.run();
  EXPECT_THAT(inbox.times, ElementsAre(0ms));
}

TEST_F(WanNet, TellsTheSenderOfASmallMtuAfterOneRoundTripToTheRouter) {
  const HostId a = wan.add_host("a"), router = wan.add_host("router"), b = wan.add_host("b");
  auto narrow = wan_of(10ms);
  narrow.up.mtu_bytes = 1400;
  wan.connect(a, router, wan_of(30ms));
  wan.connect(router, b, narrow);
  wan.bind(endpoint(a, 5000), sender);
  send(a, b, std::string(1400, 'x'));
  wan.run();
  EXPECT_THAT(sender.too_big, ElementsAre(std::pair(30ms, 1400U)));
}

TEST_F(WanNet, PartitionIsOneWayAndRouteStepsMoveBoth) {
  const auto [a, b, link] = join(wan_of(100ms));
  Inbox back;
  wan.bind(endpoint(b, 9000), inbox);
  wan.bind(endpoint(a, 9000), back);
  wan.apply(link, Partition{Direction::kUp, 1s});
  wan.apply(link, RouteStep{17ms});
  send(a, b, "lost");
  send(b, a, "through");
  wan.run();
  EXPECT_THAT(inbox.texts, testing::IsEmpty());
  EXPECT_THAT(back.times, ElementsAre(67ms));
  wan.run_until(at(1s));
  send(a, b, "healed");
  wan.run();
  EXPECT_THAT(inbox.times, ElementsAre(1067ms));
}

TEST_F(WanNet, ScriptedEventsHappenOnTime) {
  auto config = wan_of(100ms);
  config.events = {Event{1s, {}, Outage{500ms}}, Event{2s, 1s, RouteStep{5ms}},
                   Event{2500ms, {}, LossStep{Direction::kUp, BernoulliLoss{1}}}};
  const auto [a, b, link] = join(config);
  wan.bind(endpoint(b, 9000), inbox);
  wan.bind(endpoint(a, 9000), inbox);
  for (const Duration t : {949ms, 951ms, 1499ms, 1500ms, 2000ms, 2600ms})
    wan.clock().at(at(t), [this, a = a, b = b] { send(a, b, "up"); });
  wan.clock().at(at(3500ms), [this, a = a, b = b] { send(b, a, "down"); });
  wan.run();
  // 951 flies at the break; 1499 comes during it; 2600 meets the loss; the step repeats at 3 s
  EXPECT_THAT(inbox.times, ElementsAre(999ms, 1550ms, 2055ms, 3560ms));
}

TEST_F(WanNet, ARebindingChangesThePortAndForgetsTheOld) {
  const auto [a, b, link] = join(wan_of(10ms));
  Inbox back;
  wan.bind(endpoint(b, 9000), inbox);
  wan.bind(endpoint(a, 5000), back);
  send(a, b, "one");
  wan.run();
  EXPECT_EQ(inbox.from.back(), endpoint(a, 5000));
  wan.apply(link, Rebind{true});
  wan.send({endpoint(b, 9000), endpoint(a, 5000), Slice::copy_of("to nobody")});
  send(a, b, "two");
  wan.run();
  EXPECT_THAT(back.texts, testing::IsEmpty());
  EXPECT_GE(inbox.from.back().address, kFirstAlias);
  wan.send({endpoint(b, 9000), inbox.from.back(), Slice::copy_of("found")});
  wan.run();
  EXPECT_THAT(back.texts, ElementsAre("found"));
}

TEST_F(WanNet, AnIdleMappingIsForgottenUnlessSomethingLeavesByIt) {
  const auto [a, b, link] = join(wan_of(10ms));
  Inbox back;
  wan.bind(endpoint(b, 9000), inbox);
  wan.bind(endpoint(a, 5000), back);
  wan.forget_idle_mappings(link, 30s);
  const auto answer = [&](const char* text) {
    wan.send({endpoint(b, 9000), inbox.from.back(), Slice::copy_of(text)});
  };
  send(a, b, "one");
  wan.run_for(29s);
  send(a, b, "two");
  wan.run_for(29s);
  answer("in time");
  wan.run_for(2s);
  answer("too late");
  wan.run();
  EXPECT_EQ(inbox.from.front(), inbox.from.back());
  EXPECT_THAT(back.texts, ElementsAre("in time"));
  send(a, b, "three");
  wan.run();
  answer("found");
  wan.run();
  EXPECT_NE(inbox.from.front(), inbox.from.back());
  EXPECT_THAT(back.texts, ElementsAre("in time", "found"));
}

TEST_F(WanNet, QueuesMarkInsteadOfDroppingWhenAsked) {
  auto config = wan_of(10ms, 8'000'000);
  config.up.queue.mark_above = 2000_B;
  const auto [a, b, link] = join(config);
  wan.bind(endpoint(b, 9000), inbox);
  for (int i = 0; i < 4; ++i) send(a, b, std::string(972, 'x'), Ecn::kEct0);
  wan.run();  // one is sent at once, two wait below the mark, the fourth is over it
  EXPECT_THAT(inbox.ecn, ElementsAre(Ecn::kEct0, Ecn::kEct0, Ecn::kEct0, Ecn::kCe));
}

TEST_F(WanNet, TimersRunInOrderAndMayBeCancelled) {
  std::vector<int> order;
  wan.clock().after(2ms, [&] { order.push_back(3); });
  wan.clock().after(1ms, [&] {
    order.push_back(1);
    wan.clock().after(0ms, [&] { order.push_back(2); });
  });
  const TimerId never = wan.clock().after(1500us, [&] { order.push_back(99); });
  wan.clock().after(2ms, [&] { order.push_back(4); });
  wan.clock().cancel(never);
  wan.run();
  EXPECT_THAT(order, ElementsAre(1, 2, 3, 4));
  EXPECT_EQ(wan.now(), at(2ms));
}

TEST_F(WanNet, TheTrapIsSetInHere) {
  EXPECT_TRUE(trap_is_set());
}

std::uint64_t busy_world(std::uint64_t seed) {
  Wan wan(seed);
  auto config = wan_of(40ms, 10'000'000);
  for (const Direction d : kBothWays) {
    config[d].loss = GilbertElliottLoss::of(0.02, 3);
    config[d].delay.jitter = ParetoNormalJitter{2ms, 40ms};
    config[d].delay.correlation = 0.3;
    config[d].delay.may_reorder = true;
    config[d].queue.discipline = Pie{};
    config[d].corrupt.p = 0.001;
    config[d].duplicate = 0.01;
  }
  const HostId a = wan.add_host("a"), b = wan.add_host("b");
  wan.connect(a, b, config);
  Inbox inbox;
  wan.bind(endpoint(b, 9000), inbox);
  Rng rng = wan.stream("app");
  for (int i = 0; i < 3000; ++i)
    wan.clock().after(std::chrono::microseconds(rng.below(5'000'000)), [&wan, a, b] {
      wan.send({endpoint(a, 5000), endpoint(b, 9000), Slice::copy_of(std::string(1000, 'x'))});
    });
  wan.run();
  return wan.trace_hash();
}

TEST(Wan, SameSeedSameTrace) {
  for_each_seed(5, [](std::uint64_t seed) {
    EXPECT_EQ(busy_world(seed), busy_world(seed));
    EXPECT_NE(busy_world(seed), busy_world(seed + 1));
  });
}

// Run by replay_check, which wants it to fail.
TEST(Replay, DISABLED_FailsOnSeedThree) {
  for_each_seed(5, [](std::uint64_t seed) { EXPECT_NE(seed, 3U); });
}

}  // namespace
}  // namespace netsim
