// Commands on their way into a run, and its history however it comes.
#include <algorithm>

#include "tests/feed/pair.hpp"
#include "tests/sim/crash_files.hpp"

namespace longhaul::feed {
namespace {

using test::kWall;
using test::Pair;
using test::RunWriter;

wire::Steer steer_of(wire::WatchId watch, std::uint64_t id, double value, WallTime expires = {}) {
  wire::Steer steer;
  steer.watch = watch;
  steer.id = {id};
  steer.kind = static_cast<std::uint8_t>(run::CommandKind::kSet);
  steer.name = "lr";
  steer.value = value;
  steer.expires = expires;
  return steer;
}

bool is_put_down(store::Files& files) {
  return files.stat(store::TreeName::known("runs/r/control/0000000000000007.cmd")).has_value();
}

TEST(Feeder, ACommandIsReceivedOnceItIsDurable) {
  sim::CrashFiles files;
  RunWriter log(files, "r", 1);
  Pair pair(files);
  const wire::WatchId watch = pair.watch("r");
  pair.exchange(100ms);
  ASSERT_TRUE(files.sync_all().has_value());  // as the training program did with its folder
  pair.tell_feeder(steer_of(watch, 7, 0.5));
  auto output = pair.feeder->poll_output(pair.now, test::room_for(1U << 20));
  ASSERT_TRUE(output.has_value());
  auto* job = std::get_if<Job>(&*output);
  ASSERT_NE(job, nullptr);
  // Nothing is said of it as long as that is under way.
  for (const auto& message : pair.said(*pair.feeder)) pair.tell(pair.viewer, message);
  pair.hear();
  EXPECT_TRUE(pair.verdicts.empty());
  job->work->run();
  files.lose_power(sim::CrashFiles::Keep::none());
  EXPECT_TRUE(is_put_down(files));
  pair.feeder->on_job(pair.now, std::move(*job));
  for (const auto& message : pair.said(*pair.feeder)) pair.tell(pair.viewer, message);
  pair.hear();
  ASSERT_EQ(pair.verdicts.size(), 1U);
  EXPECT_EQ(pair.verdicts[0].state, wire::SteerState::kReceived);
}

TEST(Feeder, ACommandThatComesTooLateExpiresAndLeavesNoFile) {
  sim::CrashFiles files;
  RunWriter log(files, "r", 1);
  Pair pair(files);
  const wire::WatchId watch = pair.watch("r");
  pair.exchange(100ms);
  pair.viewer.steer(pair.now, steer_of(watch, 7, 0.5, WallTime{kWall.ns - 1}));
  pair.exchange(100ms);
  ASSERT_EQ(pair.verdicts.size(), 1U);
  EXPECT_EQ(pair.verdicts[0].state, wire::SteerState::kExpired);
  EXPECT_FALSE(is_put_down(files));
}

TEST(Feeder, ACommandThatDoesNotFitOnTheDiskIsRefusedInWords) {
  sim::CrashFiles files;
  RunWriter log(files, "r", 1);
  Pair pair(files);
  const wire::WatchId watch = pair.watch("r");
  pair.exchange(100ms);
  files.set_free_bytes(0);
  pair.viewer.steer(pair.now, steer_of(watch, 7, 0.5));
  pair.exchange(100ms);
  ASSERT_EQ(pair.verdicts.size(), 1U);
  EXPECT_EQ(pair.verdicts[0].state, wire::SteerState::kRefused);
  EXPECT_FALSE(std::string_view(pair.verdicts[0].text).empty());
  files.set_free_bytes(1U << 30);  // the same one once more, with room
  pair.viewer.steer(pair.now, steer_of(watch, 7, 0.5));
  pair.exchange(100ms);
  ASSERT_EQ(pair.verdicts.size(), 2U);
  EXPECT_EQ(pair.verdicts[1].state, wire::SteerState::kReceived);
  EXPECT_TRUE(is_put_down(files));
}

TEST(Feeder, TwoLaptopsThatSteerOneRunBothSeeBoth) {
  sim::CrashFiles files;
  RunWriter log(files, "r", 1);
  Pair ana(files, "ana"), ben(files, "ben");
  run::ControlBook book;
  const auto pass = [&] {
    for (std::uint64_t step = 1; step <= 10; ++step) {
      log.obey(files, book, kWall, step);
      log.step(step);
      ana.exchange(100ms);
      ben.exchange(100ms);
    }
  };
  const wire::WatchId of_ana = ana.watch("r"), of_ben = ben.watch("r");
  pass();
  ana.viewer.steer(ana.now, steer_of(of_ana, 7, 0.5));
  ben.viewer.steer(ben.now, steer_of(of_ben, 8, 0.25));
  pass();
  for (Pair* laptop : {&ana, &ben}) {
    std::vector<std::string> seen;
    for (const auto& [at, mark] : laptop->model.marks())
      seen.push_back(mark.event.who + " " + mark.event.text);
    std::sort(seen.begin(), seen.end());
    EXPECT_EQ(seen, (std::vector<std::string>{"ana lr=0.5", "ben lr=0.25"}));
    // And of the verdicts each its own.
    ASSERT_EQ(laptop->verdicts.size(), 2U);
    EXPECT_EQ(laptop->verdicts[1].state, wire::SteerState::kApplied);
    EXPECT_EQ(laptop->verdicts[1].id.value, laptop == &ana ? 7U : 8U);
  }
}

TEST(Feeder, TwoLaptopsThatSteerOneRunThroughAnOutageBothSeeBothOnce) {
  sim::CrashFiles files;
  std::uint32_t attempt = 1;
  auto log = std::make_unique<RunWriter>(files, "r", attempt);
  Pair ana(files, "ana"), ben(files, "ben");
  run::ControlBook book;
  std::uint64_t step = 0;
  const auto pass = [&](std::vector<Pair*> linked) {
    for (int i = 0; i < 10; ++i) {
      log->obey(files, book, kWall, ++step);
      log->step(step);
      for (Pair* laptop : linked) laptop->exchange(100ms);
    }
  };
  const wire::WatchId of_ana = ana.watch("r"), of_ben = ben.watch("r");
  pass({&ana, &ben});
  // Ben has no link; both set the same thing; the run is killed and goes on from its log.
  ben.viewer.steer(ben.now, steer_of(of_ben, 8, 0.25));
  ana.viewer.steer(ana.now, steer_of(of_ana, 7, 0.5));
  pass({&ana});
  ASSERT_EQ(ana.verdicts.size(), 2U);
  EXPECT_EQ(ana.verdicts[1].state, wire::SteerState::kApplied);
  EXPECT_TRUE(ben.verdicts.empty());
  book = run::ControlBook();
  run::RunEvent applied;
  applied.kind = run::EventKind::kApplied;
  applied.id = 7;
  applied.text = "lr=0.5";
  book.on_event(applied);
  log = std::make_unique<RunWriter>(files, "r", ++attempt, "{}", WallTime{2'000'000'000});
  pass({&ana});
  EXPECT_EQ(book.in_force().at("lr").value, 0.5);
  pass({&ana, &ben});
  for (Pair* laptop : {&ana, &ben}) {
    laptop->exchange(2s);
    std::vector<std::string> seen;  // in the order in which they took effect
    for (const auto& [at, mark] : laptop->model.marks())
      seen.push_back(mark.event.who + " " + mark.event.text);
    EXPECT_EQ(seen, (std::vector<std::string>{"ana lr=0.5", "ben lr=0.25"}));
    ASSERT_EQ(laptop->verdicts.size(), 2U);
    EXPECT_EQ(laptop->verdicts[1].state, wire::SteerState::kApplied);
    EXPECT_EQ(laptop->verdicts[1].id.value, laptop == &ana ? 7U : 8U);
    EXPECT_TRUE(laptop->model.complete());
    EXPECT_EQ(laptop->model.attempts().at(1).next, ana.model.attempts().at(1).next);
  }
  EXPECT_EQ(book.in_force().at("lr").value, 0.25) << "the later one";
}

// The backfill lane crosses several connections: a later stretch may come first.
TEST(Viewer, TakesHistoryInItsOrderWhateverOrderItComesIn) {
  sim::CrashFiles files;
  RunWriter log(files, "r", 1);
  log.name(0, "loss");
  Pair pair(files);
  pair.watch("r");
  pair.exchange(1s);
  for (std::uint64_t step = 0; step < 300'000; ++step) log.step(step);
  pair.exchange(2s, session::Lane::kBackfill);
  ASSERT_GE(pair.kept.size(), 4U);
  const std::size_t before = pair.stretches;
  for (auto at = pair.kept.rbegin(); at + 1 != pair.kept.rend(); ++at) {
    pair.tell(pair.viewer, *at);
    pair.hear();
    EXPECT_EQ(pair.stretches, before);  // the first is still on its way
  }
  pair.tell(pair.viewer, pair.kept.front());
  pair.hear();
  EXPECT_EQ(pair.stretches, before + pair.kept.size());
  EXPECT_EQ(pair.model.series().at("loss").points, 300'000U);
  EXPECT_EQ(pair.model.attempts().at(1).lost, 0U);
  EXPECT_TRUE(pair.broken.empty());
}

// Each would be remembered for as long as the run is watched.
TEST(Viewer, ASiteCannotNameAttemptsWithoutEnd) {
  sim::CrashFiles files;
  const auto kind_of = [&files](auto message, std::uint32_t first) -> std::optional<Kind> {
    Pair pair(files);
    message.watch = pair.watch("r");
    for (message.attempt = first; message.attempt - first < 200'000 && pair.broken.empty();
         ++message.attempt) {
      pair.viewer.on_message(pair.now, session::Lane::kDemand,
                             Slice::copy_of(wire::encode(wire::FeedMessage(message))));
      while (auto event = pair.viewer.poll_event())
        if (auto* one = std::get_if<FeedBroken>(&*event)) pair.broken.push_back(one->why);
    }
    return pair.broken.empty() ? std::nullopt : std::optional(pair.broken[0].kind());
  };
  EXPECT_EQ(kind_of(wire::News(), 1), Kind::kLimit);
  EXPECT_EQ(kind_of(wire::Live(), 1), Kind::kLimit);
  EXPECT_EQ(kind_of(wire::History(), 1), Kind::kLimit);
  EXPECT_EQ(kind_of(wire::News(), kAttemptsMax + 1), Kind::kMalformed);
}

// Newest values are told of the first 8,192; the history has all.
TEST(Feeder, AHundredThousandSeriesCome) {
  constexpr std::uint32_t kMany = 100'000, kOfAFrame = 10'000;
  sim::CrashFiles files;
  RunWriter log(files, "r", 1);
  for (std::uint32_t i = 0; i < kMany; ++i) log.name(i, "layer/" + std::to_string(i));
  Pair pair(files);
  pair.watch("r");
  pair.exchange(1s);
  for (std::uint64_t step = 1; step <= 2; ++step) {
    for (std::uint32_t first = 0; first < kMany; first += kOfAFrame) {
      run::Points points;
      for (std::uint32_t i = first; i < first + kOfAFrame; ++i)
        points.points.push_back({run::SeriesId(i), step, kWall, static_cast<double>(i)});
      log.frame(points);
    }
    pair.exchange(2s);
  }
  ASSERT_TRUE(pair.broken.empty());
  ASSERT_EQ(pair.model.series().size(), kMany);
  for (const auto& [name, view] : pair.model.series()) ASSERT_EQ(view.points, 2U) << name;
  EXPECT_EQ(pair.model.live_step(), 2U);
  EXPECT_TRUE(pair.model.complete());
}

}  // namespace
}  // namespace longhaul::feed
