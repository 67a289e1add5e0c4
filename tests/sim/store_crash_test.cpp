// S1 to S5, S7 and R5 of the store: whatever a crash leaves on the disk, at any point, opens again;
// what was promised is there, what is published is whole, and the work goes on to the same end.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <set>

#include "lib/base/rng.hpp"
#include "lib/store/audit.hpp"
#include "lib/store/collect.hpp"
#include "lib/store/publish.hpp"
#include "tests/sim/crash_files.hpp"

namespace longhaul::sim {
namespace {

using namespace store;  // the test speaks of little else

struct Content {  // of a file: its chunks
  std::string name;
  std::vector<ByteVector> chunks;
};

ByteVector noise(std::size_t size, std::uint64_t seed) {
  ByteVector bytes(size);
  Rng(seed).fill(bytes);
  return bytes;
}

std::vector<Piece> pieces_of(const Content& file) {
  std::vector<Piece> pieces;
  for (const ByteVector& chunk : file.chunks)
    pieces.push_back({chunk.size(), false, crypto::sha256(Bytes(chunk))});
  return pieces;
}

std::uint64_t size_of(const Content& file) {
  std::uint64_t size = 0;
  for (const ByteVector& chunk : file.chunks) size += chunk.size();
  return size;
}

struct Dataset {
  std::vector<Content> files;
  Tree tree;
};

Dataset make_dataset(std::vector<Content> files) {
  TreeBuilder builder;
  EXPECT_TRUE(builder.add({TreeName::known("d"), EntryType::kFolder, 0755, WallTime{5}, 0, ""}));
  for (const Content& file : files)
    EXPECT_TRUE(builder.add(
        {TreeName::known(file.name), EntryType::kFile, 0644, WallTime{6}, size_of(file), ""},
        pieces_of(file)));
  EXPECT_TRUE(builder.add({TreeName::known("hard"), EntryType::kHardLink, 0, {}, 0, "d/a"}));
  EXPECT_TRUE(builder.add({TreeName::known("soft"), EntryType::kSymlink, 0, {}, 0, "d/a"}));
  return {std::move(files), *builder.finish()};
}

const Dataset& first() {
  static const Dataset dataset = make_dataset({{"d/a", {noise(1500, 1), noise(700, 2)}},
                                               {"d/b", {noise(600, 3)}},
                                               {"d/old", {noise(40, 4)}}});
  return dataset;
}
const Dataset& second() {  // d/a as before, d/b edited, d/old gone
  static const Dataset dataset =
      make_dataset({{"d/a", {noise(1500, 1), noise(700, 2)}}, {"d/b", {noise(650, 5)}}});
  return dataset;
}

const DatasetName& name() {
  static const DatasetName dataset = *DatasetName::parse("data");
  return dataset;
}

// What has been promised so far: it must hold after any crash from then on.
struct Promises {
  std::vector<std::pair<std::string, std::set<ChunkId>>> staged;  // per staging id
  std::set<crypto::Digest> published;
  bool first_removed = false;
};

// Receives `dataset` and publishes it, resuming whatever is there.
Result<> receive(Root& root, const char* id, const Dataset& dataset, const PublishBase* base,
                 Promises& promises) {
  const auto existing = TRY(root.find(name(), dataset.tree.root()));
  if (existing) return {};
  const TreeName folder = TRY(Root::staging_of(id));
  auto staging = TRY(Staging::open(root.files(), folder));
  promises.staged.emplace_back(id, std::set<ChunkId>());
  for (const Content& file : dataset.files) {
    if (base != nullptr && file.name == "d/a") continue;  // unchanged: the base lends it
    const FileNo no = TRY(staging->add_file(TreeName::known(file.name), size_of(file)));
    std::uint64_t offset = 0;
    for (const ByteVector& chunk : file.chunks) {
      const StagedWrite write{
          {no, offset, static_cast<std::uint32_t>(chunk.size()), crypto::sha256(Bytes(chunk))},
          chunk};
      TRY(staging->write(std::span(&write, 1)));
      offset += chunk.size();
    }
    if (file.name == "d/b") continue;  // an epoch that holds two files
    TRY(staging->sync());
    for (const StagedChunk& chunk : staging->held())
      promises.staged.back().second.insert(chunk.chunk);
  }
  const Published published = TRY(publish(root, name(), dataset.tree, *staging, base, nullptr));
  promises.staged.pop_back();
  promises.published.insert(published.root);
  return {};
}

// The whole life: two versions, the second sharing with the first, then the first is removed.
Result<> live(Files& files, Promises& promises) {
  auto root = TRY(Root::open(files));
  const auto newer = TRY(root->find(name(), second().tree.root()));
  if (!newer) {
    TRY(receive(*root, "one", first(), nullptr, promises));
    const auto version = TRY(root->find(name(), first().tree.root()));
    if (!version) return fail(Kind::kNotFound, "find the first version");
    const PublishBase base{first().tree, Root::folder_of(name(), *version)};
    TRY(receive(*root, "two", second(), &base, promises));
  }
  const auto older = TRY(root->find(name(), first().tree.root()));
  if (older) {
    TRY(root->remove(name(), *older));
    promises.first_removed = true;
  }
  return {};
}

// Empty if all is well, else what is not.
std::string check(Files& files, const Promises& promises, bool is_end) {
  auto root = Root::open(files);
  if (!root) return "does not open: " + root.error().message();
  const auto versions = (*root)->versions(name());
  if (!versions) return "does not list: " + versions.error().message();
  std::set<crypto::Digest> found;
  for (const VersionNo version : *versions) {
    const auto tree = (*root)->tree(name(), version);
    if (!tree) return "manifest: " + tree.error().message();
    Audit audit(files, *tree, Root::folder_of(name(), version));
    while (audit.step(1U << 30) == Audit::Progress::kMore) {
    }
    if (audit.damaged() != 0)
      return to_text(version) + ": " + audit.damage().front().error.message();
    found.insert(tree->root());
  }
  for (const auto& digest : promises.published)
    if (!found.contains(digest) && !(promises.first_removed && digest == first().tree.root()) &&
        !(found.contains(second().tree.root()) && digest == first().tree.root()))
      return "a published version is gone";
  if (promises.first_removed && found.contains(first().tree.root())) return "a removed one is back";
  const auto current = files.read_link(TreeName::known("datasets/data/current"));
  if (versions->empty() ? current.has_value() : !current || *current != to_text(versions->back()))
    return "current is not the newest";
  for (const auto& [id, chunks] : promises.staged) {
    if (is_end) break;  // all of it has been published, or removed again
    // A staging may be spent if its version is there.
    if (found.contains(id == "one" ? first().tree.root() : second().tree.root())) continue;
    auto staging = Staging::open(files, *Root::staging_of(id));
    if (!staging) return "staging: " + staging.error().message();
    std::set<ChunkId> held;
    for (const StagedChunk& chunk : (*staging)->held()) {
      held.insert(chunk.chunk);
      const auto bytes = read_chunk(
          files,
          {(*staging)->name_of(chunk.file).under((*staging)->tree()), chunk.offset, chunk.length},
          chunk.chunk);
      if (!bytes) return "staged: " + bytes.error().message();
    }
    for (const ChunkId& chunk : chunks)
      if (!held.contains(chunk)) return "a synced chunk is gone";
  }
  if (is_end && (found.size() != 1 || *found.begin() != second().tree.root())) return "no good end";
  return "";
}

struct World {
  CrashFiles::Options options;
  std::uint64_t skip_sync = 0;  // 0: none
};

// Crashes at one point, keeps one choice, checks, and lives on to the end.
std::string crash_once(const World& world, std::uint64_t stop, const CrashFiles::Keep* keep) {
  CrashFiles disk(world.options);
  if (world.skip_sync != 0) disk.skip_sync(world.skip_sync);
  disk.stop_after(stop);
  Promises promises;
  (void)live(disk, promises);
  if (keep != nullptr) {
    disk.lose_power(*keep);
  } else {
    disk.kill_process();
  }
  std::string wrong = check(disk, promises, false);
  if (!wrong.empty()) return wrong;
  const auto end = live(disk, promises);
  if (!end) return "cannot go on: " + end.error().message();
  return check(disk, promises, true);
}

struct Length {
  std::uint64_t changes = 0, syncs = 0;
};
Length length_of(const World& world) {
  CrashFiles disk(world.options);
  Promises promises;
  const auto end = live(disk, promises);
  EXPECT_TRUE(end) << end.error().message();
  return {disk.changes(), disk.syncs()};
}

class StoreCrash : public testing::TestWithParam<CrashFiles::Options> {};

TEST_P(StoreCrash, P2KillAtEveryPointLosesNothing) {  // R1 of the store
  const World world{GetParam()};
  const Length length = length_of(world);
  for (std::uint64_t stop = 0; stop <= length.changes; ++stop)
    ASSERT_EQ(crash_once(world, stop, nullptr), "") << "after change " << stop;
}

// What a process finds published, it may tell: power loss takes none of it, whatever the process
// before it had not come to sync when it died.
TEST_P(StoreCrash, P2WhatTheNextProcessFindsPublishedStays) {
  const World world{GetParam()};
  const Length length = length_of(world);
  for (std::uint64_t stop = 0; stop <= length.changes; ++stop)
    for (std::uint64_t seed = 0; seed < 4; ++seed) {
      CrashFiles disk(world.options);
      disk.stop_after(stop);
      Promises promises;
      (void)live(disk, promises);
      disk.kill_process();
      promises.staged.clear();
      {
        const auto root = Root::open(disk);
        ASSERT_TRUE(root) << root.error().message();
        for (const Dataset* dataset : {&first(), &second()}) {
          const auto found = (*root)->find(name(), dataset->tree.root());
          ASSERT_TRUE(found);
          if (*found) promises.published.insert(dataset->tree.root());
        }
      }
      disk.lose_power(seed == 0 ? CrashFiles::Keep::none()
                                : CrashFiles::Keep::subset(stop * 4 + seed));
      ASSERT_EQ(check(disk, promises, false), "") << "after change " << stop << ", seed " << seed;
    }
}

TEST_P(StoreCrash, P2PowerLossAtEveryPointKeepsEveryPromise) {  // S1, every prefix
  const World world{GetParam()};
  const Length length = length_of(world);
  for (std::uint64_t stop = 0; stop <= length.changes; ++stop) {
    CrashFiles disk(world.options);
    disk.stop_after(stop);
    Promises promises;
    (void)live(disk, promises);
    for (std::uint64_t kept = 0; kept <= disk.unsynced(); ++kept) {
      const auto keep = CrashFiles::Keep::prefix(kept);
      ASSERT_EQ(crash_once(world, stop, &keep), "") << "after change " << stop << ", kept " << kept;
    }
  }
}

TEST_P(StoreCrash, AnySubsetOfUnsyncedChangesKeepsEveryPromise) {  // S1, subsets and torn sectors
  const World world{GetParam()};
  const Length length = length_of(world);
  for (std::uint64_t stop = 0; stop <= length.changes; ++stop)
    for (std::uint64_t seed = 0; seed < 12; ++seed) {
      const auto keep = CrashFiles::Keep::subset(stop * 1000 + seed);
      ASSERT_EQ(crash_once(world, stop, &keep), "") << "after change " << stop << ", seed " << seed;
    }
}

// S3, S4, R5: each change fails once, the process dies or goes on; nothing is half-published, and a
// sync that failed is never taken for done.
TEST_P(StoreCrash, EveryFailingCallLeavesAWholeStore) {
  const World world{GetParam()};
  const Length length = length_of(world);
  for (const Kind kind : {Kind::kNoSpace, Kind::kIo})
    for (std::uint64_t at = 0; at < length.changes; ++at)
      for (const bool power : {false, true}) {
        CrashFiles disk(world.options);
        disk.fail_change(at, Error(kind, "injected"));
        Promises promises;
        (void)live(disk, promises);
        if (power) {
          disk.lose_power(CrashFiles::Keep::subset(at));
        } else {
          disk.kill_process();
        }
        promises.staged.clear();  // a disk that failed may cost what was staged, no more
        ASSERT_EQ(check(disk, promises, false), "") << "change " << at << " power " << power;
        const auto end = live(disk, promises);
        ASSERT_TRUE(end) << "change " << at << ": " << end.error().message();
        ASSERT_EQ(check(disk, promises, true), "") << "change " << at << " power " << power;
        disk.lose_power(CrashFiles::Keep::none());
        ASSERT_EQ(check(disk, promises, true), "") << "change " << at << ", then power loss";
      }
}

// The proof that the tests above see syncs at all: leave out any one, and some crash shows it.
// Returns the numbers of those that nothing missed.
std::vector<std::uint64_t> unnoticed_syncs(CrashFiles::Options options) {
  World world{options};
  const Length length = length_of(world);
  std::vector<std::uint64_t> unnoticed;
  for (world.skip_sync = 1; world.skip_sync <= length.syncs; ++world.skip_sync) {
    bool noticed = false;
    for (std::uint64_t stop = 0; stop <= length.changes && !noticed; ++stop)
      for (std::uint64_t seed = 0; seed < 6 && !noticed; ++seed) {
        const auto keep =
            seed == 0 ? CrashFiles::Keep::none() : CrashFiles::Keep::subset(stop * 100 + seed);
        noticed = !crash_once(world, stop, &keep).empty();
      }
    if (!noticed) unnoticed.push_back(world.skip_sync);
  }
  return unnoticed;
}

TEST(StoreSyncs, P2NoneIsLeftOutUnnoticed) {
  EXPECT_THAT(unnoticed_syncs({true, false, true}), testing::IsEmpty());
}

// Without syncfs, publishing syncs each file and folder once more that an epoch had synced, and the
// root syncs folders above its staging that the staging had synced: either alone would do.
TEST(StoreSyncs, FileByFileOnlyThoseThatAreMadeTwice) {
  constexpr std::size_t kMadeTwice = 14;
  EXPECT_LE(unnoticed_syncs({false, false, true}).size(), kMadeTwice);
}

INSTANTIATE_TEST_SUITE_P(
    Disks, StoreCrash,
    testing::Values(CrashFiles::Options{true, false, true}, CrashFiles::Options{false, false, true},
                    CrashFiles::Options{true, true, true}, CrashFiles::Options{true, false, false}),
    [](const auto& tested) {
      const CrashFiles::Options& o = tested.param;
      return std::string(o.sync_all_reports ? "SyncAll" : "SyncEach") + (o.can_reflink ? "Reflink"
                                                                         : o.can_link  ? "Link"
                                                                                       : "Copy");
    });

TEST(Publish, LeavesOutWhatWasStagedForAnotherTree) {
  for (const bool resumed : {false, true}) {
    CrashFiles disk;
    auto root = Root::open(disk);
    ASSERT_TRUE(root);
    const TreeName folder = *Root::staging_of("one");
    auto staging = Staging::open(disk, folder);
    ASSERT_TRUE(staging);
    EXPECT_TRUE((*staging)->is_fresh());
    const auto no = (*staging)->add_file(TreeName::known("other/stranger"), 0);
    ASSERT_TRUE(no);
    ASSERT_TRUE((*staging)->make(*no));
    if (resumed) {
      staging->reset();
      staging = Staging::open(disk, folder);
      ASSERT_TRUE(staging);
      EXPECT_FALSE((*staging)->is_fresh());
    }
    ASSERT_TRUE(prepare(make_dataset({{"d/a", {}}}).tree, **staging, nullptr, false));
    EXPECT_TRUE(disk.stat(TreeName::known("d/a").under((*staging)->tree())));
    EXPECT_FALSE(disk.stat(TreeName::known("other").under((*staging)->tree())));
  }
}

}  // namespace
}  // namespace longhaul::sim
