// Pulls into an ordinary folder: what they bring, what they never touch, what they leave behind.
#include <gtest/gtest.h>

#include "tests/transfer/world.hpp"

namespace longhaul::test {
namespace {

using store::TreeName;
using transfer::FolderOptions;
using transfer::FolderSink;

Finished expect_done(World& world) {
  auto finished = world.run(End::kA);
  if (!finished) {
    ADD_FAILURE() << "the transfer did not end";
    return {};
  }
  EXPECT_FALSE(finished->error.has_value()) << finished->error->message();
  return *finished;
}

std::optional<Finished> pull(World& world, FolderOptions options = {}) {
  world.pull("data",
             std::make_shared<FolderSink>(world.shared_disk(End::kA), "data", std::move(options)));
  return world.run(End::kA);
}

void expect_refused(const std::optional<Finished>& end, Kind kind, const std::string& why,
                    const std::string& advice = "") {
  ASSERT_TRUE(end && end->error);
  EXPECT_EQ(end->error->kind(), kind) << end->error->message();
  EXPECT_EQ(end->error->why(), why);
  EXPECT_EQ(end->error->advice(), advice);
}
const std::string kMoveAway = "move it away, or use --force";
const std::string kAppeared = "something of yours stands there";
const std::string kChangedHere = "it was changed here; nothing was touched";

void expect_pulled(World& world) {
  EXPECT_EQ(snapshot(world.disk(End::kA), TreeName()),
            snapshot(world.disk(End::kB), TreeName::known("out")));
}

store::Tree offered(World& world) {
  return tree_of(*source_of(world.shared_disk(End::kB), "out", true));
}

std::string content(World& world, const std::string& name) {
  const auto bytes = store::read_whole(world.disk(End::kA), TreeName::known(name), 1U << 20);
  return bytes ? std::string(text_of(*bytes)) : "nothing";
}

void write(World& world, End end, const std::string& name, std::string_view text) {
  put_file(world.disk(end), name, bytes_of(text));
}

// Does `change` to the folder once it was looked at and bytes are asked for.
std::optional<Finished> pull_while(World& world, FolderOptions options,
                                   const std::function<void()>& change) {
  bool done = false;
  world.link().tap([&](End from, session::Lane lane, Slice message) -> std::optional<Slice> {
    if (from == End::kA && lane == session::Lane::kDemand && !std::exchange(done, true)) change();
    return message;
  });
  auto end = pull(world, std::move(options));
  EXPECT_TRUE(done);
  world.link().tap(nullptr);
  return end;
}

TEST(Pull, BringsATreeIntoAFolder) {
  for (std::uint64_t seed = 1; seed <= 10; ++seed) {
    SCOPED_TRACE(seed);
    World world(seed);
    put_random_tree(world.disk(End::kB), "out", world.rng(), 1'000'000);
    world.pull("data",
               std::make_shared<FolderSink>(world.shared_disk(End::kA), "data", FolderOptions{}));
    expect_done(world);
    expect_pulled(world);
    // Longhaul was a guest there.
    EXPECT_FALSE(world.disk(End::kA).stat(TreeName::known(".longhaul")));
  }
}

TEST(Pull, NeverReplacesAChangedFileNorDeletesUnlessTold) {
  World world(4);
  auto& here = world.disk(End::kA);
  put_file(world.disk(End::kB), "out/a", random_bytes(world.rng(), 5000));
  put_file(world.disk(End::kB), "out/b", random_bytes(world.rng(), 5000));
  put_file(here, "a", bytes_of("mine"));
  put_file(here, "extra", bytes_of("mine too"));
  const auto before = snapshot(here, TreeName());
  FolderOptions options;
  world.pull("data", std::make_shared<FolderSink>(world.shared_disk(End::kA), "data", options));
  expect_refused(world.run(End::kA), Kind::kExists, kChangedHere, kMoveAway);
  EXPECT_EQ(snapshot(here, TreeName()), before);
  put_file(here, "b", bytes_of("mine as well"));
  expect_refused(pull(world), Kind::kExists, "it and 1 more were changed here; nothing was touched",
                 kMoveAway);

  options.force = true;
  world.pull("data", std::make_shared<FolderSink>(world.shared_disk(End::kA), "data", options));
  expect_done(world);
  EXPECT_TRUE(here.stat(TreeName::known("extra")));
  options.remove_others = true;
  world.pull("data", std::make_shared<FolderSink>(world.shared_disk(End::kA), "data", options));
  expect_done(world);
  EXPECT_FALSE(here.stat(TreeName::known("extra")));
  EXPECT_EQ(snapshot(here, TreeName()), snapshot(world.disk(End::kB), TreeName::known("out")));
}

// Bytes of each second that blocks took to come, the first and the last left out.
struct Paced {
  Duration took{};
  std::uint64_t bytes = 0;
  std::uint64_t most_in_a_second = 0;
};
Paced pull_paced(World& world, std::uint64_t bytes, std::optional<BytesPerSecond> limit) {
  put_file(world.disk(End::kB), "out/a", random_bytes(world.rng(), bytes));
  std::map<Duration::rep, std::uint64_t> seconds;
  Paced paced;
  world.link().tap([&](End from, session::Lane lane, Slice message) -> std::optional<Slice> {
    if (from == End::kB && lane == session::Lane::kBulk)
      seconds[(world.link().now() - Time{}) / 1s] += message.size();
    return message;
  });
  Exchange::PullOptions ask;
  ask.dataset = "data";
  ask.limit = limit;
  const Time began = world.link().now();
  world.at(End::kA).start_pull(
      began, ask,
      std::make_shared<FolderSink>(world.shared_disk(End::kA), "data", FolderOptions{}));
  world.link().pump();
  expect_done(world);
  expect_pulled(world);
  paced.took = world.link().now() - began;
  for (const auto& [second, sent] : seconds) {
    paced.bytes += sent;
    paced.most_in_a_second = std::max(paced.most_in_a_second, sent);
  }
  return paced;
}

TEST(Pull, KeepsTheRateItWasGiven) {
  constexpr std::uint64_t kBytes = 6'000'000;
  World free(40);
  EXPECT_LT(pull_paced(free, kBytes, std::nullopt).took, 2s);
  World world(40);
  const Paced paced = pull_paced(world, kBytes, BytesPerSecond(1'000'000));
  EXPECT_GE(paced.took, 5600ms);  // the last block waits for those before it, not for itself
  EXPECT_LE(paced.took, 6700ms);
  // A second's worth, and a block of an eighth of it or the largest chunk at both its ends.
  EXPECT_LE(paced.most_in_a_second, 1'000'000U + 2 * (256U << 10));
}

TEST(Pull, SaysThatItsOwnLimitIsTheLimit) {
  World world(41);
  put_file(world.disk(End::kB), "out/a", random_bytes(world.rng(), 6'000'000));
  Exchange::PullOptions ask;
  ask.dataset = "data";
  ask.limit = BytesPerSecond(1'000'000);
  const TransferId id = world.at(End::kA).start_pull(
      world.link().now(), ask,
      std::make_shared<FolderSink>(world.shared_disk(End::kA), "data", FolderOptions{}));
  world.link().pump();
  world.link().run_until([&] { return world.link().now() >= Time{} + 4s; });
  const auto progress = world.at(End::kA).progress(world.link().now(), id);
  ASSERT_TRUE(progress);
  EXPECT_EQ(progress->limit, transfer::Stage::kRateCap);
}

TEST(Push, IsNotPacedByItsReceiver) {
  World world(42);
  put_file(world.disk(End::kA), "src/a", random_bytes(world.rng(), 3'000'000));
  const TransferId id = world.push("data");
  wire::Pace pace;
  pace.transfer = id;
  pace.bytes_per_second = 1000;
  world.link().inject(End::kB, session::Lane::kControl,
                      Slice::copy_of(wire::encode(wire::TransferMessage(pace))));
  const Time began = world.link().now();
  expect_done(world);
  EXPECT_LT(world.link().now() - began, 10s);
}

TEST(Pull, OfWhatIsNotThereIsNotFound) {
  World world(4);
  world.pull("data",
             std::make_shared<FolderSink>(world.shared_disk(End::kA), "data", FolderOptions{}));
  const auto end = world.run(End::kA);
  ASSERT_TRUE(end && end->error);
  EXPECT_EQ(end->error->kind(), Kind::kNotFound);
}

TEST(Pull, TellsAnOldFileFromOneThatWasChangedHere) {
  World world(5);
  write(world, End::kB, "out/a", "one");
  write(world, End::kB, "out/b", "one");
  ASSERT_FALSE(pull(world)->error);
  FolderOptions options;
  options.pulled = offered(world);

  write(world, End::kB, "out/a", "two");
  ASSERT_FALSE(pull(world, options)->error);  // it is as the pull before left it
  EXPECT_EQ(content(world, "a"), "two");

  options.pulled = offered(world);
  write(world, End::kB, "out/a", "three");
  write(world, End::kA, "a", "mine");
  expect_refused(pull(world, options), Kind::kExists, kChangedHere, kMoveAway);
  EXPECT_EQ(content(world, "a"), "mine");
  options.force = true;
  ASSERT_FALSE(pull(world, options)->error);
  EXPECT_EQ(content(world, "a"), "three");
}

TEST(Pull, BringsBackAFileOfItsBaseThatIsGoneOrChangedHere) {
  World world(6);
  const ByteVector large = random_bytes(world.rng(), 700'000);
  put_file(world.disk(End::kB), "out/a", large);
  write(world, End::kB, "out/b", "b");
  ASSERT_FALSE(pull(world)->error);
  FolderOptions options;
  options.pulled = offered(world);
  options.force = true;
  write(world, End::kB, "out/c", "so that there is something new");
  write(world, End::kA, "a", "mine");
  ASSERT_TRUE(world.disk(End::kA).remove(TreeName::known("b")));
  Exchange::PullOptions ask;
  ask.dataset = "data";
  ask.base = options.pulled->root();
  world.at(End::kA).start_pull(
      world.link().now(), ask,
      std::make_shared<FolderSink>(world.shared_disk(End::kA), "data", options));
  world.link().pump();
  expect_done(world);
  expect_pulled(world);
}

TEST(Pull, LeavesAFileThatChangesMeanwhile) {
  World world(7);
  write(world, End::kB, "out/a", "old");
  ASSERT_FALSE(pull(world)->error);
  FolderOptions options;
  options.pulled = offered(world);
  write(world, End::kB, "out/a", "new");
  for (const bool force : {false, true}) {
    options.force = force;
    put_file(world.disk(End::kB), "out/b", random_bytes(world.rng(), 300'000));
    expect_refused(pull_while(world, options, [&] { write(world, End::kA, "a", "mine"); }),
                   Kind::kChanged, "it changed while it was pulled, so it stays",
                   "pull again when nothing writes there");
    EXPECT_EQ(content(world, "a"), "mine");
    write(world, End::kA, "a", "old");
  }
}

TEST(Pull, LeavesWhatAppearsMeanwhileWhereAFileShouldGo) {
  World world(7);
  put_file(world.disk(End::kB), "out/a", random_bytes(world.rng(), 300'000));
  expect_refused(pull_while(world, {}, [&] { write(world, End::kA, "a", "mine"); }), Kind::kExists,
                 kAppeared, kMoveAway);
  EXPECT_EQ(content(world, "a"), "mine");
  // A folder that should become a file, and that somebody puts something into.
  World other(7);
  write(other, End::kB, "out/d/x", "x");
  ASSERT_FALSE(pull(other)->error);
  FolderOptions options;
  options.pulled = offered(other);
  ASSERT_TRUE(store::remove_tree(other.disk(End::kB), TreeName::known("out/d")));
  put_file(other.disk(End::kB), "out/d", random_bytes(other.rng(), 300'000));
  expect_refused(pull_while(other, options, [&] { write(other, End::kA, "d/mine", "mine"); }),
                 Kind::kExists, "a folder with files of yours stands there", kMoveAway);
  EXPECT_EQ(content(other, "d/mine"), "mine");
}

TEST(Pull, ThinksNothingOfIgnoreFilesInTheFolder) {
  World world(8);
  write(world, End::kB, "out/notes.log", "theirs");
  write(world, End::kA, ".longhaulignore", "*.log\n");
  write(world, End::kA, "notes.log", "mine");
  expect_refused(pull(world), Kind::kExists, kChangedHere, kMoveAway);
  EXPECT_EQ(content(world, "notes.log"), "mine");
}

TEST(Pull, WithDeleteKeepsWhatWasChangedHereUnlessForced) {
  World world(9);
  write(world, End::kB, "out/a", "a");
  write(world, End::kB, "out/old", "old");
  write(world, End::kB, "out/mine", "theirs");
  ASSERT_FALSE(pull(world)->error);
  FolderOptions options;
  options.pulled = offered(world);
  options.remove_others = true;
  ASSERT_TRUE(world.disk(End::kB).remove(TreeName::known("out/old")));
  ASSERT_TRUE(world.disk(End::kB).remove(TreeName::known("out/mine")));
  write(world, End::kA, "mine", "my work");
  expect_refused(pull(world, options), Kind::kExists, kChangedHere, kMoveAway);
  EXPECT_EQ(content(world, "mine"), "my work");
  EXPECT_EQ(content(world, "old"), "old");  // nothing was touched
  write(world, End::kA, "mine", "theirs");
  ASSERT_FALSE(pull(world, options)->error);
  expect_pulled(world);
}

TEST(Pull, OfHardLinksThatAreHereAlreadyTouchesNothing) {
  World world(10);
  write(world, End::kB, "out/a", "one file");
  ASSERT_TRUE(world.disk(End::kB).link(TreeName::known("out/a"), TreeName::known("out/b")));
  ASSERT_TRUE(world.disk(End::kB).link(TreeName::known("out/a"), TreeName::known("out/c")));
  ASSERT_FALSE(pull(world)->error);
  expect_pulled(world);
  ASSERT_FALSE(pull(world)->error);  // nothing is known of the pull before
  FolderOptions options;
  options.pulled = offered(world);
  // One of the names becomes a file of its own, the others get another mode.
  ASSERT_TRUE(world.disk(End::kB).remove(TreeName::known("out/b")));
  write(world, End::kB, "out/b", "its own");
  ASSERT_TRUE(world.disk(End::kB).set_mode(TreeName::known("out/a"), 0600));
  ASSERT_FALSE(pull(world, options)->error);
  expect_pulled(world);
}

// The machine stops at any change of a pull over an older one: the next pull goes on, without
// --force, as it knows what the first had begun to place.
TEST(Pull, R1StoppedAnywhereIsFinishedByTheNext) {
  std::uint64_t seen = 0;
  for (std::uint64_t stop = 0;; stop += 3) {
    SCOPED_TRACE(stop);
    World world(11);
    for (int i = 0; i < 4; ++i) write(world, End::kB, "out/f" + std::to_string(i), "old");
    ASSERT_FALSE(pull(world)->error);
    FolderOptions options;
    options.pulled = offered(world);
    options.before_placing = [&options](const store::Tree& tree) -> Result<> {
      options.begun = tree;
      return {};
    };
    for (int i = 0; i < 4; ++i) write(world, End::kB, "out/f" + std::to_string(i), "new");
    write(world, End::kB, "out/sub/g", "new");
    world.disk(End::kA).stop_after(stop);
    const auto first = pull(world, options);
    world.kill(End::kA);
    world.disk(End::kA).lose_power(sim::CrashFiles::Keep::subset(stop));
    world.boot(End::kA);
    world.boot(End::kB);
    world.pull("data", std::make_shared<FolderSink>(world.shared_disk(End::kA), "data", options),
               true);
    expect_done(world);
    expect_pulled(world);
    if (HasFailure()) return;
    ++seen;
    if (first && !first->error) break;
  }
  EXPECT_GT(seen, 10U);
}

TEST(Pull, FromASiteThatFallsSilentEndsInTime) {
  for (const bool after_the_offer : {false, true}) {
    World world(12);
    put_file(world.disk(End::kB), "out/a", random_bytes(world.rng(), 900'000));
    world.link().tap([=](End from, session::Lane lane, Slice message) -> std::optional<Slice> {
      const bool passes = after_the_offer && lane == session::Lane::kControl;
      if (from == End::kB && !passes) return std::nullopt;
      return message;
    });
    world.pull("data",
               std::make_shared<FolderSink>(world.shared_disk(End::kA), "data", FolderOptions{}));
    const auto end = world.run(End::kA, 700s);
    expect_refused(end, Kind::kTimeout, "the sender fell silent");
  }
}

}  // namespace
}  // namespace longhaul::test
