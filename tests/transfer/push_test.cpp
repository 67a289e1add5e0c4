// Pushes between two exchanges over a session double: what arrives, what crosses the link, what
// survives.
#include <gtest/gtest.h>

#include "tests/transfer/world.hpp"

namespace longhaul::test {
namespace {

using store::TreeName;

void expect_arrived(World& world) {
  EXPECT_EQ(snapshot(world.disk(End::kB), TreeName()),
            snapshot(world.disk(End::kA), TreeName::known("src")));
}

Finished expect_done(World& world, End end = End::kA) {
  auto finished = world.run(end);
  if (!finished) {
    ADD_FAILURE() << "the transfer did not end";
    return {};
  }
  EXPECT_FALSE(finished->error.has_value()) << finished->error->message();
  return *finished;
}

transfer::SiteMemory unfinished() {
  transfer::SiteMemory memory;
  memory.unfinished = true;
  return memory;
}

TEST(Push, DeliversATreeWithItsModesTimesLinksAndHoles) {
  for (std::uint64_t seed = 1; seed <= 30; ++seed) {
    SCOPED_TRACE(seed);
    World world(seed);
    put_random_tree(world.disk(End::kA), "src", world.rng(), 3'000'000);
    world.push("data");
    expect_done(world);
    expect_arrived(world);
  }
}

TEST(Push, P9SameSeedGivesTheSameRun) {
  std::array<std::uint64_t, 2> traces{};
  for (auto& trace : traces) {
    World world(7);
    put_random_tree(world.disk(End::kA), "src", world.rng(), 1'000'000);
    world.push("data");
    expect_done(world);
    trace = world.link().trace_hash();
  }
  EXPECT_EQ(traces[0], traces[1]);
}

TEST(Push, OfAnEmptyFolderIsACommittedTree) {
  World world(1);
  ASSERT_TRUE(world.disk(End::kA).make_folder(TreeName::known("src")));
  world.push("data");
  expect_done(world);
}

TEST(Push, TakesNoRoundTripPerFile) {
  World world(1);
  for (int i = 0; i < 2000; ++i)
    put_file(world.disk(End::kA), "src/f" + std::to_string(i), random_bytes(world.rng(), 100));
  world.push("data");
  const Time before = world.link().now();
  expect_done(world);
  EXPECT_LT(world.link().now() - before, 4 * 2 * 80ms);
  expect_arrived(world);
}

TEST(Push, ReadsSmallFilesOnceAndLargeOnesTwice) {
  World world(3);
  sim::CrashFiles& disk = world.disk(End::kA);
  ASSERT_TRUE(disk.make_folder(TreeName::known("src")));
  for (int i = 0; i < 300; ++i)
    put_file(disk, "src/f" + std::to_string(i), random_bytes(world.rng(), 10'000));
  put_file(disk, "src/large", random_bytes(world.rng(), 1'500'000));
  const std::uint64_t before = disk.read_bytes();
  world.push("data");
  expect_done(world);
  EXPECT_EQ(disk.read_bytes() - before, 300 * 10'000 + 2 * 1'500'000U);
  expect_arrived(world);
}

TEST(Push, SendsEqualContentOnce) {
  World world(1);
  const ByteVector content = random_bytes(world.rng(), 600'000);
  for (int i = 0; i < 5; ++i) put_file(world.disk(End::kA), "src/f" + std::to_string(i), content);
  world.push("data");
  expect_done(world);
  expect_arrived(world);
  EXPECT_LT(world.bulk_bytes(), 700'000U);
}

TEST(Push, CompressesWhatShrinks) {
  World world(1);
  for (int i = 0; i < 50; ++i)
    put_file(world.disk(End::kA), "src/f" + std::to_string(i), text_bytes(world.rng(), 100'000));
  world.push("data");
  expect_done(world);
  expect_arrived(world);
  EXPECT_LT(world.bulk_bytes(), 5'000'000U / 2);
}

TEST(Push, P3AfterAKillSendsNothingThatHadArrived) {
  std::uint64_t killed_in_the_middle = 0;
  for (std::uint64_t seed = 1; seed <= 20; ++seed) {
    SCOPED_TRACE(seed);
    DoubleLink shape;
    shape.rate = BytesPerSecond::from_bits(20'000'000);
    shape.queue_bytes = 128U << 10;
    World world(seed, shape);
    for (int i = 0; i < 8; ++i)
      put_file(world.disk(End::kA), "src/f" + std::to_string(i),
               random_bytes(world.rng(), 1'500'000));
    world.push("data");
    const End victim = seed % 2 == 0 ? End::kA : End::kB;
    world.run(End::kA, Duration(static_cast<std::int64_t>(world.rng().below(4'500'000'000))));
    const std::uint64_t sent_before = world.bulk_bytes();
    world.kill(victim);
    world.run(victim == End::kA ? End::kB : End::kA, 5s);  // the other end hears of it
    world.boot(End::kA);
    world.boot(End::kB);
    killed_in_the_middle += sent_before > 0 && sent_before < 12'000'000 ? 1 : 0;
    world.push("data", "src", false, unfinished());
    expect_done(world);
    expect_arrived(world);
    // In flight: a round trip at this rate, the lane's queue, blocks in the receiver's hands.
    const std::uint64_t in_flight = 400'000 + (128U << 10) + 2 * (1U << 20);
    EXPECT_LE(world.bulk_bytes(), 12'000'000 + 10'000 + (sent_before > 0 ? in_flight : 0));
  }
  EXPECT_GT(killed_in_the_middle, 10U);
}

TEST(Push, WithABaseTheSiteDoesNotKnowTellsAllAndSendsNothingItHas) {
  World world(3);
  put_random_tree(world.disk(End::kA), "src", world.rng(), 1'000'000);
  world.push("data");
  const auto first = expect_done(world);
  transfer::SiteMemory memory;
  memory.base = first.tree;
  const std::uint64_t before = world.bulk_bytes();
  world.push("data", "src", true, memory);
  expect_done(world);
  expect_arrived(world);
  EXPECT_EQ(world.bulk_bytes(), before);
}

TEST(Push, P6OfAnEditSendsTheChunksItTouches) {
  World world(3);
  ByteVector content = random_bytes(world.rng(), 3'000'000);
  put_file(world.disk(End::kA), "src/large", content);
  for (int i = 0; i < 20; ++i)
    put_file(world.disk(End::kA), "src/f" + std::to_string(i), random_bytes(world.rng(), 3000));
  world.push("data");
  const auto first = expect_done(world);
  content[1'500'000] ^= std::byte{1};
  put_file(world.disk(End::kA), "src/large", content);
  const std::uint64_t before = world.bulk_bytes();
  transfer::SiteMemory memory;
  memory.base = first.tree;
  world.push("data", "src", false, memory);
  expect_done(world);
  expect_arrived(world);
  EXPECT_LT(world.bulk_bytes() - before, 2 * store::kChunkBytesMax + 1000U);
}

TEST(Push, OfAFileThatChangesMeanwhileSendsWhatItBecame) {
  World world(5);
  put_file(world.disk(End::kA), "src/a", random_bytes(world.rng(), 2'000'000));
  put_file(world.disk(End::kA), "src/b", random_bytes(world.rng(), 2'000'000));
  world.push("data", "src", true);
  put_file(world.disk(End::kA), "src/b", random_bytes(world.rng(), 1'900'000));
  expect_done(world);
  expect_arrived(world);
}

// A new offer before the first was answered is a broken peer's to the receiver.
TEST(Push, OfAFileThatChangesBeforeTheOfferIsAnsweredSendsWhatItBecame) {
  for (const bool with_base : {false, true}) {
    World world(5);
    put_file(world.disk(End::kA), "src/a", random_bytes(world.rng(), 300'000));
    put_file(world.disk(End::kA), "src/b", random_bytes(world.rng(), 300'000));
    transfer::SiteMemory memory;  // unknown there: the answer begins another attempt, too
    if (with_base) memory.base = tree_of(*source_of(world.shared_disk(End::kA), "src", true));
    world.push("data", "src", false, memory);
    put_file(world.disk(End::kA), "src/b", random_bytes(world.rng(), 290'000));
    expect_done(world);
    expect_arrived(world);
  }
}

TEST(Push, OfAFileThatVanishesIsReported) {
  World world(5);
  put_file(world.disk(End::kA), "src/a", random_bytes(world.rng(), 200'000));
  put_file(world.disk(End::kA), "src/gone", random_bytes(world.rng(), 200'000));
  world.push("data", "src", true);
  ASSERT_TRUE(world.disk(End::kA).remove(TreeName::known("src/gone")));
  const auto end = world.run(End::kA);
  ASSERT_TRUE(end && end->error);
  EXPECT_NE(end->error->message().find("gone"), std::string::npos) << end->error->message();
  EXPECT_TRUE(snapshot(world.disk(End::kB), TreeName()).empty());
}

TEST(Push, ToAFullDiskSaysSoAndPublishesNothing) {
  World world(5);
  put_file(world.disk(End::kA), "src/a", random_bytes(world.rng(), 3'000'000));
  world.disk(End::kB).set_free_bytes(1'000'000);
  world.push("data");
  const auto end = world.run(End::kA);
  ASSERT_TRUE(end && end->error);
  EXPECT_EQ(end->error->kind(), Kind::kNoSpace) << end->error->message();
  EXPECT_TRUE(snapshot(world.disk(End::kB), TreeName()).empty());
}

// Thousands of names, so that the manifest is many segments, and more than fits.
void put_much(World& world) {
  for (int i = 0; i < 4'000; ++i)
    put_file(world.disk(End::kA), "src/" + std::to_string(i) + std::string(150, 'n'),
             random_bytes(world.rng(), 10'000));
}

TEST(Push, OfMoreThanFitsIsRefusedBeforeItsFirstByte) {
  World world(15);
  put_much(world);
  world.disk(End::kB).set_free_bytes(50U << 20);  // 38 MiB and 16 for what else is written there
  std::uint64_t segments = 0;
  world.link().tap([&](End, session::Lane, Slice message) -> std::optional<Slice> {
    segments += !message.empty() && message.bytes()[0] == std::byte{3};
    return message;
  });
  world.push("data", "src", true);
  const auto end = world.run(End::kA);
  ASSERT_TRUE(end && end->error);
  EXPECT_EQ(end->error->kind(), Kind::kNoSpace);
  EXPECT_NE(end->error->message().find("it needs 54 MiB and 49 MiB are free there"),
            std::string::npos)
      << end->error->message();
  EXPECT_GE(world.disk(End::kB).free_space()->bytes, 49U << 20);
  EXPECT_GT(segments, 3U);  // they were on their way
  world.disk(End::kB).set_free_bytes(1U << 30);
  world.push("data", "src", true);
  const auto again = world.run(End::kA);
  ASSERT_TRUE(again && !again->error);
}

TEST(Push, OfWhatIsHalfHereNeedsRoomForTheRestOnly) {
  DoubleLink shape;
  shape.rate = BytesPerSecond::from_bits(80'000'000);
  World world(16, shape);
  put_much(world);
  constexpr std::uint64_t kPlenty = 1ULL << 30;
  world.disk(End::kB).set_free_bytes(kPlenty);
  world.push("data", "src", true);
  world.run(End::kA, 3s);
  world.kill(End::kA);
  world.run(End::kB, 2s);
  world.kill(End::kB);
  ASSERT_LT(world.disk(End::kB).free_space()->bytes, kPlenty - (15U << 20));
  world.boot(End::kA);
  world.boot(End::kB);
  world.disk(End::kB).set_free_bytes(50U << 20);  // all of it would need 54
  transfer::SiteMemory memory;
  memory.unfinished = true;
  world.push("data", "src", true, std::move(memory));
  const auto end = world.run(End::kA);
  ASSERT_TRUE(end.has_value());
  EXPECT_FALSE(end->error.has_value()) << end->error->message();
}

TEST(Push, OffersTheRoomThatItNeedsWithoutItsHoles) {
  for (const bool hashed : {false, true}) {
    World world(17);
    store::Files& disk = world.disk(End::kA);
    ASSERT_TRUE(disk.make_folder(TreeName::known("src")));
    const auto file = disk.open(TreeName::known("src/sparse"), store::Access::kCreate);
    ASSERT_TRUE(file && (*file)->resize(20U << 20));
    ASSERT_TRUE((*file)->write_at(random_bytes(world.rng(), 1U << 20), 0));
    std::optional<std::uint64_t> offered;
    world.link().tap([&](End, session::Lane, Slice message) -> std::optional<Slice> {
      const auto decoded = wire::decode<wire::TransferMessage>(message);
      if (const auto* offer = decoded ? std::get_if<wire::Offer>(&*decoded) : nullptr)
        offered = offer->bytes;
      return message;
    });
    world.push("data", "src", hashed);
    const auto end = world.run(End::kA);
    ASSERT_TRUE(end && !end->error);
    EXPECT_EQ(offered, 1U << 20) << hashed;
  }
}

TEST(Push, BesideAnotherOfTheSameDatasetIsRefused) {
  DoubleLink shape;
  shape.rate = BytesPerSecond::from_bits(1'000'000);  // so that the first is still under way
  World world(5, shape);
  put_file(world.disk(End::kA), "src/a", random_bytes(world.rng(), 3'000'000));
  world.push("data");
  world.push("data");
  const auto end = world.run(End::kA);  // of the one whose offer was opened later
  ASSERT_TRUE(end && end->error);
  EXPECT_EQ(end->error->kind(), Kind::kBusy) << end->error->message();
  EXPECT_EQ(end->error->why(), "receive the tree: another transfer writes there");
  expect_done(world);
  expect_arrived(world);
}

TEST(Push, OfTwoDatasetsSharesTheLink) {
  World world(5);
  put_file(world.disk(End::kA), "src/a", random_bytes(world.rng(), 2'000'000));
  put_file(world.disk(End::kA), "other/b", random_bytes(world.rng(), 2'000'000));
  world.push("one");
  world.push("two", "other");
  expect_done(world);
  const auto second = world.at(End::kA).transfers();
  for (const auto id : second) {
    const auto progress = world.at(End::kA).progress(world.link().now(), id);
    ASSERT_TRUE(progress.has_value());
    EXPECT_GT(progress->bytes_raw, 1'000'000U);  // it was not kept waiting for the first
  }
}

TEST(Push, CancelledIsResumedWhereItWas) {
  DoubleLink shape;
  shape.rate = BytesPerSecond::from_bits(20'000'000);
  World world(6, shape);
  put_file(world.disk(End::kA), "src/a", random_bytes(world.rng(), 4'000'000));
  const auto id = world.push("data");
  world.run(End::kA, 1200ms);
  world.at(End::kA).cancel(world.link().now(), id);
  auto end = world.run(End::kA, 5s);
  ASSERT_TRUE(end && end->error);
  EXPECT_EQ(end->error->kind(), Kind::kInterrupted);
  world.link().run_until([] { return false; }, 5s);
  EXPECT_GT(world.bulk_bytes(), 1'000'000U);
  world.push("data", "src", false, unfinished());
  expect_done(world);
  expect_arrived(world);
  EXPECT_LT(world.bulk_bytes(), 5'200'000U);
}

TEST(Push, GoesOnAfterALinkWasDown) {
  World world(6);
  put_file(world.disk(End::kA), "src/a", random_bytes(world.rng(), 4'000'000));
  world.push("data");
  world.run(End::kA, 120ms);
  world.link().set_link(session::LinkState::kDown);
  world.run(End::kA, 300s);
  world.link().set_link(session::LinkState::kUp);
  expect_done(world);
  expect_arrived(world);
  EXPECT_LT(world.bulk_bytes(), 4'100'000U);
}

// Its rate is capped so low that blocks leave further apart than a receiver waits for a sender.
TEST(Push, ToASiteThatFallsSilentEndsInTime) {
  for (const bool after_the_answer : {false, true}) {
    World world(12);
    put_file(world.disk(End::kA), "src/a", random_bytes(world.rng(), 900'000));
    int heard = 0;
    world.link().tap([&](End from, session::Lane, Slice message) -> std::optional<Slice> {
      if (from == End::kB && ++heard > (after_the_answer ? 1 : 0)) return std::nullopt;
      return message;
    });
    world.push("data");
    const auto end = world.run(End::kA, 700s);
    ASSERT_TRUE(end && end->error);
    EXPECT_EQ(end->error->kind(), Kind::kTimeout);
    EXPECT_EQ(end->error->attempt(), "send data");
    EXPECT_EQ(end->error->why(), "the peer fell silent");
    EXPECT_GT(heard, 0);
  }
}

TEST(Push, CappedVeryLowIsNotTakenForSilent) {
  World world(8);
  put_file(world.disk(End::kA), "src/a", random_bytes(world.rng(), 2'500'000));
  auto source = source_of(world.shared_disk(End::kA), "src", true);
  Exchange::PushOptions options;
  options.dataset = "data";
  options.limit = BytesPerSecond(4000);
  world.at(End::kA).start_push(world.link().now(), options, std::move(source), {});
  world.link().pump();
  const auto end = world.run(End::kA, 3600s);
  ASSERT_TRUE(end.has_value());
  EXPECT_FALSE(end->error.has_value()) << end->error->message();
  EXPECT_GT(world.link().now() - Time{}, 2 * transfer::kPeerSilenceMax);
  expect_arrived(world);
}

TEST(Push, CountsTheFilesThatAreDone) {
  World world(9);
  for (int i = 0; i < 300; ++i)
    put_file(world.disk(End::kA), "src/f" + std::to_string(i), random_bytes(world.rng(), 60'000));
  const auto id = world.push("data", "src", true);
  std::uint64_t last = 0;
  bool between = false;
  world.link().run_until([&] {
    const auto sender = world.at(End::kA).progress(world.link().now(), id);
    const auto receiver = world.at(End::kB).progress(world.link().now(), id);
    if (!sender) return true;
    EXPECT_GE(sender->files_done, last);
    last = sender->files_done;
    EXPECT_TRUE(!receiver || sender->files_done <= receiver->files_done);
    // About as many files as bytes: all are of one size.
    if (receiver && receiver->bytes_done > 6'000'000 && receiver->bytes_done < 12'000'000) {
      between = true;
      EXPECT_LE(receiver->files_done, receiver->bytes_done / 60'000);
      EXPECT_GE(receiver->files_done + 40, receiver->bytes_done / 60'000);
    }
    return false;
  });
  EXPECT_TRUE(between);
  EXPECT_EQ(world.run(End::kA)->progress.files_done, 300U);
}

TEST(Request, GetsItsPagesInOrder) {
  World world(4);
  world.at(End::kA).ask(world.link().now(), wire::AskType::kFiles, "data", 0);
  std::vector<std::string> names;
  bool answered = false;
  world.link().run_until([&] {
    while (auto event = world.at(End::kA).poll_event()) {
      if (auto* page = std::get_if<transfer::Page>(&*event))
        for (const auto& line : page->lines) names.push_back(line.name);
      if (auto* end = std::get_if<transfer::Answered>(&*event)) answered = !end->error;
    }
    return answered;
  });
  EXPECT_TRUE(answered);
  EXPECT_EQ(names, (std::vector<std::string>{"page0", "page1", "page2", "page3", "page4"}));
}

}  // namespace
}  // namespace longhaul::test
