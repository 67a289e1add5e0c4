// Which checkpoints a run says it has, and where.
#include "lib/checkpoint/announced.hpp"

#include <gtest/gtest.h>

#include "tests/feed/run_writer.hpp"
#include "tests/sim/crash_files.hpp"

namespace longhaul::test {
namespace {

using checkpoint::Announced;
using checkpoint::AnnouncedReader;
using store::TreeName;

const TreeName kRun = TreeName::known("runs/r");

std::vector<std::pair<std::uint32_t, std::uint64_t>> read(store::Files& files,
                                                          std::uint64_t portion = 1U << 30) {
  AnnouncedReader reader(files, kRun);
  for (;;) {
    const auto progress = reader.step(portion);
    EXPECT_TRUE(progress) << progress.error().message();
    if (!progress || *progress == AnnouncedReader::Progress::kDone) break;
  }
  std::vector<std::pair<std::uint32_t, std::uint64_t>> out;
  for (const Announced& one : reader.take()) out.emplace_back(one.attempt, one.step);
  return out;
}

TEST(Announced, OneOfEachStepTheNewestInOrderOfAnnouncement) {
  sim::CrashFiles disk;
  RunWriter first(disk, "r", 1);
  for (const std::uint64_t step : {100U, 200U, 300U}) {
    first.step(step);
    first.event(run::EventKind::kCheckpoint, step, 0, "c");
    first.event(run::EventKind::kMark, step, 0, "no checkpoint");
  }
  RunWriter second(disk, "r", 2);  // it resumed from 100
  second.event(run::EventKind::kResumed, 100, 0, "c");
  second.event(run::EventKind::kCheckpoint, 200, 0, "c");
  const std::vector<std::pair<std::uint32_t, std::uint64_t>> expected{{1, 100}, {1, 300}, {2, 200}};
  EXPECT_EQ(read(disk), expected);
  EXPECT_EQ(read(disk, 1), expected);  // in the smallest portions
}

TEST(Announced, ATornOrRottenLogTellsWhatItHolds) {
  sim::CrashFiles disk;
  RunWriter log(disk, "r", 1);
  log.event(run::EventKind::kCheckpoint, 1, 0, "c");
  log.append(bytes_of("rot rot rot rot rot rot rot"));
  log.event(run::EventKind::kCheckpoint, 2, 0, "c");
  run::LogEncoder other(log.next());
  const ByteVector torn =
      other.frame(run::RunEvent{run::EventKind::kCheckpoint, 3, {}, 0, {}, "c"});
  log.append(Bytes(torn).first(torn.size() - 1));
  EXPECT_EQ(read(disk), (std::vector<std::pair<std::uint32_t, std::uint64_t>>{{1, 1}, {1, 2}}));
}

TEST(Announced, NoRunIsNotFound) {
  sim::CrashFiles disk;
  AnnouncedReader reader(disk, kRun);
  const auto progress = reader.step(1);
  ASSERT_FALSE(progress);
  EXPECT_EQ(progress.error().kind(), Kind::kNotFound);
}

TEST(Announced, AFolderIsFoundByTheLongestEndOfItsPathBelowTheRun) {
  sim::CrashFiles disk;
  for (const char* name : {"runs/r/checkpoints/step-1", "runs/r/step-1", "runs/other/step-1"})
    ASSERT_TRUE(store::make_folders(disk, TreeName::known(name)));
  const auto found = [&](std::string_view path) {
    const auto folder = checkpoint::find_announced(disk, kRun, path);
    return folder ? folder->text() : std::string("nowhere");
  };
  for (const char* path : {"/data/root/runs/r/checkpoints/step-1", "checkpoints/step-1",
                           "runs/r/checkpoints/step-1/", "./checkpoints/step-1"})
    EXPECT_EQ(found(path), "runs/r/checkpoints/step-1") << path;
  EXPECT_EQ(found("/elsewhere/step-1"), "runs/r/step-1");
  EXPECT_EQ(found("../other/step-1"), "runs/r/step-1");  // never out of the run
  for (const char* path : {"", "/", "step-2", "..", ".", "../other", "a/../../other"})
    EXPECT_EQ(found(path), "nowhere") << path;
  EXPECT_EQ(found(std::string(60'000, 'a')), "nowhere");
  EXPECT_EQ(found(std::string(60'000, '/')), "nowhere");
  ASSERT_TRUE(disk.make_link("../other/step-1", TreeName::known("runs/r/step-3")));
  EXPECT_EQ(found("step-3"), "nowhere");
}

}  // namespace
}  // namespace longhaul::test
