// Random worlds of pushes: a random link, a random tree, random faults (kill -9 of either end,
// power loss at the site, outages, cancels, edits of the source), then one push that must succeed.
// The link is the session double of tests/transfer, which keeps a session's promises and no more;
// the session has its own worlds.
//
// LONGHAUL_WORLDS sets how many, LONGHAUL_SEED the first seed. A failing seed becomes a named test.
#include <gtest/gtest.h>

#include <charconv>
#include <cstdlib>
#include <cstring>
#include <string>

#include "tests/transfer/world.hpp"

namespace longhaul::test {
namespace {

std::uint64_t number_of(const char* variable, std::uint64_t otherwise) {
  const char* text = std::getenv(variable);
  std::uint64_t number = otherwise;
  if (text != nullptr) std::from_chars(text, text + std::strlen(text), number);
  return number;
}

DoubleLink random_link(Rng& rng) {
  DoubleLink link;
  link.one_way = Duration(static_cast<std::int64_t>(rng.between(100'000, 150'000'000)));
  link.jitter = Duration(static_cast<std::int64_t>(rng.below(60'000'000)));
  link.rate = BytesPerSecond::from_bits(rng.between(1'000'000, 500'000'000));
  link.queue_bytes = rng.between(64U << 10, 2U << 20);
  link.window_bytes = rng.between(2U << 20, 32U << 20);
  link.job_time_max = Duration(static_cast<std::int64_t>(rng.between(1'000, 50'000'000)));
  return link;
}

transfer::SiteMemory unfinished() {
  transfer::SiteMemory memory;
  memory.unfinished = true;
  return memory;
}

void kill_one(World& world, Rng& rng) {
  const End victim = rng.chance(0.5) ? End::kA : End::kB;
  const End other = victim == End::kA ? End::kB : End::kA;
  world.kill(victim);
  world.run(other, 2s);
  world.kill(other);  // its session is over; a new one begins with new exchanges
  if (victim == End::kB && rng.chance(0.4))
    world.disk(End::kB).lose_power(sim::CrashFiles::Keep::subset(rng.next()));
  world.boot(End::kA);
  world.boot(End::kB);
  world.push("data", "src", rng.chance(0.5), unfinished());
}

void outage(World& world, Rng& rng) {
  world.link().set_link(session::LinkState::kDown);
  world.run(End::kA,
            Duration(static_cast<std::int64_t>(rng.between(1'000'000'000, 60'000'000'000))));
  world.link().set_link(session::LinkState::kUp);
}

void cancel(World& world, Rng& rng) {
  for (const TransferId id : world.at(End::kA).transfers())
    world.at(End::kA).cancel(world.link().now(), id);
  world.run(End::kA, 10s);
  world.push("data", "src", rng.chance(0.5), unfinished());
}

void run_world(std::uint64_t seed) {
  Rng rng(seed, "faults");
  World world(seed, random_link(rng), World::At::kSite);
  put_random_tree(world.disk(End::kA), "src", world.rng(), rng.below(1'000'000) + 1);
  world.push("data", "src", rng.chance(0.3));
  for (std::uint64_t faults = rng.below(5); faults > 0; --faults) {
    world.run(End::kA, Duration(static_cast<std::int64_t>(rng.below(1'500'000'000))));
    switch (rng.below(4)) {
      case 0:
        outage(world, rng);
        break;
      case 1:
        cancel(world, rng);
        break;
      case 2:
        put_file(world.disk(End::kA), "src/edited", random_bytes(rng, rng.below(200'000)));
        break;
      default:
        kill_one(world, rng);
        break;
    }
  }
  // Whatever became of all that: now nothing disturbs.
  while (!world.at(End::kA).transfers().empty())
    if (!world.run(End::kA, 600s)) break;
  world.push("data", "src", false, unfinished());
  const auto end = world.run(End::kA, 900s);
  ASSERT_TRUE(end.has_value());
  ASSERT_FALSE(end->error.has_value()) << end->error->message();
  const auto sent = tree_of(*source_of(world.shared_disk(End::kA), "src", true));
  EXPECT_EQ(end->committed.root, sent.root());
  char version[16];
  std::snprintf(version, sizeof version, "v%06u", static_cast<unsigned>(end->committed.version));
  const auto arrived = snapshot(world.disk(End::kB),
                                store::TreeName::known(std::string("datasets/data/") + version));
  const auto source = snapshot(world.disk(End::kA), store::TreeName::known("src"));
  ASSERT_EQ(arrived.size(), source.size());
  for (const auto& [name, what] : source) {
    if (what[0] != '2') continue;  // a file: its SHA-256 is the last word
    EXPECT_EQ(arrived.at(name).substr(arrived.at(name).rfind(' ')), what.substr(what.rfind(' ')))
        << name;
  }
}

TEST(PushWorlds, P3WhateverHappensTheNextPushPublishesExactlyTheSource) {
  const std::uint64_t first = number_of("LONGHAUL_SEED", 1);
  const std::uint64_t count = number_of("LONGHAUL_WORLDS", 1000);
  for (std::uint64_t seed = first; seed < first + count; ++seed) {
    SCOPED_TRACE("seed " + std::to_string(seed));
    run_world(seed);
    if (testing::Test::HasFailure()) return;
  }
}

}  // namespace
}  // namespace longhaul::test
