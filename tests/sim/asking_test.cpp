// Questions and their answers over a link that loses packets, beside bulk: what a user who lists
// versions waits for while a push runs.
#include <gtest/gtest.h>

#include <algorithm>
#include <map>

#include "lib/transfer/exchange.hpp"
#include "tests/sim/session_world.hpp"

namespace longhaul::test {
namespace {

using transfer::Exchange;

// Round trips over the base of 500 questions, one each 50 ms: the 99th percentile. The site has
// no datasets and says so.
Duration slow_answer(bool datagrams, std::uint64_t seed) {
  WorldOptions options;
  options.link = {.rtt = 180ms, .megabits = 100, .loss = 0.01};
  options.session.datagrams = datagrams;
  options.session.expects_bulk = true;
  options.check_every_step = false;
  SessionWorld world(seed, options);
  Exchange asks(transfer::Side::kDialer, nullptr, {}),
      answers(transfer::Side::kListener, nullptr, {});
  world.laptop.make_second = [&]() -> session::Service& { return asks; };
  world.site.make_second = [&]() -> session::Service& { return answers; };
  world.laptop.service.send_endless_bulk(true);
  world.start();
  world.run_for(10s);
  std::map<std::uint64_t, Time> sent;
  std::vector<Duration> trips;
  const auto look = [&] {
    while (const auto event = asks.poll_event())
      if (const auto* answer = std::get_if<transfer::Answered>(&*event))
        trips.push_back(world.wan.now() - sent.at(answer->request.value()));
  };
  constexpr std::size_t kQuestions = 500;
  while (sent.size() < kQuestions) {
    const auto id = asks.ask(world.wan.now(), wire::AskType::kVersions, "not-there", 0);
    sent[id.value()] = world.wan.now();
    world.laptop.drain();
    for (int i = 0; i < 50; ++i, look()) world.run_for(1ms);
  }
  for (int i = 0; i < 5000 && trips.size() < kQuestions; ++i, look()) world.run_for(1ms);
  EXPECT_EQ(trips.size(), kQuestions);
  EXPECT_EQ(world.laptop.session->status().datagrams, datagrams);
  if (trips.size() != kQuestions) return Duration::max();
  std::sort(trips.begin(), trips.end());
  return trips[trips.size() * 99 / 100 - 1] - options.link.rtt;
}

TEST(Asking, IsNotHeldUpByOneLossInAHundred) {
  EXPECT_LE(slow_answer(true, 41), 50ms);
  // Which segments are lost follows from the sizes of a handshake, so from OpenSSL's version; one
  // world in eight is above, with 56 or 71 ms.
  int held_up = 0;
  for (const std::uint64_t seed : {39U, 40U, 41U, 42U})
    held_up += slow_answer(false, seed) > 50ms ? 1 : 0;
  EXPECT_LE(held_up, 1);
}

}  // namespace
}  // namespace longhaul::test
