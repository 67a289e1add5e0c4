// The plan of a push against what the push then does, and the time it predicts against the formula
// that stands in plan.hpp.
#include "lib/transfer/plan.hpp"

#include <gtest/gtest.h>

#include "lib/transfer/plan_sample.hpp"
#include "tests/transfer/world.hpp"

namespace longhaul::test {
namespace {

using store::TreeName;
using transfer::plan_push;
using transfer::PlanRates;
using transfer::predict;
using transfer::PushPlan;
using transfer::sending_time;
using transfer::Stage;

session::LinkMemory link(std::uint64_t bytes_per_second, Duration rtt, std::uint32_t paths) {
  session::LinkMemory memory;
  memory.rate = BytesPerSecond(bytes_per_second);
  memory.rtt_min = rtt;
  memory.bulk_paths = paths;
  return memory;
}

Finished push(World& world, transfer::SiteMemory memory) {
  world.push("data", "src", true, std::move(memory));
  auto finished = world.run(End::kA);
  EXPECT_TRUE(finished && !finished->error);
  return finished ? *finished : Finished{};
}

// Edits at random, and after each the plan is exactly what the push then sends.
TEST(Plan, OfAPushIsWhatThePushSends) {
  for (std::uint64_t seed = 1; seed <= 12; ++seed) {
    SCOPED_TRACE(seed);
    World world(seed, {}, World::At::kSite);
    auto& disk = world.disk(End::kA);
    put_random_tree(disk, "src", world.rng(), 1'500'000);
    transfer::SiteMemory memory;
    for (int round = 0; round < 4; ++round) {
      const auto plan = plan_push(*source_of(world.shared_disk(End::kA), "src", true), memory);
      const Finished done = push(world, memory);
      EXPECT_EQ(plan.files, done.progress.files_total);
      EXPECT_EQ(plan.bytes, done.progress.bytes_total);
      EXPECT_EQ(plan.send_bytes, done.progress.bytes_raw);
      EXPECT_EQ(plan.unread_bytes, 0U);
      EXPECT_EQ(plan.unchanged, done.committed.existed);
      memory.base = done.tree;
      const std::string name = "src/e" + std::to_string(world.rng().below(3));
      if (round < 2) put_file(disk, name, random_bytes(world.rng(), world.rng().below(400'000)));
    }
  }
}

TEST(Plan, CountsWhatIsUnreadAsNew) {
  World world(3, {}, World::At::kSite);
  put_file(world.disk(End::kA), "src/a", random_bytes(world.rng(), 300'000));
  const auto plan = plan_push(*source_of(world.shared_disk(End::kA), "src", false), {});
  EXPECT_EQ(plan.unread_files, 1U);
  EXPECT_EQ(plan.unread_bytes, 300'000U);
  EXPECT_EQ(plan.send_bytes, 300'000U);
  EXPECT_FALSE(plan.unchanged);
}

TEST(Plan, ExpectsAnUnreadFileToBeAsItWasOrChangedInOnePlace) {
  World world(5, {}, World::At::kSite);
  auto& disk = world.disk(End::kA);
  for (const char* name : {"src/a", "src/b", "src/c"})
    put_file(disk, name, random_bytes(world.rng(), 3'000'000));
  transfer::SiteMemory memory;
  memory.base = tree_of(*source_of(world.shared_disk(End::kA), "src", true));
  put_file(disk, "src/b", random_bytes(world.rng(), 3'000'000));  // another time
  put_file(disk, "src/c", random_bytes(world.rng(), 3'500'000));  // and half a million more
  put_file(disk, "src/d", random_bytes(world.rng(), 1'000'000));  // new
  const auto plan = plan_push(*source_of(world.shared_disk(End::kA), "src", false), memory);
  EXPECT_EQ(plan.unread_bytes, 10'500'000U);
  EXPECT_EQ(plan.send_bytes, 131'072U + 631'072U + 1'000'000U);
  EXPECT_EQ(plan.send_files, 3U);
  EXPECT_EQ(plan.present_bytes + plan.send_bytes, plan.bytes);
}

TEST(Plan, ALinkOpensItsWindowOnceARoundTrip) {
  const auto known = link(10'000'000, 200ms, 1);  // 2 MB in flight
  EXPECT_EQ(sending_time(0, known, {}), Duration::zero());
  EXPECT_EQ(sending_time(14'480, known, {}), known.rate.time_for(ByteCount(14'480)));
  // 14,480 x (1 + 2 + 4 .. + 128) go in eight round trips; then 256 of them are the rate.
  const std::uint64_t opening = 14'480ULL * 255;
  EXPECT_EQ(sending_time(opening + 100'000'000, known, {}), 8 * 200ms + 10s);
  // Four connections open four times as fast: two rounds less.
  EXPECT_EQ(sending_time(14'480ULL * 252 + 100'000'000, link(10'000'000, 200ms, 4), {}),
            6 * 200ms + 10s);
  EXPECT_EQ(transfer::opening_time(link(10'000'000, 200ms, 4)).count() / 1'000'000, 835);
  session::LinkMemory fast = known;  // UDP: a round trip at half the rate
  fast.datagrams = true;
  EXPECT_EQ(sending_time(100'000'000, fast, {}),
            100ms + known.rate.time_for(ByteCount(100'000'000)));
  EXPECT_EQ(sending_time(500'000, fast, {}), known.rate.time_for(ByteCount(1'000'000)));
  EXPECT_EQ(sending_time(10'000'000, known, BytesPerSecond(10'000)).count() / 1'000'000'000, 1000);
}

PlanRates rates() {
  PlanRates out;
  out.link = link(10'000'000, 100ms, 8);
  out.walk = 300ms;
  out.read = BytesPerSecond(500'000'000);
  out.encode = BytesPerSecond(250'000'000);
  out.cores = 2;
  out.publish = 50ms;
  out.publish_per_file = 100us;
  return out;
}

TEST(Plan, TakesTheLongestStageAndTheRoundTrips) {
  PushPlan plan;
  plan.files = 1000;
  plan.bytes = plan.unread_bytes = plan.send_bytes = 100'000'000;
  auto predicted = predict(plan, rates());
  EXPECT_EQ(predicted.limit, Stage::kLink);
  EXPECT_EQ(predicted.wire_bytes, 100'000'000U);
  EXPECT_EQ(predicted.reading, 100ms);
  EXPECT_EQ(predicted.encoding, 200ms);
  EXPECT_EQ(predicted.publishing, 150ms);
  EXPECT_EQ(*predicted.time, 300ms + 300ms + predicted.sending + 150ms);

  auto fast = rates();
  fast.wire_per_mille = 1;
  fast.unfinished = true;  // asks before it sends: one round trip
  predicted = predict(plan, fast);
  EXPECT_EQ(predicted.limit, Stage::kCpu);
  EXPECT_EQ(*predicted.time, 300ms + 400ms + 300ms + 150ms);
  fast.publish_per_file = 1ms;
  EXPECT_EQ(predict(plan, fast).limit, Stage::kPeer);
  auto capped = rates();
  capped.limit = BytesPerSecond(1'000'000);
  EXPECT_EQ(predict(plan, capped).limit, Stage::kRateCap);
  EXPECT_GT(*predict(plan, capped).time, 100s);
}

TEST(Plan, TellsNoTimeForALinkNobodyMeasured) {
  PushPlan plan;
  plan.send_bytes = 1000;
  auto unknown = rates();
  unknown.link = {};
  EXPECT_FALSE(predict(plan, unknown).time.has_value());
  plan.unchanged = true;
  plan.send_bytes = 0;
  EXPECT_EQ(*predict(plan, rates()).time, 300ms + 300ms);
}

TEST(Plan, SamplesWhatItWouldSendAndHowItShrinks) {
  World world(4);
  auto& disk = world.disk(End::kA);
  for (int i = 0; i < 300; ++i)
    put_file(disk, "src/t" + std::to_string(i), text_bytes(world.rng(), 8'000));
  put_file(disk, "src/u", random_bytes(world.rng(), 2'400'000));
  transfer::SampleRead read(source_of(world.shared_disk(End::kA), "src", false), {});
  read.run();
  EXPECT_GT(read.bytes, 3'500'000U);
  EXPECT_LE(read.blocks.size(), transfer::SampleRead::kBlocks + 1);
  transfer::SampleEncode encode(read.source, read, BytesPerSecond(10'000'000), 2, nullptr);
  encode.run();
  EXPECT_EQ(encode.raw_bytes, read.bytes);
  // Half of it shrinks well, the other half does not at all.
  EXPECT_GT(encode.encoded_bytes, encode.raw_bytes * 4 / 10);
  EXPECT_LT(encode.encoded_bytes, encode.raw_bytes * 7 / 10);
  // Nothing that the base holds is looked at.
  transfer::SiteMemory all;
  auto hashed = source_of(world.shared_disk(End::kA), "src", true);
  all.base = tree_of(*hashed);
  transfer::SampleRead none(hashed, all);
  none.run();
  EXPECT_EQ(none.bytes, 0U);
}

TEST(Plan, OfAShortPushTheSampleIsWhatItSends) {
  World world(5);
  auto& disk = world.disk(End::kA);
  for (int i = 0; i < 400; ++i)
    put_file(disk, "src/t" + std::to_string(i), text_bytes(world.rng(), 10'000));
  put_file(disk, "src/u", random_bytes(world.rng(), 1'400'000));
  transfer::SampleRead read(source_of(world.shared_disk(End::kA), "src", false), {});
  read.run();
  EXPECT_TRUE(read.is_all);
  EXPECT_EQ(read.bytes, 400U * 10'000U + 1'400'000U);
  const std::size_t blocks = read.blocks.size();
  EXPECT_GE(blocks, 5U);
  transfer::SampleEncode encode(read.source, read, BytesPerSecond(1'000'000), 2, nullptr);
  encode.run();
  EXPECT_EQ(encode.tried_bytes, encode.raw_bytes);  // each block once
  world.push("data");
  const auto sent = world.run(End::kA);
  ASSERT_TRUE(sent && !sent->error);
  const auto wire = static_cast<double>(sent->progress.bytes_wire);
  EXPECT_NEAR(static_cast<double>(encode.encoded_bytes), wire, wire / 20);
}

}  // namespace
}  // namespace longhaul::test
