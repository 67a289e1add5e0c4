// Power loss at the laptop in a pull: no name before its bytes, all of it when it has ended, and
// what was synced on the way is not sent again.
#include <gtest/gtest.h>

#include "tests/transfer/world.hpp"

namespace longhaul::test {
namespace {

using sim::CrashFiles;
using store::TreeName;
using transfer::FolderOptions;
using transfer::FolderSink;

std::optional<Finished> pull(World& world, bool unfinished = false) {
  world.pull("data",
             std::make_shared<FolderSink>(world.shared_disk(End::kA), "data", FolderOptions{}),
             unfinished);
  return world.run(End::kA);
}

std::unique_ptr<World> world_with_a_tree() {
  auto world = std::make_unique<World>(3);
  put_random_tree(world->disk(End::kB), "out", world->rng(), 600'000);
  return world;
}

void lose_power(World& world, CrashFiles::Keep keep) {
  world.kill(End::kA);
  world.disk(End::kA).lose_power(keep);
}

// Of all files, also those that are the second name of one.
std::map<std::string, crypto::Digest> contents(store::Files& files, const TreeName& top) {
  std::map<std::string, crypto::Digest> out;
  store::ScanOptions options;
  options.top = top;
  store::Scan scan(files, options, nullptr);
  for (;;) {
    const auto items = scan.next(100).value();
    if (items.empty()) return out;
    for (const auto& item : items) {
      const store::Entry& entry = item.entry;
      if (entry.name.is_within(TreeName::known(".longhaul"))) continue;
      if (entry.type != store::EntryType::kFile && entry.type != store::EntryType::kHardLink)
        continue;
      const auto bytes = store::read_whole(files, entry.name.under(top), 1U << 30);
      out[entry.name.text()] = crypto::sha256(Bytes(bytes.value()));
    }
  }
}

TEST(PullSyncs, WhatHasEndedIsThereAfterPowerLoss) {
  for (std::uint64_t seed = 0; seed < 10; ++seed) {
    const auto world = world_with_a_tree();
    const auto end = pull(*world);
    ASSERT_TRUE(end && !end->error);
    lose_power(*world, seed == 0 ? CrashFiles::Keep::none() : CrashFiles::Keep::subset(seed));
    EXPECT_EQ(snapshot(world->disk(End::kA), TreeName()),
              snapshot(world->disk(End::kB), TreeName::known("out")));
  }
}

// Whatever a crash leaves on the disk: a file that has its name has its bytes.
TEST(PullSyncs, P2NoNameIsSeenBeforeItsBytesAreDurable) {
  std::uint64_t named = 0;
  for (std::uint64_t stop = 0;; stop += 2) {
    SCOPED_TRACE(stop);
    const auto world = world_with_a_tree();
    world->disk(End::kA).stop_after(stop);
    const auto end = pull(*world);
    lose_power(*world, CrashFiles::Keep::subset(stop));
    const auto sent = contents(world->disk(End::kB), TreeName::known("out"));
    for (const auto& [name, content] : contents(world->disk(End::kA), TreeName())) {
      ASSERT_TRUE(sent.contains(name)) << name;
      ASSERT_EQ(content.hex(), sent.at(name).hex()) << name;
      ++named;
    }
    if (end && !end->error) break;
  }
  EXPECT_GT(named, 30U);
}

TEST(PullSyncs, P3WhatHadArrivedAnEpochAgoIsNotSentAgain) {
  DoubleLink link;
  link.rate = BytesPerSecond::from_bits(40'000'000);
  World world(3, link);
  constexpr std::uint64_t kBytes = 10'000'000;
  put_file(world.disk(End::kB), "out/a", random_bytes(world.rng(), kBytes));
  world.pull("data",
             std::make_shared<FolderSink>(world.shared_disk(End::kA), "data", FolderOptions{}));
  while (world.link().now() < Time{} + 1500ms && world.link().step()) {
  }
  ASSERT_GT(world.bulk_bytes(), 6'000'000U);
  lose_power(world, CrashFiles::Keep::none());
  world.boot(End::kA);
  world.boot(End::kB);
  const auto end = pull(world, true);
  ASSERT_TRUE(end && !end->error);
  EXPECT_EQ(snapshot(world.disk(End::kA), TreeName()),
            snapshot(world.disk(End::kB), TreeName::known("out")));
  // Of this second process alone. What was on the link or not yet in an epoch is sent again.
  EXPECT_LT(world.bulk_bytes(), kBytes - 4'000'000);
}

}  // namespace
}  // namespace longhaul::test
