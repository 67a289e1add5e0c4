// Every built-in link, in the directions and with the jitter it has: what one sender makes of it.
#include <gtest/gtest.h>

#include <algorithm>
#include <map>
#include <string>

#include "netsim/profile.hpp"
#include "tests/datagram/rate_world.hpp"

namespace longhaul::datagram {
namespace {

constexpr std::uint64_t kMost = 150'000'000;  // B/s: beyond it a second takes a minute to simulate

std::uint64_t rate_of(const netsim::LinkConfig& link) {
  const auto* rate = std::get_if<netsim::ConstantRate>(&link.up.rate);
  return rate == nullptr ? 0 : rate->rate.value();
}

RateControl& add_cold(RateWorld& world, const netsim::LinkConfig& link, KnownLink known = {}) {
  RateOptions options;
  options.packet_bytes = kPacketBytes;
  options.handshake_rtt = link.up.delay.base + link.down.delay.base + 5ms;
  options.known = known;
  return world.add_ours(options);
}

// Of the link, between two times after a cold start.
double share(const netsim::LinkConfig& link, std::uint64_t seed, Duration from = 5s,
             Duration to = 25s) {
  RateWorld world(link, seed);
  add_cold(world, link);
  world.run_until(from);
  const std::uint64_t before = world.delivered_bytes(0);
  world.run_until(to);
  const double seconds = static_cast<double>((to - from).count()) * 1e-9;
  return static_cast<double>(world.delivered_bytes(0) - before) / seconds /
         static_cast<double>(rate_of(link));
}

TEST(RateProfiles, EachIsFilled) {
  // Below 0.85: how much at least, and why.
  const std::map<std::string, double> less = {
      {"nyc-asuncion-bad", 0.8},      // 90 ms of jitter, bursts of loss
      {"pantheon-nepal-india", 0.8},  // a queue of 14 packets, 5 % of loss, 3 packets a round trip
  };
  for (const std::string_view name : netsim::profile_names()) {
    const netsim::LinkConfig up = netsim::built_in_profile(name)->link;
    netsim::LinkConfig down = up;
    std::swap(down.up, down.down);
    for (const auto& link : {up, down}) {
      if (rate_of(link) == 0 || rate_of(link) > kMost) continue;
      for (std::uint64_t seed = 1; seed <= 3; ++seed) {
        const auto found = less.find(std::string(name));
        EXPECT_GE(share(link, seed), found == less.end() ? 0.85 : found->second)
            << name << ", " << rate_of(link) << " B/s, seed " << seed;
      }
    }
  }
}

// One burst may be a third of the packets in a round trip. Taken for overload, or jitter at the
// start for a full link, it cost ten seconds of slow climbing: 0.69 on average, 0.22 at worst.
TEST(RateProfiles, ABadLinkIsFilledSoonAfterTheStart) {
  netsim::LinkConfig link = netsim::built_in_profile("nyc-asuncion-bad")->link;
  link.events.clear();  // outages
  double sum = 0;
  constexpr std::uint64_t kSeeds = 20;
  for (std::uint64_t seed = 1; seed <= kSeeds; ++seed) {
    const double one = share(link, seed, 0s, 10s);
    EXPECT_GE(one, 0.5) << "seed " << seed;
    sum += one;
  }
  EXPECT_GE(sum / kSeeds, 0.8);
}

// 128 packets in the first round trip are forty times what this link carries: what the start lost
// says nothing of the time after it.
TEST(RateProfiles, WhatTheStartLostIsNoOverloadLater) {
  const netsim::LinkConfig link = netsim::built_in_profile("pantheon-nepal-india")->link;
  for (std::uint64_t seed = 1; seed <= 20; ++seed)
    EXPECT_GE(share(link, seed), 0.8) << "seed " << seed;
}

// All packets come 20 to 30 ms late behind somebody's, the more the faster we send: no queue of
// ours.
TEST(RateProfiles, JitterIsNoQueueFromTheStartOn) {
  const netsim::LinkConfig link = netsim::built_in_profile("nyc-asuncion")->link;
  for (std::uint64_t seed = 1; seed <= 5; ++seed) {
    RateWorld world(link, seed);
    add_cold(world, link);
    world.run_until(3s);
    const std::uint64_t before = world.delivered_bytes(0);
    world.run_until(5s);
    const double rate = static_cast<double>(world.delivered_bytes(0) - before) / 2;
    EXPECT_GE(rate, 0.85 * static_cast<double>(rate_of(link))) << "seed " << seed;
  }
}

// What is remembered may be the rate of a push that had little to send.
TEST(RateProfiles, ALinkThatIsRememberedAsSlowIsFoundOutUnderJitter) {
  const netsim::LinkConfig link = netsim::built_in_profile("nyc-asuncion")->link;
  for (std::uint64_t seed = 1; seed <= 5; ++seed) {
    RateWorld world(link, seed);
    add_cold(world, link, {BytesPerSecond(2'500'000), 163ms});
    world.run_until(8s);
    const std::uint64_t before = world.delivered_bytes(0);
    world.run_until(10s);
    const double rate = static_cast<double>(world.delivered_bytes(0) - before) / 2;
    EXPECT_GE(rate, 0.8 * static_cast<double>(rate_of(link))) << "seed " << seed;
  }
}

// The rate that is left is heard of within a round trip, jitter or not.
TEST(RateProfiles, ACollapseIsFollowedUnderJitter) {
  netsim::LinkConfig link = netsim::built_in_profile("nyc-asuncion")->link;
  const netsim::RateStep slow{netsim::Direction::kUp,
                              netsim::ConstantRate{BytesPerSecond(2'500'000)}};
  link.events.push_back({6s, {}, slow});
  RateWorld world(link, 1);
  const RateControl& rate = add_cold(world, link);
  world.run_until(6s);
  EXPECT_GE(rate.state().capacity.value(), 30'000'000U);
  world.run_until(6s + 1500ms + 3 * 163ms);  // the queue holds what leaves in 1.5 s
  EXPECT_LE(rate.state().capacity.value(), 5'000'000U);
  EXPECT_LE(world.queue(), 300ms);
}

}  // namespace
}  // namespace longhaul::datagram
