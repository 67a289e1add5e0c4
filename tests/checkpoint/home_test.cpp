// A checkpoint on its way home between two machines: whole or not there, through kill -9 at every
// step, lies of the site, and whatever else lies where it is to stand.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/checkpoint/home_world.hpp"

namespace longhaul::test {
namespace {

TEST(HomeSink, BringsWeightsOrAllOfItUnderItsName) {
  Home home;
  home.announce(100, kModelFloats);
  EXPECT_EQ(home.pull(weights(100)), std::nullopt);
  EXPECT_EQ(home.names(), std::vector<std::string>{"step-00000100"});
  home.expect_whole(weights(100));
  const std::uint64_t bulk = home.link().sent_bytes(End::kB, Lane::kBulk);
  EXPECT_LT(bulk, 2 * kModelFloats + 20'000);
  EXPECT_EQ(home.pull({{1, 100}, Form::kFull}), std::nullopt);
  home.expect_whole({{1, 100}, Form::kFull});
  EXPECT_EQ(home.names(), (std::vector<std::string>{"step-00000100", "step-00000100.full"}));
}

// The run's program sees by the mark what it must not delete, until all of it is at home.
TEST(HomeSink, WhatIsOnItsWayIsMarkedAtTheSiteUntilItIsHome) {
  for (const Form form : {Form::kWeights, Form::kFull}) {
    Home home;
    home.announce(100, kModelFloats);
    const TreeName mark = TreeName::known("runs/r/checkpoints/step-100/pending-home");
    const auto before = home.list("r").at(0);
    EXPECT_FALSE(home.site.stat(mark));
    home.start({{1, 100}, form});
    home.link().run_until([&] { return home.site.stat(mark).has_value(); });
    ASSERT_TRUE(home.site.stat(mark));
    const auto marked = home.list("r").at(0);
    EXPECT_EQ(marked.files, before.files) << "it is no part of the checkpoint";
    EXPECT_EQ(marked.bytes, before.bytes);
    home.kill(End::kA);
    home.kill(End::kB);
    EXPECT_TRUE(home.site.stat(mark)) << "also while nobody is there";
    home.boot(End::kA);
    home.boot(End::kB);
    EXPECT_EQ(home.pull({{1, 100}, form}), std::nullopt);
    home.expect_whole({{1, 100}, form});
    home.link().run_until([&] { return !home.site.stat(mark).has_value(); });
    EXPECT_FALSE(home.site.stat(mark));
    EXPECT_FALSE(
        home.laptop->stat(checkpoint::home_name({{1, 100}, form}).child("pending-home").value()));
  }
}

TEST(HomeSink, AMarkThatDoesNotFitLeavesNothing) {
  Home home;
  home.announce(100);
  home.site.set_free_bytes(0);
  EXPECT_EQ(home.pull({{1, 100}, Form::kFull}), std::nullopt);
  EXPECT_FALSE(home.site.stat(TreeName::known("runs/r/checkpoints/step-100/pending-home.new")));
}

TEST(HomeSink, AMarkCutShortIsNoPartOfTheCheckpoint) {
  Home home;
  home.announce(100);
  const auto before = home.list("r").at(0);
  put_file(home.site, "runs/r/checkpoints/step-100/pending-home.new", bytes_of("a lap"));
  EXPECT_EQ(home.list("r").at(0).files, before.files);
  EXPECT_EQ(home.pull({{1, 100}, Form::kFull}), std::nullopt);
  EXPECT_FALSE(home.laptop->stat(TreeName::known("step-00000100.full/pending-home.new")));
}

TEST(HomeSink, WhatCannotBeSentIsNotMarked) {
  Home home;
  home.announce(100);
  for (const char* name : {"config.json", "model.safetensors"})
    ASSERT_TRUE(
        home.site.remove(TreeName::known(std::string("runs/r/checkpoints/step-100/") + name)));
  EXPECT_EQ(home.pull(weights(100)), Kind::kNotFound);
  EXPECT_FALSE(home.site.stat(TreeName::known("runs/r/checkpoints/step-100/pending-home")));
}

TEST(HomeSink, ListsWhatWasAnnouncedAndIsThere) {
  Home home;
  for (const std::uint64_t step : {100U, 200U, 300U}) home.announce(step);
  ASSERT_TRUE(store::remove_tree(home.site, TreeName::known("runs/r/checkpoints/step-200")));
  const auto lines = home.list("r");
  ASSERT_EQ(lines.size(), 2U);
  EXPECT_EQ(lines[0].version, 100U);
  EXPECT_EQ(lines[1].version, 300U);
  EXPECT_EQ(lines[1].mode, 1U);
  EXPECT_EQ(lines[1].files, 3U);
  EXPECT_EQ(std::string(lines[1].name), "checkpoints/step-300");
  std::optional<Kind> refused;
  EXPECT_TRUE(home.list("none", &refused).empty());
  EXPECT_EQ(refused, Kind::kNotFound);
  EXPECT_TRUE(home.list("../x", &refused).empty());
  EXPECT_EQ(refused, Kind::kUsage);
  EXPECT_EQ(home.pull(weights(200)), Kind::kNotFound);
  EXPECT_EQ(home.pull(weights(1)), Kind::kNotFound);
  EXPECT_TRUE(home.names().empty());
}

TEST(HomeSink, KeepsTheNewestAndNothingElseGoes) {
  Home home;
  for (const std::uint64_t step : {100U, 200U, 300U, 400U}) home.announce(step);
  put_file(*home.laptop, "step-00000050/mine", bytes_of("mine"));
  put_file(*home.laptop, "notes", bytes_of("mine"));
  for (const std::uint64_t step : {100U, 200U, 300U})
    ASSERT_EQ(home.pull(weights(step)), std::nullopt);
  EXPECT_EQ(home.pull(weights(400), 2), std::nullopt);
  EXPECT_EQ(home.names(),
            (std::vector<std::string>{"notes", "step-00000050", "step-00000300", "step-00000400"}));
  home.expect_whole(weights(400));
}

// Its attempts and steps count from the beginning again.
TEST(HomeSink, KeepsWhatHasJustComeOfARunBegunAnew) {
  Home home;
  for (const std::uint64_t step : {5000U, 6000U, 100U, 200U}) home.announce(step);
  const auto at = [](Wanted wanted, std::int64_t seconds) {
    wanted.checkpoint.at.ns = seconds * 1'000'000'000;
    return wanted;
  };
  ASSERT_EQ(home.pull(at(weights(5000, 2), 10)), std::nullopt);
  ASSERT_EQ(home.pull(at(weights(6000, 2), 20)), std::nullopt);
  ASSERT_EQ(home.pull(at(weights(100), 30), 1), std::nullopt);
  EXPECT_EQ(home.names(), std::vector<std::string>{"step-00000100"});
  home.expect_whole(at(weights(100), 30));
  ASSERT_EQ(home.pull(at(weights(6000, 2), 20)), std::nullopt);
  ASSERT_EQ(home.pull(at(weights(200), 40), 2), std::nullopt);
  EXPECT_EQ(home.names(), (std::vector<std::string>{"step-00000100", "step-00000200"}));
  // Also one that is older than those that are here: somebody asked for it.
  ASSERT_EQ(home.pull(at(weights(5000, 2), 10), 2), std::nullopt);
  EXPECT_EQ(home.names(), (std::vector<std::string>{"step-00000200", "step-00005000"}));
}

// Half of the weights are frozen: of the second checkpoint they do not cross.
TEST(HomeSink, P6WhatTheOneBeforeHoldsIsNotSent) {
  Home home;
  for (const std::uint64_t step : {100U, 200U}) home.announce(step, kModelFloats, kModelFloats);
  ASSERT_EQ(home.pull(weights(100)), std::nullopt);
  const std::uint64_t first = home.link().sent_bytes(End::kB, Lane::kBulk);
  EXPECT_GT(first, 2 * kModelFloats);
  ASSERT_EQ(home.pull(weights(200)), std::nullopt);
  home.expect_whole(weights(200));
  const std::uint64_t second = home.link().sent_bytes(End::kB, Lane::kBulk) - first;
  EXPECT_LT(second, first * 6 / 10);
  // Nothing of what stands in the folders of others.
  put_file(*home.laptop, "step-00000050/.longhaul-chunks", bytes_of("no list"));
  home.announce(300, kModelFloats, kModelFloats);
  ASSERT_EQ(home.pull(weights(300)), std::nullopt);
  home.expect_whole(weights(300));
}

// What somebody changed at home, or a list that rotted, is no reason for a wrong or missing one.
TEST(HomeSink, WhatWasChangedAtHomeIsSentAgain) {
  for (const char* const changed : {"model.safetensors", ".longhaul-chunks"}) {
    Home home;
    for (const std::uint64_t step : {100U, 200U}) home.announce(step, kModelFloats, kModelFloats);
    ASSERT_EQ(home.pull(weights(100)), std::nullopt);
    const std::string name = std::string("step-00000100/") + changed;
    for (std::uint64_t at = 0; at < home.content(name).size(); at += 4096)
      home.laptop->rot(TreeName::known(name), at);
    const std::uint64_t first = home.link().sent_bytes(End::kB, Lane::kBulk);
    EXPECT_EQ(home.pull(weights(200)), std::nullopt) << changed;
    home.expect_whole(weights(200));
    EXPECT_GT(home.link().sent_bytes(End::kB, Lane::kBulk) - first, first * 9 / 10) << changed;
  }
}

// The trash is one for all who bring checkpoints here.
TEST(HomeSink, TakesItsPlaceWhileOthersUseTheTrash) {
  Home home;
  home.announce(100);
  ASSERT_EQ(home.pull(weights(100)), std::nullopt);
  put_file(*home.laptop, ".longhaul/trash/step-00000007/theirs", bytes_of("half gone"));
  put_file(*home.laptop, ".longhaul/trash/step-00000100/left", bytes_of("of a deletion cut short"));
  home.announce(100);  // other weights
  ASSERT_EQ(home.pull(weights(100, 2)), std::nullopt);
  home.expect_whole(weights(100, 2));
}

TEST(HomeSink, ReadsANoteWithoutATime) {
  Home home;
  const std::string root(64, 'a');
  put_file(*home.laptop, "step-00000100/.longhaul-checkpoint",
           bytes_of("longhaul checkpoint 1\ns/r\n1\n100\nweights\n" + root + "\n"));
  const auto held = checkpoint::read_held(*home.laptop, TreeName::known("step-00000100"));
  ASSERT_TRUE(held);
  EXPECT_EQ(held->what, weights(100));
  EXPECT_TRUE(checkpoint::is_home(held->what, {{1, 100, {77}}, Form::kWeights}));
  EXPECT_FALSE(
      checkpoint::is_home({{1, 100, {76}}, Form::kWeights}, {{1, 100, {77}}, Form::kWeights}));
  home.announce(100);
  ASSERT_EQ(home.pull({{1, 100, {77}}, Form::kWeights}), std::nullopt);
  home.expect_whole({{1, 100, {77}}, Form::kWeights});
}

TEST(HomeSink, ANewerAttemptsStepTakesThePlaceAndNothingOfAnybodyElse) {
  Home home;
  home.announce(100);
  ASSERT_EQ(home.pull(weights(100)), std::nullopt);
  home.announce(100);  // other weights
  ASSERT_EQ(home.pull(weights(100, 2)), std::nullopt);
  home.expect_whole(weights(100, 2));
  EXPECT_EQ(home.names(), std::vector<std::string>{"step-00000100"});
  home.announce(200);
  put_file(*home.laptop, "step-00000200/mine", bytes_of("mine"));
  const std::uint64_t before = home.link().sent_bytes(End::kB, Lane::kBulk);
  EXPECT_EQ(home.pull(weights(200)), Kind::kExists);
  // A small one goes ahead of the answer; no more than that crossed in vain.
  EXPECT_LT(home.link().sent_bytes(End::kB, Lane::kBulk) - before, 4096U);
  EXPECT_EQ(text_of(home.content("step-00000200/mine")), "mine");
  EXPECT_EQ(home.names(), (std::vector<std::string>{"step-00000100", "step-00000200"}));
}

// Wherever one side is killed, nothing stands under the final name before it is whole, and the next
// pull ends it.
void kill_everywhere(End side) {
  constexpr std::uint64_t kFloats = 4 * kModelFloats;
  std::uint64_t steps = 0;
  {
    Home home;
    home.announce(100, kFloats);
    ASSERT_EQ(home.pull(weights(100)), std::nullopt);
    steps = home.link().steps();
  }
  ASSERT_GT(steps, 30U);
  std::uint64_t resumed = 0;
  for (std::uint64_t at = 1; at < steps; ++at) {
    SCOPED_TRACE(at);
    Home home;
    home.announce(100, kFloats);
    home.start(weights(100));
    while (home.link().steps() < at && home.link().step()) {
    }
    const bool done = home.heard().has_value();
    const bool named = home.laptop->stat(TreeName::known("step-00000100")).has_value();
    ASSERT_TRUE(named || !done);
    if (named) home.expect_whole(weights(100));
    home.kill(side);
    home.kill(side == End::kA ? End::kB : End::kA);  // its session, that is
    home.boot(End::kA);
    home.boot(End::kB);
    home.start(weights(100));
    const auto end = home.run();
    ASSERT_TRUE(end && !end->error);
    home.expect_whole(weights(100));
    ASSERT_EQ(home.names(), std::vector<std::string>{"step-00000100"});
    resumed = std::max(resumed, end->progress.bytes_present);
  }
  EXPECT_GT(resumed, kFloats);
}
TEST(HomeSink, IsWholeOrNotThereWhereverTheLaptopIsKilled) {
  kill_everywhere(End::kA);
}
TEST(HomeSink, IsWholeOrNotThereWhereverTheSiteIsKilled) {
  kill_everywhere(End::kB);
}

TEST(HomeSink, P3WhatHadArrivedIsNotSentAgain) {
  DoubleLink link;
  link.rate = BytesPerSecond::from_bits(40'000'000);
  link.window_bytes = 2U << 20;
  Home home(1, link);
  home.announce(100, 10 * kModelFloats);
  home.start(weights(100));
  while (home.link().now() < Time{} + 900ms && home.link().step()) {
  }
  home.kill(End::kA);
  home.kill(End::kB);
  home.boot(End::kA);
  home.boot(End::kB);
  home.start(weights(100));
  const auto end = home.run();
  ASSERT_TRUE(end && !end->error);
  home.expect_whole(weights(100));
  // Lost is what was on the link, and a few blocks at its ends.
  constexpr std::uint64_t kOnce = 2 * 10 * kModelFloats;
  EXPECT_GT(end->progress.bytes_present, 1'500'000U);
  EXPECT_LT(home.link().sent_bytes(End::kB, Lane::kBulk), kOnce - 1'000'000);
}

// A site that lies: bytes, names, sizes.
TEST(HomeSink, WrongBytesNeverGetTheName) {
  for (std::uint64_t seed = 1; seed <= 20; ++seed) {
    Home home(seed);
    home.announce(100, kModelFloats);
    home.link().tap([&](End from, Lane lane, Slice message) -> std::optional<Slice> {
      if (from != End::kB || lane != Lane::kBulk) return message;
      auto decoded = wire::decode<wire::TransferMessage>(message);
      auto* block = decoded ? std::get_if<wire::Block>(&*decoded) : nullptr;
      if (block == nullptr) return message;
      ByteVector bytes(block->payload.bytes().begin(), block->payload.bytes().end());
      bytes[home.rng().below(bytes.size())] ^= std::byte{1};
      block->payload = wire::Payload<wire::kBlockPayloadMax>(Slice::copy_of(bytes));
      return Slice::copy_of(wire::encode(*decoded));
    });
    EXPECT_NE(home.pull(weights(100)), std::nullopt);
    EXPECT_FALSE(home.laptop->stat(TreeName::known("step-00000100")));
  }
}

TEST(HomeSink, WrongNamesAndSizesNeverGetTheName) {
  const auto refused = [](auto change) {
    Home home;
    home.announce(100);
    put_file(*home.laptop, "notes", bytes_of("mine"));
    home.link().tap([&](End from, Lane, Slice message) -> std::optional<Slice> {
      auto decoded = wire::decode<wire::TransferMessage>(message);
      auto* segment = decoded ? std::get_if<wire::Segment>(&*decoded) : nullptr;
      if (from != End::kB || segment == nullptr) return message;
      change(segment->records);
      return Slice::copy_of(wire::encode(*decoded));
    });
    const auto end = home.pull(weights(100));
    EXPECT_FALSE(home.laptop->stat(TreeName::known("step-00000100")));
    EXPECT_EQ(text_of(home.content("notes")), "mine");
    return end;
  };
  const auto named = [&](std::string_view name) {
    return refused([name](auto& records) { records[0].name = wire::Text<wire::kNameMax>(name); });
  };
  EXPECT_EQ(named("../notes"), Kind::kMalformed);
  EXPECT_EQ(named(".."), Kind::kMalformed);
  EXPECT_EQ(named("/etc/passwd"), Kind::kMalformed);
  EXPECT_EQ(named(".longhaul"), Kind::kMalformed);
  EXPECT_NE(refused([](auto& records) { records[1].size += 1; }), std::nullopt);
  EXPECT_NE(refused([](auto& records) { records[1].size = 0; }), std::nullopt);
  EXPECT_NE(refused([](auto& records) { records[0].mode = 0777; }), std::nullopt);  // another root
}

TEST(Sweep, TakesWhatNobodyWantsAnyMore) {
  Home home;
  home.announce(100, 20 * kModelFloats);
  home.announce(200, 20 * kModelFloats);
  for (const std::uint64_t step : {100U, 200U}) {
    home.start(weights(step));
    const Time before = home.link().now();
    while (home.link().now() < before + 400ms && home.link().step()) {
    }
    for (const auto id : home.at(End::kA).transfers())
      home.at(End::kA).cancel(home.link().now(), id);
    home.link().pump();
    ASSERT_TRUE(home.run());
  }
  const auto begun = [&](std::uint64_t step) {
    return checkpoint::is_begun(*home.laptop, "s/r", weights(step));
  };
  ASSERT_TRUE(begun(100) && begun(200));
  checkpoint::sweep(*home.laptop, "s/other", {});
  EXPECT_TRUE(begun(100) && begun(200));
  home.kill(End::kA);  // what somebody is at would stay
  EXPECT_TRUE(begun(100) && begun(200));
  checkpoint::sweep(*home.laptop, "s/r", {weights(200)});
  EXPECT_FALSE(begun(100));
  EXPECT_TRUE(begun(200));
  checkpoint::sweep(*home.laptop, "s/r", {});
  EXPECT_THAT(home.names(), testing::IsEmpty());
}

}  // namespace
}  // namespace longhaul::test
