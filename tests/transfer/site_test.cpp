// Pushes to a site: versions, what they share, what requests tell of them, and kills at random
// times.
#include <gtest/gtest.h>

#include "lib/store/collect.hpp"
#include "lib/store/incoming.hpp"
#include "tests/transfer/world.hpp"

namespace longhaul::test {
namespace {

using store::TreeName;

std::map<std::string, std::string> contents_of(store::Files& files, const std::string& top) {
  auto all = snapshot(files, TreeName::known(top));
  // A published version is read-only: compare all but the write bits' word.
  for (auto& [name, what] : all) {
    const auto hash = what.rfind(' ');
    what = what.substr(0, 2) + what.substr(hash);
    if (what[0] == '1') what = "folder";
  }
  return all;
}

Finished push(World& world, transfer::SiteMemory memory = {}, bool hashed = false) {
  world.push("data", "src", hashed, std::move(memory));
  auto finished = world.run(End::kA);
  if (!finished) {
    ADD_FAILURE() << "the push did not end";
    return {};
  }
  EXPECT_FALSE(finished->error.has_value()) << finished->error->message();
  return *finished;
}

struct Reply {
  std::vector<wire::Line> lines;
  std::optional<transfer::Answered> end;
};
Reply ask(World& world, wire::AskType type, std::uint64_t version) {
  Reply reply;
  world.at(End::kA).ask(world.link().now(), type, "data", version);
  world.link().run_until([&] {
    while (auto event = world.at(End::kA).poll_event()) {
      if (auto* page = std::get_if<transfer::Page>(&*event))
        reply.lines.insert(reply.lines.end(), page->lines.begin(), page->lines.end());
      if (auto* end = std::get_if<transfer::Answered>(&*event)) reply.end = *end;
    }
    return reply.end.has_value();
  });
  return reply;
}

TEST(Site, APushBecomesAVersionAndAnEditTheNext) {
  World world(1, {}, World::At::kSite);
  put_random_tree(world.disk(End::kA), "src", world.rng(), 1'000'000);
  ByteVector large = random_bytes(world.rng(), 2'000'000);
  put_file(world.disk(End::kA), "src/large", large);
  const auto first = push(world);
  EXPECT_EQ(first.committed.version, 1U);
  EXPECT_EQ(contents_of(world.disk(End::kB), "datasets/data/v000001"),
            contents_of(world.disk(End::kA), "src"));

  large[1'000'000] ^= std::byte{1};
  put_file(world.disk(End::kA), "src/large", large);
  const std::uint64_t before = world.bulk_bytes();
  transfer::SiteMemory memory;
  memory.base = first.tree;
  const auto second = push(world, memory);
  EXPECT_EQ(second.committed.version, 2U);
  EXPECT_LT(world.bulk_bytes() - before, 600'000U);
  EXPECT_EQ(contents_of(world.disk(End::kB), "datasets/data/v000002"),
            contents_of(world.disk(End::kA), "src"));
}

TEST(Site, P6AnUnchangedTreeTakesOneRoundTripAndNoVersion) {
  World world(2, {}, World::At::kSite);
  put_random_tree(world.disk(End::kA), "src", world.rng(), 500'000);
  const auto first = push(world);
  const std::uint64_t before = world.bulk_bytes();
  const Time start = world.link().now();
  transfer::SiteMemory memory;
  memory.base = first.tree;
  const auto second = push(world, memory, true);
  EXPECT_TRUE(second.committed.existed);
  EXPECT_EQ(second.committed.version, 1U);
  EXPECT_EQ(world.bulk_bytes(), before);
  EXPECT_LT(world.link().now() - start, 2 * 80ms + 20ms);
}

// Files that were written a moment ago are read again, whatever their times say: what then proves
// to be as in the base is told with its neighbours, not file by file.
TEST(Site, P6OfAnEditInATreeThatMustBeReadNamesWhatChangedAlone) {
  World world(9, {}, World::At::kSite);
  auto& disk = world.disk(End::kA);
  const auto name = [](int i) {
    return "src/d" + std::to_string(i / 500) + "/f" + std::to_string(i);
  };
  for (int i = 0; i < 2000; ++i) put_file(disk, name(i), random_bytes(world.rng(), 300));
  const auto first = push(world);
  put_file(disk, name(777), random_bytes(world.rng(), 400));
  const std::uint64_t manifest = world.link().sent_bytes(End::kA, session::Lane::kDemand);
  const std::uint64_t content = world.bulk_bytes();
  transfer::SiteMemory memory;
  memory.base = first.tree;
  const auto second = push(world, memory);
  EXPECT_LT(world.link().sent_bytes(End::kA, session::Lane::kDemand) - manifest, 3000U);
  EXPECT_LT(world.bulk_bytes() - content, 1000U);
  EXPECT_EQ(second.progress.bytes_present, 1999U * 300U);
  EXPECT_EQ(contents_of(world.disk(End::kB), "datasets/data/v000002"), contents_of(disk, "src"));
}

// Size, mode and time are as they were, and the bytes are not: they are what counts.
TEST(Site, P2OfAFileWhoseTimesLieSendsItsBytes) {
  World world(9, {}, World::At::kSite);
  auto& disk = world.disk(End::kA);
  for (int i = 0; i < 50; ++i)
    put_file(disk, "src/f" + std::to_string(i), random_bytes(world.rng(), 3000));
  const auto first = push(world);
  const store::TreeName changed = store::TreeName::known("src/f7");
  const auto was = disk.stat(changed);
  ASSERT_TRUE(was);
  put_file(disk, "src/f7", random_bytes(world.rng(), 3000));
  ASSERT_TRUE(disk.set_attributes(changed, was->mode, was->mtime));
  transfer::SiteMemory memory;
  memory.base = first.tree;
  push(world, memory);
  EXPECT_EQ(contents_of(world.disk(End::kB), "datasets/data/v000002"), contents_of(disk, "src"));
}

TEST(Site, ContentOfAnotherDatasetDoesNotCrossTwice) {
  World world(3, {}, World::At::kSite);
  put_file(world.disk(End::kA), "src/a", random_bytes(world.rng(), 1'500'000));
  push(world);
  const std::uint64_t before = world.bulk_bytes();
  transfer::SiteMemory memory;
  memory.unfinished = true;  // ask first
  world.push("other", "src", true, memory);
  const auto end = world.run(End::kA);
  ASSERT_TRUE(end && !end->error);
  EXPECT_EQ(world.bulk_bytes(), before);
}

TEST(Site, P2KilledAtAnyTimeEndsInOneWholeVersion) {
  for (std::uint64_t seed = 1; seed <= 40; ++seed) {
    SCOPED_TRACE(seed);
    DoubleLink shape;
    shape.rate = BytesPerSecond::from_bits(20'000'000);
    World world(seed, shape, World::At::kSite);
    put_random_tree(world.disk(End::kA), "src", world.rng(), 1'500'000);
    world.push("data");
    for (int kills = 0; kills < 3; ++kills) {
      world.run(End::kA, Duration(static_cast<std::int64_t>(world.rng().below(700'000'000))));
      const End victim = world.rng().chance(0.5) ? End::kA : End::kB;
      world.kill(victim);
      world.run(victim == End::kA ? End::kB : End::kA, 5s);
      world.kill(victim == End::kA ? End::kB : End::kA);
      if (world.rng().chance(0.3))
        world.disk(End::kB).lose_power(sim::CrashFiles::Keep::subset(seed));
      world.boot(End::kA);
      world.boot(End::kB);
      transfer::SiteMemory memory;
      memory.unfinished = true;
      world.push("data", "src", world.rng().chance(0.5), memory);
    }
    const auto end = world.run(End::kA);
    ASSERT_TRUE(end.has_value());
    ASSERT_FALSE(end->error.has_value()) << end->error->message();
    EXPECT_EQ(end->committed.root,
              tree_of(*source_of(world.shared_disk(End::kA), "src", true)).root());
    const auto listed = ask(world, wire::AskType::kVersions, 0);
    ASSERT_FALSE(listed.lines.empty());
    EXPECT_EQ(listed.lines.back().root, end->committed.root);
    const auto verified = ask(world, wire::AskType::kVerify, end->committed.version);
    ASSERT_TRUE(verified.end.has_value());
    EXPECT_FALSE(verified.end->error.has_value()) << verified.end->error->message();
  }
}

TEST(Site, ListsSayWhenEachVersionWasPublished) {
  World world(9, {}, World::At::kSite);
  const auto published = [&](const char* version) {
    const std::string manifest = std::string(".longhaul/manifests/data/") + version;
    return world.disk(End::kB).stat(TreeName::known(manifest)).value().mtime.ns;
  };
  for (int i = 0; i < 2; ++i) {
    put_file(world.disk(End::kA), "src/a", random_bytes(world.rng(), 5000));
    push(world);
  }
  const auto versions = ask(world, wire::AskType::kVersions, 0);
  ASSERT_EQ(versions.lines.size(), 2U);
  EXPECT_EQ(versions.lines[0].time_ns, published("v000001"));
  EXPECT_EQ(versions.lines[1].time_ns, published("v000002"));
  EXPECT_LT(versions.lines[0].time_ns, versions.lines[1].time_ns);
  const auto datasets = ask(world, wire::AskType::kDatasets, 0);
  ASSERT_EQ(datasets.lines.size(), 1U);
  EXPECT_EQ(datasets.lines[0].time_ns, published("v000002"));
}

TEST(Site, VerifyNamesADamagedFileAndRemoveTakesAVersion) {
  World world(4, {}, World::At::kSite);
  put_file(world.disk(End::kA), "src/a", random_bytes(world.rng(), 5000));
  push(world);
  EXPECT_EQ(ask(world, wire::AskType::kFiles, 1).lines.size(), 1U);
  world.disk(End::kB).rot(TreeName::known("datasets/data/v000001/a"), 77);
  const auto verified = ask(world, wire::AskType::kVerify, 1);
  ASSERT_EQ(verified.lines.size(), 1U);
  EXPECT_EQ(verified.lines[0].name, "a");
  ASSERT_TRUE(verified.end && verified.end->error);
  EXPECT_EQ(verified.end->error->kind(), Kind::kIntegrity);
  EXPECT_FALSE(ask(world, wire::AskType::kRemove, 1).end->error);
  EXPECT_EQ(ask(world, wire::AskType::kFiles, 1).end->error->kind(), Kind::kNotFound);
}

// Files touched within 2 s of a scan are read anew by the next, which does not know the root when
// it offers.
TEST(Site, AnUnchangedTreeThatIsReadAgainMakesNoVersionAndSaysSo) {
  World world(5, {}, World::At::kSite);
  put_random_tree(world.disk(End::kA), "src", world.rng(), 300'000);
  EXPECT_FALSE(push(world).committed.existed);
  const auto again = push(world);
  EXPECT_EQ(again.committed.version, 1U);
  EXPECT_TRUE(again.committed.existed);
}

TEST(Site, SumsAreFlatDigestsOfWhatIsWhole) {
  World world(5, {}, World::At::kSite);
  const ByteVector small = random_bytes(world.rng(), 5000);
  const ByteVector large = random_bytes(world.rng(), 700'000);  // several chunks
  put_file(world.disk(End::kA), "src/a", small);
  put_file(world.disk(End::kA), "src/b", large);
  put_file(world.disk(End::kA), "src/c", small);
  push(world);
  world.disk(End::kB).rot(TreeName::known("datasets/data/v000001/c"), 77);
  const auto sums = ask(world, wire::AskType::kSums, 1);
  ASSERT_EQ(sums.lines.size(), 3U);
  std::map<std::string, wire::Line> by_name;
  for (const wire::Line& line : sums.lines) by_name[line.name] = line;
  EXPECT_EQ(by_name["a"].root, crypto::sha256(Bytes(small)));
  EXPECT_EQ(by_name["b"].root, crypto::sha256(Bytes(large)));
  EXPECT_FALSE(by_name["c"].root.has_value());
  EXPECT_FALSE(by_name["c"].note.empty());
  ASSERT_TRUE(sums.end && sums.end->error);
  EXPECT_EQ(sums.end->error->kind(), Kind::kIntegrity);
}

TEST(Site, ARebuiltIndexKnowsWhatTheLostOneKnew) {
  World world(6, {}, World::At::kSite);
  put_random_tree(world.disk(End::kA), "src", world.rng(), 1'000'000);
  push(world);
  store::ChunkIndex& index = world.index(End::kB);
  const auto before = index.size();
  ASSERT_TRUE(before);
  ASSERT_GT(*before, 0U);
  ASSERT_TRUE(index.clear());
  const auto rebuilt = ask(world, wire::AskType::kRebuild, 0);
  ASSERT_TRUE(rebuilt.end.has_value());
  EXPECT_FALSE(rebuilt.end->error.has_value());
  EXPECT_GT(rebuilt.end->outcome.files, 0U);
  EXPECT_EQ(*index.size(), *before);
}

TEST(Site, ARebuildTellsOfAManifestThatCannotBeReadAndGoesOn) {
  World world(7, {}, World::At::kSite);
  put_file(world.disk(End::kA), "src/a", random_bytes(world.rng(), 5000));
  push(world);
  put_file(world.disk(End::kA), "src/b", random_bytes(world.rng(), 5000));
  push(world);
  world.disk(End::kB).rot(TreeName::known(".longhaul/manifests/data/v000001"), 80);
  const auto rebuilt = ask(world, wire::AskType::kRebuild, 0);
  ASSERT_EQ(rebuilt.lines.size(), 1U);
  EXPECT_EQ(rebuilt.lines[0].name, ".longhaul/manifests/data/v000001");
  ASSERT_TRUE(rebuilt.end && rebuilt.end->error);
  EXPECT_EQ(rebuilt.end->error->kind(), Kind::kIntegrity);
  EXPECT_EQ(*world.index(End::kB).size(), 2U);  // both chunks, by the second version
}

TEST(Site, AManifestThatCannotBeReadHidesNoOtherVersion) {
  World world(8, {}, World::At::kSite);
  for (const char* name : {"src/a", "src/b", "src/c"}) {
    put_file(world.disk(End::kA), name, random_bytes(world.rng(), 5000));
    push(world);
  }
  world.disk(End::kB).rot(TreeName::known(".longhaul/manifests/data/v000002"), 80);
  const auto listed = ask(world, wire::AskType::kVersions, 0);
  ASSERT_EQ(listed.lines.size(), 3U);
  ASSERT_TRUE(listed.end && !listed.end->error);
  EXPECT_EQ(listed.lines[0].files, 1U);
  EXPECT_EQ(listed.lines[1].version, 2U);
  EXPECT_FALSE(listed.lines[1].note.empty());
  EXPECT_FALSE(listed.lines[1].root.has_value());
  EXPECT_EQ(listed.lines[2].files, 3U);
  EXPECT_TRUE(listed.lines[2].note.empty());
  // The newest stands for its dataset.
  world.disk(End::kB).rot(TreeName::known(".longhaul/manifests/data/v000003"), 80);
  const auto datasets = ask(world, wire::AskType::kDatasets, 0);
  ASSERT_EQ(datasets.lines.size(), 1U);
  EXPECT_FALSE(datasets.lines[0].note.empty());
}

constexpr std::int64_t kDay = 86'400'000'000'000;

// A push cut short a second after it began; what is staged of it stays.
void push_and_kill(World& world) {
  put_file(world.disk(End::kA), "src/a", random_bytes(world.rng(), 8'000'000));
  world.push("data");
  world.run(End::kA, 1s);
  world.kill(End::kA);
  world.run(End::kB, 2s);
  world.kill(End::kB);
  world.boot(End::kA);
  world.boot(End::kB);
}

TEST(Site, APushThatNobodyGoesOnWithIsCollectedOnceItIsOld) {
  DoubleLink shape;
  shape.rate = BytesPerSecond::from_bits(20'000'000);
  World world(9, shape, World::At::kSite);
  sim::CrashFiles& site = world.disk(End::kB);
  site.set_clock(WallTime{100 * kDay});
  push_and_kill(world);
  const auto staging = store::incoming_folder(*store::DatasetName::parse("data"));
  ASSERT_TRUE(site.stat(staging));
  const auto young = store::collect_staging(site, WallTime{100 * kDay});
  ASSERT_TRUE(young);
  EXPECT_EQ(young->stagings, 0U);
  EXPECT_TRUE(site.stat(staging));
  const auto old = store::collect_staging(site, WallTime{101 * kDay});
  ASSERT_TRUE(old);
  EXPECT_EQ(old->stagings, 1U);
  EXPECT_FALSE(site.stat(staging));
  EXPECT_FALSE(site.stat(store::staging_lock(staging)));
  transfer::SiteMemory memory;
  memory.unfinished = true;  // the laptop still thinks so
  push(world, memory);
}

TEST(Site, WhatATransferWritesIsNotCollected) {
  DoubleLink shape;
  shape.rate = BytesPerSecond::from_bits(20'000'000);
  World world(10, shape, World::At::kSite);
  put_file(world.disk(End::kA), "src/a", random_bytes(world.rng(), 8'000'000));
  world.push("data");
  world.run(End::kA, 1s);
  const auto collected = store::collect_staging(world.disk(End::kB), WallTime{1000 * kDay});
  ASSERT_TRUE(collected);
  EXPECT_EQ(collected->stagings, 0U);
  const auto finished = world.run(End::kA);
  ASSERT_TRUE(finished && !finished->error);
}

TEST(Site, APublishedPushLeavesNothingInTheStaging) {
  World world(11, {}, World::At::kSite);
  put_file(world.disk(End::kA), "src/a", random_bytes(world.rng(), 5000));
  push(world);
  EXPECT_TRUE(snapshot(world.disk(End::kB), TreeName::known(".longhaul/staging")).empty());
}

TEST(Site, ALockThatGuardsNothingIsCollected) {
  sim::CrashFiles site;
  ASSERT_TRUE(store::collect_staging(site, WallTime{}));  // no staging at all
  ASSERT_TRUE(store::make_folders(site, TreeName::known(".longhaul/staging")));
  ASSERT_TRUE(site.lock(TreeName::known(".longhaul/staging/ab.lock")));
  ASSERT_TRUE(store::collect_staging(site, WallTime{}));
  EXPECT_FALSE(site.stat(TreeName::known(".longhaul/staging/ab.lock")));
}

TEST(Site, ANameThatIsNoDatasetIsRefused) {
  World world(4, {}, World::At::kSite);
  put_file(world.disk(End::kA), "src/a", random_bytes(world.rng(), 5000));
  for (const char* name : {"../up", "a/b", "", ".hidden", "new\nline"}) {
    world.push(name);
    const auto end = world.run(End::kA);
    ASSERT_TRUE(end && end->error) << name;
    EXPECT_NE(
        end->error->message().find("a name has letters, digits, '.', '_' and '-', begins with "
                                   "a letter or digit and is at most 200 long"),
        std::string::npos)
        << end->error->message();
  }
}

// Each told by the site itself, which has only rights of its peer's role to go by.
TEST(Site, SaysWhatARoleMayNotAndWhichVersionsThereAre) {
  sim::CrashFiles disk;
  const auto root = store::Root::open(disk);
  ASSERT_TRUE(root);
  store::MemoryIndex index;
  const auto why = [](const auto& answer) {
    return answer ? std::string("granted") : answer.error().why();
  };
  wire::Offer offer;
  offer.dataset = "data";
  wire::Fetch fetch;
  fetch.dataset = "data";
  wire::Ask ask;
  ask.type = wire::AskType::kRemove;
  ask.dataset = "data";
  transfer::SiteRights rights;
  rights.write = false;
  transfer::SiteHost reader(**root, index, rights);
  EXPECT_EQ(why(reader.receive(offer)), "your role may only read; ask its owner");
  EXPECT_EQ(why(reader.answer(ask)), "your role does not allow it; ask the site's owner");
  rights.read = false;
  transfer::SiteHost nobody(**root, index, rights);
  EXPECT_EQ(why(nobody.send(fetch)), "your role may not read it");
  transfer::SiteHost owner(**root, index, transfer::SiteRights());
  EXPECT_EQ(why(owner.answer(ask)), "name the version: @N");
  EXPECT_EQ(store::Root::open(disk).error().why(),
            "another longhaul-streamer is using this root; stop it first");
}

}  // namespace
}  // namespace longhaul::test
