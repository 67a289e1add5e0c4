// What somebody at the site reads already comes before what a push would send first.
#include <gtest/gtest.h>

#include "lib/store/incoming.hpp"
#include "lib/store/manifest_file.hpp"
#include "tests/transfer/world.hpp"

namespace longhaul::test {
namespace {

using session::Lane;
using store::TreeName;

constexpr std::size_t kFileBytes = 1'000'000;
const store::DatasetName kData = store::DatasetName::parse("data").value();

DoubleLink slow_link() {
  DoubleLink shape;
  shape.rate = BytesPerSecond::from_bits(40'000'000);
  return shape;
}

std::string file_name(int i) {
  return (i < 10 ? "f0" : "f") + std::to_string(i);
}

void put_files(World& world, int files) {
  for (int i = 0; i < files; ++i)
    put_file(world.disk(End::kA), "src/" + file_name(i), random_bytes(world.rng(), kFileBytes));
}

// The chunks of one file of what is coming.
std::vector<store::ChunkId> chunks_of(World& world, const std::string& file) {
  const store::Tree tree =
      store::read_manifest(world.disk(End::kB), store::incoming_manifest(kData)).value();
  std::vector<store::ChunkId> chunks;
  for (store::TreeWalk walk(tree); walk.next();)
    if (walk.entry().name.text() == file)
      for (const store::Piece& piece : walk.pieces()) chunks.push_back(piece.chunk);
  return chunks;
}

void want(World& world, const std::string& reader, const store::Demand& demand) {
  store::Files& files = world.disk(End::kB);
  ASSERT_TRUE(store::make_folders(files, store::demand_folder(kData)));
  const TreeName name = store::demand_folder(kData).child(reader).value();
  ASSERT_TRUE(store::write_whole(files, name, store::to_bytes(demand)));
}

bool is_told(World& world) {
  return world.disk(End::kB).stat(store::incoming_manifest(kData)).has_value();
}
bool is_here(World& world, const std::string& file) {
  const auto staged = TreeName::known(file).under(store::incoming_tree(kData));
  const auto here = store::read_whole(world.disk(End::kB), staged, 2 * kFileBytes);
  const auto whole =
      store::read_whole(world.disk(End::kA), TreeName::known("src/" + file), 2 * kFileBytes);
  return here && equal(*here, *whole);
}
std::uint64_t content_bytes(World& world) {
  return world.link().sent_bytes(End::kA, Lane::kBulk) +
         world.link().sent_bytes(End::kA, Lane::kDemand);
}

void expect_published(World& world) {
  const auto finished = world.run(End::kA);
  ASSERT_TRUE(finished.has_value());
  ASSERT_FALSE(finished->error) << finished->error->message();
  const TreeName version = TreeName::known("datasets/data/v000001");
  for (const auto& [name, what] : snapshot(world.disk(End::kA), TreeName::known("src"))) {
    if (name.empty()) continue;
    const auto there = store::read_whole(world.disk(End::kB), TreeName::known(name).under(version),
                                         2 * kFileBytes);
    const auto here =
        store::read_whole(world.disk(End::kA), TreeName::known("src/" + name), 2 * kFileBytes);
    EXPECT_TRUE(there && here && *there == *here) << name;
  }
}

// The time until the last file is here, its chunks wanted once 4 MB have crossed.
Duration time_to_the_last(World& world, int files, bool urgent) {
  put_files(world, files);
  world.push("data", "src", true);
  EXPECT_TRUE(world.link().run_until(
      [&] { return is_told(world) && content_bytes(world) > 4 * kFileBytes; }));
  store::Demand demand;
  demand.chunks = chunks_of(world, file_name(files - 1));
  EXPECT_GT(demand.chunks.size(), 8U);
  demand.urgent = urgent ? static_cast<std::uint32_t>(demand.chunks.size()) : 0;
  want(world, "reader", demand);
  const Time began = world.link().now();
  EXPECT_TRUE(world.link().run_until([&] { return is_here(world, file_name(files - 1)); }));
  EXPECT_FALSE(is_here(world, file_name(files - 2)));
  return world.link().now() - began;
}

TEST(Demand, WhatIsWaitedForPassesAllThatIsReadAndEncoded) {
  World site(1, slow_link(), World::At::kSite);
  // 50 ms to the next look, a round trip of 180 ms, the file's own 200 ms, jobs; and nothing of
  // the 32 MiB before it, which take over 6 s.
  EXPECT_LT(time_to_the_last(site, 80, true), 50ms + 180ms + 200ms + 150ms);
  EXPECT_GT(site.link().sent_bytes(End::kA, Lane::kDemand), kFileBytes);
  expect_published(site);
  EXPECT_LT(content_bytes(site), 80 * kFileBytes + kFileBytes) << "nothing crosses twice";
}

TEST(Demand, WhatIsWaitedForAndEncodedAlreadyPassesTheOthers) {
  World site(1, slow_link(), World::At::kSite);
  // As above, in the 1 MiB blocks it shares with its neighbour; 3 s if it kept its place.
  EXPECT_LT(time_to_the_last(site, 20, true), 50ms + 180ms + 420ms + 350ms);
  expect_published(site);
  EXPECT_LT(content_bytes(site), 21 * kFileBytes) << "nothing crosses twice";
}

TEST(Demand, WhatIsNeededSoonGoesNextAsBulk) {
  World site(1, slow_link(), World::At::kSite);
  // As above, behind the 1 MiB that the session has taken and what is on the link.
  EXPECT_LT(time_to_the_last(site, 80, false), 50ms + 180ms + 200ms + 250ms + 300ms);
  EXPECT_LT(site.link().sent_bytes(End::kA, Lane::kDemand), kFileBytes / 2);
  expect_published(site);
}

TEST(Demand, WhatIsNeededSoonPassesAllThatIsReadOnASlowLink) {
  for (const int files : {60, 20}) {  // not read yet; read and encoded
    DoubleLink shape = slow_link();
    shape.rate = BytesPerSecond::from_bits(2'000'000);
    World site(1, shape, World::At::kSite);
    // Up to three blocks of 1 MiB, 4.2 s each, that the session has taken, and the file's own,
    // which shares the first and the last; not the 32 MiB read ahead, which take 134 s.
    EXPECT_LT(time_to_the_last(site, files, false), 25s) << files;
    expect_published(site);
    EXPECT_LT(content_bytes(site), static_cast<std::size_t>(files + 1) * kFileBytes);
  }
}

// All of a small dataset is needed soon, and all of it was encoded in its own order.
TEST(Demand, WhatIsNeededSoonestPassesWhatIsNeededLater) {
  constexpr int kFiles = 20;
  DoubleLink shape = slow_link();
  shape.rate = BytesPerSecond::from_bits(2'000'000);
  World site(1, shape, World::At::kSite);
  put_files(site, kFiles);
  site.push("data", "src", true);
  EXPECT_TRUE(
      site.link().run_until([&] { return is_told(site) && content_bytes(site) > 4 * kFileBytes; }));
  store::Demand demand;
  for (int file = kFiles - 1; file >= 0; --file)
    for (const store::ChunkId& chunk : chunks_of(site, file_name(file)))
      demand.chunks.push_back(chunk);
  want(site, "reader", demand);
  const Time began = site.link().now();
  EXPECT_TRUE(site.link().run_until([&] { return is_here(site, file_name(kFiles - 1)); }));
  EXPECT_LT(site.link().now() - began, 25s) << "as if it were the only one";
  EXPECT_TRUE(site.link().run_until([&] { return is_here(site, file_name(kFiles - 3)); }));
  EXPECT_FALSE(is_here(site, file_name(kFiles / 2)));
  expect_published(site);
  EXPECT_LT(content_bytes(site), (kFiles + 1) * kFileBytes);
}

TEST(Demand, AReaderThatWaitsForTheManifestHasAllHashedAtOnce) {
  std::array<std::uint64_t, 2> crossed{};
  for (const bool read : {false, true}) {
    DoubleLink shape = slow_link();
    shape.rate = BytesPerSecond::from_bits(100'000'000);
    World site(3, shape, World::At::kSite);
    put_files(site, 150);
    if (read) want(site, "reader", {});
    site.push("data");
    ASSERT_TRUE(site.link().run_until([&] { return is_told(site); }));
    crossed[read ? 1 : 0] = content_bytes(site);
  }
  EXPECT_GT(crossed[0],
            15 * kFileBytes);  // 150 MB less 64 MiB hashed, 32 under way, 16 being hashed
  EXPECT_LT(crossed[1], 10 * kFileBytes);
}

// Before the receiver's first word nobody knows whether somebody waits.
TEST(Demand, ALargeFileIsHashedBeforeTheFirstAnswer) {
  DoubleLink shape = slow_link();
  shape.rate = BytesPerSecond::from_bits(100'000'000);
  World site(3, shape, World::At::kSite);
  put_file(site.disk(End::kA), "src/large.bin", random_bytes(site.rng(), 100 << 20));
  want(site, "reader", {});
  site.push("data");
  const Time began = site.link().now();
  ASSERT_TRUE(site.link().run_until([&] { return is_told(site); }));
  EXPECT_LT(site.link().now() - began, 300ms) << "not a round trip more";
}

TEST(Demand, TheReadersTakeTurnsAndAPublishForgetsThem) {
  World site(4, slow_link(), World::At::kSite);
  put_files(site, 80);
  site.push("data", "src", true);
  ASSERT_TRUE(site.link().run_until([&] { return is_told(site); }));
  for (const char* file : {"f78", "f79"}) {
    store::Demand demand{chunks_of(site, file), 2};
    want(site, file, demand);
  }
  ASSERT_TRUE(site.link().run_until([&] { return is_here(site, "f78") && is_here(site, "f79"); }));
  EXPECT_FALSE(is_here(site, "f77"));
  expect_published(site);
  EXPECT_FALSE(site.disk(End::kB).stat(store::demand_folder(kData)).has_value());
}

TEST(Demand, HoldsWhateverIsAskedAndWhoeverDies) {
  for (std::uint64_t seed = 1; seed <= 12; ++seed) {
    SCOPED_TRACE(seed);
    World site(seed, slow_link(), World::At::kSite);
    Rng rng(seed, "demand.test");
    put_files(site, 12);
    site.push("data", "src", seed % 2 == 0);
    for (int round = 0; round < 6; ++round) {
      site.run(End::kA, Duration(static_cast<std::int64_t>(rng.below(400'000'000))));
      if (is_told(site)) {
        store::Demand demand{chunks_of(site, file_name(static_cast<int>(rng.below(12)))), 0};
        demand.chunks.push_back(crypto::sha256(std::string_view("of no dataset")));
        demand.urgent = static_cast<std::uint32_t>(rng.below(demand.chunks.size() + 1));
        want(site, "reader", demand);
      } else {
        want(site, "reader", {});
      }
      if (round != 3) continue;
      const End victim = rng.below(2) == 0 ? End::kA : End::kB;
      site.kill(victim);
      site.run(victim == End::kA ? End::kB : End::kA, 5s);
      site.boot(End::kA);
      site.boot(End::kB);
      transfer::SiteMemory memory;
      memory.unfinished = true;
      site.push("data", "src", seed % 2 == 0, memory);
    }
    expect_published(site);
  }
}

TEST(Demand, OfChunksThatNobodyNamedEndsTheTransfer) {
  for (const wire::ChunkRun run : {wire::ChunkRun{1'000'000, 1}, wire::ChunkRun{0, 0x7fffffff}}) {
    World site(5, slow_link(), World::At::kSite);
    put_files(site, 3);
    const TransferId id = site.push("data", "src", true);
    site.run(End::kA, 200ms);
    site.link().inject(
        End::kB, Lane::kDemand,
        Slice::copy_of(wire::encode(wire::TransferMessage(wire::Demand{id, 1, 0, {run}}))));
    const auto finished = site.run(End::kA);
    ASSERT_TRUE(finished && finished->error);
    EXPECT_EQ(finished->error->kind(), Kind::kMalformed);
  }
}

}  // namespace
}  // namespace longhaul::test
