// After half a minute of bulk in datagrams the session tries TLS beside them: a network that
// throttles UDP is found so, and a link that UDP fills is not filled further.
#include <gtest/gtest.h>

#include <algorithm>

#include "tests/sim/questions.hpp"

namespace longhaul::test {
namespace {

using session::ChoiceReason;
using session::Lane;

WorldOptions fast(std::uint64_t megabits) {
  WorldOptions options;
  options.link = {.rtt = 180ms, .megabits = megabits};
  options.session.datagrams = true;
  options.session.expects_bulk = true;
  options.check_every_step = false;
  return options;
}

Duration queue_of(SessionWorld& world) {
  const auto& pipe = world.wan.link(world.link).pipe(netsim::Direction::kUp);
  const auto rate = std::get<netsim::ConstantRate>(pipe.config().rate).rate;
  return rate.time_for(ByteCount(pipe.queue_bytes()));
}

bool tested(const Node& node) {
  const auto chosen = node.events_of<session::PathChosen>();
  return std::any_of(chosen.begin(), chosen.end(),
                     [](const auto& event) { return event.second.why == ChoiceReason::kTesting; });
}

// Bar of one alone on a link: queue p99 25 ms; of control beside bulk: 10 and 50 ms over the base.
TEST(PathTrial, ALinkThatDatagramsFillIsNotFilledFurther) {
  for (const double queue_bdp : {0.5, 4.0}) {
    SCOPED_TRACE(queue_bdp);
    WorldOptions options = fast(100);
    options.link.queue_bdp = queue_bdp;
    SessionWorld world(41, options);
    Questions questions(world);
    std::vector<Duration> queues;
    world.laptop.service.send_endless_bulk(true);
    world.start();
    world.run_for(29s);
    for (int i = 0; i < 400; ++i) {  // until the test is long over
      questions.ask_and_run(20ms);
      queues.push_back(queue_of(world));
    }
    EXPECT_TRUE(tested(world.laptop));
    EXPECT_EQ(world.laptop.session->status().choice, ChoiceReason::kAnswered);
    EXPECT_LE(percentile(queues, 50), 10ms);
    EXPECT_LE(percentile(queues, 99), 25ms);
    EXPECT_LE(percentile(questions.waits, 50), 10ms);
    EXPECT_LE(percentile(questions.waits, 99), 50ms);
  }
}

void expect_found(const UdpThrottle& throttle) {
  WorldOptions options = fast(50);
  options.udp_throttle = throttle;
  SessionWorld world(42, options);
  world.laptop.service.send_endless_bulk(true);
  world.start();
  EXPECT_TRUE(world.run_until(
      [&world] { return world.laptop.session->status().choice == ChoiceReason::kThrottled; }, 42s));
  world.run_for(10s);
  const std::uint64_t before = world.site.service.bytes_in(Lane::kBulk);
  world.run_for(10s);
  const std::uint64_t bytes = world.site.service.bytes_in(Lane::kBulk) - before;
  EXPECT_GE(bytes, 10 * 6'250'000U * 80 / 100);
  EXPECT_EQ(world.site.service.wrong(), 0U);
}

// A fifth of the link for UDP, and nothing else held back.
TEST(PathTrial, APolicerOfUdpAloneIsFound) {
  expect_found({BytesPerSecond::from_bits(10'000'000), ByteCount(64U << 10), {}});
}
TEST(PathTrial, AShaperOfUdpAloneIsFound) {
  expect_found({BytesPerSecond::from_bits(10'000'000), {}, ByteCount(256U << 10)});
}

// From when datagrams are tried beside TLS: the bars of datagrams that were alone all the time.
TEST(PathTrial, AThrottleThatEndedIsLeftBehindWithoutFillingTheLink) {
  for (const std::uint64_t megabits : {20UL, 100UL}) {
    SCOPED_TRACE(megabits);
    WorldOptions options = fast(megabits);
    options.udp_throttle =
        UdpThrottle{BytesPerSecond::from_bits(megabits * 200'000), {}, ByteCount(megabits * 5'000)};
    SessionWorld world(45, options);
    Questions questions(world);
    std::vector<Duration> queues;
    world.laptop.service.send_endless_bulk(true);
    world.start();
    const auto choice = [&world] { return world.laptop.session->status().choice; };
    const auto bytes = [&world] { return world.site.service.bytes_in(Lane::kBulk); };
    ASSERT_TRUE(world.run_until([&] { return choice() == ChoiceReason::kThrottled; }, 45s));
    world.options.udp_throttle.reset();
    ASSERT_TRUE(world.run_until([&] { return choice() == ChoiceReason::kTesting; }, 45s));
    const std::uint64_t before = bytes();
    for (int i = 0; i < 900; ++i) {
      questions.ask_and_run(20ms);
      queues.push_back(queue_of(world));
    }
    EXPECT_EQ(choice(), ChoiceReason::kAnswered);
    EXPECT_GE(bytes() - before, megabits * 125'000 * 18 * 85 / 100);
    EXPECT_LE(percentile(queues, 50), 10ms);
    EXPECT_LE(percentile(queues, 99), 50ms);
    EXPECT_LE(percentile(questions.waits, 50), 10ms);
    EXPECT_LE(percentile(questions.waits, 99), 50ms);
    EXPECT_EQ(world.site.service.wrong(), 0U);
  }
}

// What the user allows is for both together.
TEST(PathTrial, TheUsersLimitHoldsThroughIt) {
  WorldOptions options = fast(50);
  options.udp_throttle =
      UdpThrottle{BytesPerSecond::from_bits(10'000'000), {}, ByteCount(256U << 10)};
  options.session.rate_limit = BytesPerSecond::from_bits(16'000'000);
  SessionWorld world(43, options);
  world.laptop.service.send_endless_bulk(true);
  world.start();
  world.run_for(29s);
  for (int i = 0; i < 10; ++i) {
    const std::uint64_t before = world.site.service.bytes_in(Lane::kBulk);
    world.run_for(2s);
    EXPECT_LE(world.site.service.bytes_in(Lane::kBulk) - before, 4'000'000U * 110 / 100) << i;
  }
  EXPECT_EQ(world.laptop.session->status().choice, ChoiceReason::kThrottled);
}

TEST(PathTrial, WhatTheUserHoldsBackIsNotThrottled) {
  WorldOptions options = fast(50);
  options.session.rate_limit = BytesPerSecond::from_bits(16'000'000);
  SessionWorld world(44, options);
  world.laptop.service.send_endless_bulk(true);
  world.start();
  world.run_for(45s);
  EXPECT_FALSE(tested(world.laptop));
}

}  // namespace
}  // namespace longhaul::test
