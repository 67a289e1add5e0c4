// What the feed reads of a run's log, without a session.
#include <gtest/gtest.h>

#include "lib/base/rng.hpp"
#include "lib/feed/history.hpp"
#include "lib/feed/run_list.hpp"
#include "lib/feed/tail.hpp"
#include "tests/feed/read_all.hpp"
#include "tests/feed/run_writer.hpp"
#include "tests/sim/crash_files.hpp"

namespace longhaul::feed {
namespace {

using test::RunWriter;

TEST(RunFiles, NamesStayBelowTheRunsFolder) {
  EXPECT_EQ(folder_of("a/b").text(), "runs/a/b");
  for (const char* bad : {"", "..", "../x", "a/../../x", "/etc", "a//b", "a/b/c/d/e"})
    EXPECT_FALSE(run_folder(bad).has_value()) << bad;
}

TEST(History, HoldsEveryRecordOnceAndInOrder) {
  sim::CrashFiles files;
  RunWriter log(files, "r", 1);
  log.name(0, "loss");
  for (std::uint64_t step = 0; step < 50'000; ++step) {
    log.step(step, 2);
    if (step % 10'000 == 0) log.event(run::EventKind::kMark, step, 0, "here");
  }
  const auto all = read_all(files, "r", {1, 0, 0});
  ASSERT_GT(all.size(), 1U);
  std::uint64_t next = 0, step = 0, marks = 0;
  for (const wire::History& one : all) {
    EXPECT_EQ(one.after, next);
    EXPECT_EQ(one.first, next);
    next = one.next;
    const Unpacked unpacked = unpack_history(one).value();
    for (std::size_t i = 0; i < unpacked.points.size(); i += 2, ++step) {
      ASSERT_EQ(unpacked.points[i].step, step);
      ASSERT_EQ(unpacked.points[i + 1].value, RunWriter::value_at(1, step));
    }
    for (const auto& entry : unpacked.entries)
      marks += std::holds_alternative<run::RunEvent>(entry.record) ? 1U : 0U;
  }
  EXPECT_EQ(next, log.next());
  EXPECT_EQ(step, 50'000U);
  EXPECT_EQ(marks, 5U);
}

TEST(History, GoesOnWhereSomebodyStopped) {
  sim::CrashFiles files;
  RunWriter log(files, "r", 1);
  for (std::uint64_t step = 0; step < 40'000; ++step) log.step(step);
  const auto all = read_all(files, "r", {1, 0, 0});
  ASSERT_GT(all.size(), 1U);
  const wire::LogPlace held{1, all[0].next, all[0].offset};
  const std::uint64_t rest = log.next() - all[0].next;
  EXPECT_EQ(points_of(read_all(files, "r", held, HistoryWork::Trust::kPeers)), rest);
  // A place that is wrong, or points into the middle of a frame, costs time, not points.
  for (const std::uint64_t offset : {std::uint64_t{0}, held.offset + 3, std::uint64_t{5}}) {
    const auto found = read_all(files, "r", {1, held.next, offset}, HistoryWork::Trust::kPeers);
    ASSERT_FALSE(found.empty()) << offset;
    EXPECT_EQ(found[0].first, held.next) << offset;
    EXPECT_EQ(points_of(found), rest) << offset;
  }
}

TEST(History, ATornEndIsWaitedFor) {
  sim::CrashFiles files;
  RunWriter log(files, "r", 1);
  const ByteVector frame = log.log().frame(run::End{WallTime{}, {"done"}});
  for (std::size_t cut = 0; cut < frame.size(); ++cut) {
    HistoryWork work(files, folder_of("r"), {1, 1, log.bytes() - cut}, HistoryWork::Trust::kOurs);
    work.run();
    EXPECT_FALSE(work.message.has_value());
    log.append(Bytes(frame).subspan(cut, 1));
  }
  const auto all = read_all(files, "r", {1, 0, 0});
  ASSERT_EQ(all.size(), 1U);
  EXPECT_EQ(all[0].next, 2U);
}

TEST(History, RotIsSkippedAndSaid) {
  sim::CrashFiles files;
  RunWriter log(files, "r", 1);
  for (std::uint64_t step = 0; step < 10; ++step) log.step(step);
  const std::uint64_t before = log.bytes();
  log.step(10);
  const std::uint64_t after = log.bytes();
  for (std::uint64_t step = 11; step < 20; ++step) log.step(step);
  files.rot(log_name(folder_of("r"), 1), (before + after) / 2);
  const auto all = read_all(files, "r", {1, 0, 0});
  ASSERT_EQ(all.size(), 2U);
  EXPECT_EQ(all[1].after, all[0].next);
  EXPECT_EQ(all[1].first, all[0].next + 1);  // one point lost, and named
  EXPECT_EQ(points_of(all), 19U);
}

TEST(History, MegabytesOfRotDoNotStopIt) {
  sim::CrashFiles files;
  RunWriter log(files, "r", 1);
  log.step(0);
  log.append(ByteVector(7U << 20, std::byte{0x4c}));
  log.step(1);
  EXPECT_EQ(points_of(read_all(files, "r", {1, 0, 0})), 2U);
}

TEST(History, NumbersThatDoNotAddUpAreMalformed) {
  sim::CrashFiles files;
  RunWriter log(files, "r", 1);
  log.step(0);
  wire::History good = read_all(files, "r", {1, 0, 0}).at(0);
  EXPECT_TRUE(unpack_history(good).has_value());
  for (auto change : {+[](wire::History& h) { ++h.next; }, +[](wire::History& h) { ++h.first; },
                      +[](wire::History& h) { h.after = h.first + 1; },
                      +[](wire::History& h) { h.frames = h.frames.from(1); },
                      +[](wire::History& h) { h.segment = Slice::copy_of("x"); }}) {
    wire::History bad = good;
    change(bad);
    EXPECT_FALSE(unpack_history(bad).has_value());
  }
}

TEST(Tail, TellsTheNewestOfALogThatItDoesNotReadWhole) {
  sim::CrashFiles files;
  RunWriter log(files, "r", 1);
  log.name(0, "loss");
  for (std::uint64_t step = 0; log.bytes() < (10U << 20); ++step) log.step(step);
  log.step(1'000'000);
  Tail tail(files, folder_of("r"));
  ASSERT_TRUE(tail.read().has_value());
  EXPECT_EQ(tail.values().at(0).step, 1'000'000U);
  EXPECT_EQ(tail.recorded(), log.next());
  EXPECT_EQ(tail.offset(), log.bytes());
  const auto entries = tail.take_entries();  // the start and the name, from the beginning
  EXPECT_EQ(entries.size(), 2U);
  EXPECT_EQ(tail.take_fresh().size(), 1U);
  ASSERT_TRUE(tail.read().has_value());
  EXPECT_FALSE(tail.grew());
  log.step(1'000'001);
  ASSERT_TRUE(tail.read().has_value());
  EXPECT_TRUE(tail.grew());
  EXPECT_EQ(tail.values().at(0).step, 1'000'001U);
}

TEST(Tail, AnEndWithinOneFrameIsReadWhole) {
  sim::CrashFiles files;
  RunWriter log(files, "r", 1);
  for (std::uint64_t step = 0; log.bytes() < (10U << 20); ++step) log.step(step);
  const std::uint64_t before = log.bytes();
  log.step(1'000'000, 30'000);  // then it was killed
  ASSERT_GT(log.bytes() - before, 256U << 10);
  Tail tail(files, folder_of("r"));
  ASSERT_TRUE(tail.read().has_value());
  EXPECT_EQ(tail.recorded(), log.next());
  EXPECT_EQ(tail.values().at(0).step, 1'000'000U);
}

TEST(Tail, ANewAttemptTakesOver) {
  sim::CrashFiles files;
  RunWriter first(files, "r", 1);
  first.step(800);
  Tail tail(files, folder_of("r"));
  ASSERT_TRUE(tail.read().has_value());
  RunWriter second(files, "r", 2);
  second.step(500);
  ASSERT_TRUE(tail.read().has_value());
  EXPECT_EQ(tail.attempt(), 2U);
  EXPECT_EQ(tail.values().at(0).step, 500U);
}

TEST(Tail, TellsTheGroupsInWhichSomethingChangedAndOfTheseAllValues) {
  sim::CrashFiles files;
  RunWriter log(files, "r", 1);
  log.step(1, 3 * wire::kLiveGroupMax);
  Tail tail(files, folder_of("r"));
  ASSERT_TRUE(tail.read().has_value());
  EXPECT_EQ(tail.take_fresh().size(), 3U);
  EXPECT_TRUE(tail.take_fresh().empty());
  log.step(2, 1);
  ASSERT_TRUE(tail.read().has_value());
  const auto fresh = tail.take_fresh();
  ASSERT_EQ(fresh.size(), 1U);
  ASSERT_EQ(fresh.at(0).size(), wire::kLiveGroupMax);
  EXPECT_EQ(fresh.at(0)[0].step, 2U);
  EXPECT_EQ(fresh.at(0)[1].step, 1U);
}

TEST(Tail, SaysWhenAnAttemptBeganThatSomebodyHas) {
  sim::CrashFiles files;
  RunWriter first(files, "r", 1), second(files, "r", 2);
  Tail tail(files, folder_of("r"), 1);
  ASSERT_TRUE(tail.read().has_value());
  EXPECT_EQ(tail.attempt(), 2U);
  EXPECT_TRUE(tail.began().has_value());
  Tail none(files, folder_of("r"), 7);
  ASSERT_TRUE(none.read().has_value());
  EXPECT_FALSE(none.began().has_value());
}

TEST(Tail, ARunThatIsNotThereIsNotFound) {
  sim::CrashFiles files;
  Tail tail(files, folder_of("none"));
  EXPECT_EQ(tail.read().error().kind(), Kind::kNotFound);
}

TEST(RunList, ShowsTheNewestOfEachRun) {
  sim::CrashFiles files;
  RunWriter a(files, "a", 1, R"({"lr":1})");
  a.name(0, "speed");
  a.name(1, "train/loss");
  for (std::uint64_t step = 0; a.bytes() < (1U << 20); ++step) a.step(step, 2);
  a.step(777'777, 2);
  a.end("done");
  RunWriter b1(files, "group/b", 1);
  RunWriter b2(files, "group/b", 2);
  files.set_clock(WallTime{500'000'000'000});
  b2.step(3);
  RunListWork list(files, WallTime{510'000'000'000});
  list.run();
  ASSERT_TRUE(list.last);
  ASSERT_FALSE(list.error.has_value());
  ASSERT_EQ(list.lines.size(), 2U);
  EXPECT_EQ(list.lines[0].name, "a");
  EXPECT_EQ(list.lines[0].state, wire::RunState::kEnded);
  EXPECT_EQ(list.lines[0].last_step, 777'777U);
  EXPECT_EQ(list.lines[0].config, R"({"lr":1})");
  ASSERT_EQ(list.lines[0].values.size(), 2U);
  EXPECT_EQ(list.lines[0].values[0].series, "train/loss");
  EXPECT_EQ(list.lines[1].name, "group/b");
  EXPECT_EQ(list.lines[1].attempts, 2U);
  EXPECT_EQ(list.lines[1].state, wire::RunState::kRunning);
}

TEST(RunList, AnEndWithinOneFrameIsReadWhole) {
  sim::CrashFiles files;
  RunWriter log(files, "r", 1);
  for (std::uint64_t step = 0; log.bytes() < (1U << 20); ++step) log.step(step);
  const std::uint64_t before = log.bytes();
  log.step(777'777, 30'000);
  ASSERT_GT(log.bytes() - before, 256U << 10);
  RunListWork list(files, WallTime{});
  list.run();
  ASSERT_EQ(list.lines.size(), 1U);
  EXPECT_EQ(list.lines[0].last_step, 777'777U);
}

TEST(RunList, NoRunsIsNoError) {
  sim::CrashFiles files;
  RunListWork list(files, WallTime{});
  list.run();
  EXPECT_TRUE(list.last && list.lines.empty() && !list.error);
}

}  // namespace
}  // namespace longhaul::feed
