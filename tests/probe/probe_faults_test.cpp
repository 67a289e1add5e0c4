// Probes of links that do not behave, and of their own saved profiles.
#include <gmock/gmock.h>

#include "tests/probe/probe_world.hpp"

namespace longhaul::test {
namespace {

netsim::LinkConfig link_of(std::initializer_list<const char*> settings) {
  std::vector<netsim::Assignment> words;
  for (const char* one : settings) words.push_back(*netsim::parse_assignment(one));
  const auto link = netsim::with({}, words);
  EXPECT_TRUE(link);
  return *link;
}
netsim::LinkConfig plain() {
  return link_of({"rtt=80ms", "rate=50mbit", "queue=100ms"});
}

TEST(Probe, OfABlockedUdpPortSaysSo) {
  ProbeWorldOptions options;
  options.udp_blocked = true;
  ProbeWorld world(1, plain(), options);
  ASSERT_TRUE(world.run());
  ASSERT_TRUE(world.prober().error());
  EXPECT_EQ(world.prober().error()->kind(), Kind::kTimeout);
  EXPECT_LE(world.prober().took(), 5s);
}

TEST(Probe, StaysWithinItsBudgetAndTime) {
  for (const std::uint64_t budget : {500'000U, 2'000'000U, 20'000'000U}) {
    ProbeWorldOptions options;
    options.prober.budget_bytes = budget;
    options.prober.time = 5s;
    ProbeWorld world(2, plain(), options);
    ASSERT_TRUE(world.run());
    EXPECT_FALSE(world.prober().error());
    EXPECT_LE(world.sent_bytes_up + world.sent_bytes_down, budget);
    EXPECT_LE(world.prober().took(), 8s);
    EXPECT_TRUE(world.figures().up.capacity);
  }
}

TEST(Probe, OfAnObserverIsBoundedByTheSite) {
  ProbeWorldOptions options;
  options.observer = true;
  options.prober.budget_bytes = 200'000'000;
  ProbeWorld world(3, link_of({"rtt=80ms", "rate=1gbit", "queue=500ms"}), options);
  ASSERT_TRUE(world.run());
  EXPECT_LE(world.sent_bytes_up + world.sent_bytes_down, probe::Gate::kObserverBytesMax);
}

TEST(Probe, EndsWhenReportsAndOrdersAreLost) {
  int count = 0;
  ProbeWorldOptions options;
  options.lose_message = [&count](const Slice&) { return ++count > 3; };
  ProbeWorld world(4, plain(), options);
  ASSERT_TRUE(world.run());
  EXPECT_TRUE(world.prober().cut_short());
  EXPECT_TRUE(world.figures().idle);
}

TEST(Probe, OfALinkThatDiesEnds) {
  ProbeWorld world(5, plain());
  world.wan().clock().after(
      4s, [&world] { world.wan().apply(netsim::LinkId(0), netsim::Outage{60s}); });
  ASSERT_TRUE(world.run());
  EXPECT_TRUE(world.figures().idle);
}

TEST(Probe, FindsTheClocksApart) {
  ProbeWorldOptions options;
  options.clocks_apart = 1234ms;
  ProbeWorld world(6, plain(), options);
  ASSERT_TRUE(world.run());
  const auto offset = world.figures().clock_offset_ms;
  ASSERT_TRUE(offset);
  EXPECT_NEAR(offset->value, 1234, 1);
  EXPECT_LE(offset->high - offset->value, 41);
}

TEST(Probe, FindsTheMtu) {
  ProbeWorld world(7, link_of({"rtt=80ms", "rate=50mbit", "queue=100ms", "mtu=1420"}));
  ASSERT_TRUE(world.run());
  EXPECT_EQ(world.figures().mtu_bytes, 1420U);
  EXPECT_NEAR(world.figures().up.capacity->value * 8, 50e6, 2.5e6);
}

TEST(Probe, FindsAPolicer) {
  ProbeWorld world(
      8, link_of({"rtt=80ms", "rate=100mbit", "queue=100ms", "up.policer=20mbit,500KiB"}));
  ASSERT_TRUE(world.run());
  const probe::Figures figures = world.figures();
  ASSERT_TRUE(figures.up.policer);
  EXPECT_NEAR(figures.up.policer->rate * 8, 20e6, 2e6);
  EXPECT_FALSE(figures.down.policer);
}

TEST(Probe, P9TheSameSeedGivesTheSameProbe) {
  const auto run = [](std::uint64_t seed) {
    ProbeWorld world(seed, netsim::built_in_profile("nyc-asuncion")->link);
    EXPECT_TRUE(world.run());
    return world.wan().trace_hash();
  };
  EXPECT_EQ(run(9), run(9));
  EXPECT_NE(run(9), run(10));
}

ProbeWorldOptions with_silences() {
  ProbeWorldOptions options;
  options.prober.budget_bytes = 500'000;
  options.prober.time = 4s;
  options.prober.silences = {10s, 20s, 30s, 60s, 120s};
  return options;
}

TEST(ProbeSilence, ANatThatForgetsIsFoundBetweenTwoSilences) {
  ProbeWorldOptions options = with_silences();
  options.nat_idle = 45s;
  ProbeWorld world(11, link_of({"rtt=80ms", "rate=50mbit", "queue=100ms", "loss=1%"}), options);
  ASSERT_TRUE(world.run());
  ASSERT_FALSE(world.prober().error());
  const auto nat = world.prober().nat();
  ASSERT_TRUE(nat && nat->answered);
  EXPECT_EQ(nat->alive, 30s);
  ASSERT_TRUE(nat->expired);
  EXPECT_GE(*nat->expired, 60s);
  EXPECT_LE(*nat->expired, 60s + 100ms);
  EXPECT_EQ(nat->tried, 120s);
  EXPECT_LE(world.sent_bytes_up + world.sent_bytes_down, options.prober.budget_bytes);
}

TEST(ProbeSilence, WithoutANatAllSilencesAreSurvived) {
  const ProbeWorldOptions options = with_silences();
  ProbeWorld world(12, plain(), options);
  ASSERT_TRUE(world.run());
  const auto nat = world.prober().nat();
  ASSERT_TRUE(nat && nat->answered);
  EXPECT_EQ(nat->alive, 120s);
  EXPECT_FALSE(nat->expired);
  EXPECT_LE(world.prober().took(), 10s);  // but for the silence
}

TEST(ProbeSilence, DoesNotKeepTheSiteFromOthers) {
  ProbeWorld world(13, plain(), with_silences());
  world.start();
  ASSERT_TRUE(world.wan().run_until(
      [&] { return world.prober().stage() == probe::Prober::Stage::kQuiet; }, 60s));
  ASSERT_TRUE(world.wan().run_until([&] { return !world.gate().taken(); }, 10s));
  ASSERT_TRUE(world.run_on());
  EXPECT_EQ(world.prober().nat()->alive, 120s);
}

TEST(ProbeSilence, OfASiteThatDoesNotAnswerSaysSo) {
  ProbeWorldOptions options = with_silences();
  options.lose_datagram = [](const netsim::Endpoint& to) { return to.port > 5000; };
  ProbeWorld world(14, plain(), options);
  ASSERT_TRUE(world.run());
  ASSERT_FALSE(world.prober().error());
  ASSERT_TRUE(world.prober().nat());
  EXPECT_FALSE(world.prober().nat()->answered);
}

}  // namespace
}  // namespace longhaul::test
