// What `--compare` finds: the product's own sessions over either way, in virtual time.
#include <gtest/gtest.h>

#include "lib/probe/filler.hpp"
#include "tests/sim/session_world.hpp"

namespace longhaul::test {
namespace {

struct Times {
  std::optional<Duration> up, down;
  bool gate_free = false;
};

Times fill(double loss, bool datagrams, std::uint64_t bytes, Duration patience = 1min) {
  WorldOptions options;
  options.link = {.rtt = 180ms, .megabits = 100, .loss = loss};
  options.session.datagrams = datagrams;
  options.session.expects_bulk = true;
  options.check_every_step = false;
  probe::Gate gate;
  probe::ProbeSiteOptions site_options;
  site_options.gate = &gate;
  BufferPool pool;
  site_options.buffers = &pool;
  probe::ProbeSite site(site_options);
  probe::Filler filler({.bytes = bytes, .patience = patience});
  SessionWorld world(41, options);
  world.laptop.make_service = [&]() -> session::Service& { return filler; };
  world.site.make_service = [&]() -> session::Service& { return site; };
  world.start();
  EXPECT_TRUE(world.run_until([&] { return world.established(); }, 10s));
  if (datagrams) {
    EXPECT_TRUE(world.run_until([&] { return world.laptop.session->status().datagrams; }, 10s));
  }
  filler.start(world.wan.now());
  world.laptop.drain();
  EXPECT_TRUE(world.run_until([&] { return filler.finished(); }, 3min));
  EXPECT_FALSE(filler.error()) << filler.error()->message();
  world.run_for(1s);
  return {filler.up(), filler.down(), !gate.taken()};
}

// On a link of 1 % loss datagrams are faster, each way.
TEST(ProbeWays, AreToldApart) {
  constexpr std::uint64_t kBytes = 8'000'000;
  const Times udp = fill(0.01, true, kBytes), tls = fill(0.01, false, kBytes);
  ASSERT_TRUE(udp.up && udp.down && tls.up && tls.down);
  EXPECT_LT(*udp.up, *tls.up);
  EXPECT_LT(*udp.down, *tls.down);
  EXPECT_GE(*udp.up, 640ms + 180ms);  // what the link needs
  EXPECT_TRUE(udp.gate_free && tls.gate_free);
}

TEST(ProbeWays, OneThatTakesTooLongIsNotWaitedFor) {
  const Times slow = fill(0, true, 40'000'000, 2s);  // 3.2 s at the link's rate
  EXPECT_FALSE(slow.up);
  EXPECT_FALSE(slow.down);
  EXPECT_TRUE(slow.gate_free);
}

}  // namespace
}  // namespace longhaul::test
