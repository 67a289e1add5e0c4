// What a session remembers of its link, and what the next one over it makes of that.
#include <gtest/gtest.h>

#include "tests/sim/session_world.hpp"

namespace longhaul::test {
namespace {

using datagram::RateMode;

// From when the session is there until a round trip began in which 90 % of what the link carries
// came out of it, while the site sends as in a pull; and what the site has learned when it had
// rested for half a minute.
std::pair<Duration, session::LinkMemory> pulled(std::uint64_t megabits,
                                                const session::LinkMemory& known, RateMode mode) {
  WorldOptions options;
  options.session.datagrams = true;
  options.session.rate_mode = mode;
  options.link = {.rtt = 180ms, .megabits = megabits};
  options.session.expects_bulk = true;
  options.session.learned = known;
  options.check_every_step = false;
  SessionWorld world(32, options);
  world.site.service.send_endless_bulk(true);
  world.start();
  EXPECT_TRUE(world.run_until([&] { return world.established(); }, 5s));
  const Time began = world.wan.now();
  std::uint64_t came = 0;
  world.laptop.on_each_datagram = [&came](const netsim::Datagram& in) {
    came += in.payload.size();
  };
  world.laptop.on_each_read = [&came](const Slice& in) { came += in.size(); };
  constexpr std::size_t kSteps = 9;  // of a round trip
  std::vector<std::uint64_t> steps{came};
  while (world.wan.now() - began < 3s) {
    world.run_for(180ms / kSteps);
    steps.push_back(came);
  }
  Duration full = Duration::max();
  for (std::size_t i = 0; i + kSteps < steps.size() && full == Duration::max(); ++i) {
    if (steps[i + kSteps] - steps[i] >= megabits * 22'500 * 1448 / 1500 * 90 / 100)
      full = i * 180ms / kSteps;
  }
  world.run_for(3s);
  world.site.service.send_endless_bulk(false);
  world.run_for(30s);
  return {full, world.site.session->learned()};
}

TEST(KnownLink, ASiteThatKnowsTheLinkFillsItSoonerInAPull) {
  const auto [cold, learned] = pulled(100, {}, RateMode::kFair);
  const auto [known, again] = pulled(100, learned, RateMode::kFair);
  EXPECT_LE(cold, 2500ms);
  EXPECT_LE(known, cold - 180ms);
  for (const session::LinkMemory& memory : {learned, again}) {
    EXPECT_NEAR(static_cast<double>(memory.rate.value()), 12.5e6, 1.25e6);
    EXPECT_NEAR(static_cast<double>(memory.rtt_min / 1ms), 180, 2);
  }
  EXPECT_TRUE(pulled(100, {}, RateMode::kBackground).second.empty());  // it left some to others
}

}  // namespace
}  // namespace longhaul::test
