// What the feed keeps on the laptop.
#include "lib/feed/mirror.hpp"

#include <gtest/gtest.h>

#include "lib/base/rng.hpp"
#include "lib/feed/history.hpp"
#include "tests/feed/read_all.hpp"
#include "tests/feed/run_writer.hpp"
#include "tests/sim/crash_files.hpp"

namespace longhaul::feed {
namespace {

using test::RunWriter;

std::unique_ptr<Mirror> open_mirror(store::Files& files) {
  return *Mirror::open(files, store::TreeName::known("mirror"));
}
std::vector<wire::History> rest_of(Mirror& mirror) {
  std::vector<wire::History> all;
  while (auto one = mirror.next().value()) all.push_back(*one);
  return all;
}

TEST(Mirror, KeepsWhatCameAndSaysHowFarItIs) {
  sim::CrashFiles site, laptop;
  RunWriter log(site, "r", 1);
  for (std::uint64_t step = 0; step < 80'000; ++step) log.step(step);
  const auto all = read_all(site, "r", {1, 0, 0});
  {
    const auto mirror = open_mirror(laptop);
    EXPECT_TRUE(rest_of(*mirror).empty());
    for (const auto& one : all) ASSERT_TRUE(mirror->append(one).has_value());
  }
  const auto mirror = open_mirror(laptop);
  const auto kept = rest_of(*mirror);
  ASSERT_EQ(kept.size(), all.size());
  EXPECT_EQ(points_of(kept), points_of(all));
  ASSERT_EQ(mirror->have().size(), 1U);
  EXPECT_EQ(mirror->have()[0].next, log.next());
  EXPECT_EQ(mirror->have()[0].offset, log.bytes());
  EXPECT_EQ(mirror->append(all[0]).error().kind(), Kind::kIntegrity);  // twice
  wire::History far = all.back();
  far.after = far.first = log.next() + 1;  // one record is missing between
  far.next = far.first + 1;
  EXPECT_EQ(mirror->append(far).error().kind(), Kind::kIntegrity);
}

TEST(Mirror, ASiteCannotNameAttemptsWithoutEnd) {
  sim::CrashFiles laptop;
  const auto mirror = open_mirror(laptop);
  EXPECT_TRUE(rest_of(*mirror).empty());
  wire::History history;
  Result<> kept;
  for (history.attempt = 1; history.attempt < 200'000 && kept; ++history.attempt)
    kept = mirror->append(history);
  ASSERT_FALSE(kept.has_value());
  EXPECT_EQ(kept.error().kind(), Kind::kLimit);
  EXPECT_EQ(mirror->have().size(), kAttemptsHeldMax);
  history.attempt = 7;  // those that are here go on
  EXPECT_TRUE(mirror->append(history).has_value());
}

TEST(Mirror, IsCutAnywhereAndGoesOn) {
  sim::CrashFiles site;
  RunWriter log(site, "r", 1);
  std::vector<wire::History> all;
  for (std::uint64_t step = 0; step < 3; ++step) {
    log.step(step);
    const wire::LogPlace from = all.empty() ? wire::LogPlace{1, 0, 0}
                                            : wire::LogPlace{1, all.back().next, all.back().offset};
    all.push_back(read_all(site, "r", from).at(0));
  }
  std::uint64_t whole = 0;
  {
    sim::CrashFiles laptop;
    const auto mirror = open_mirror(laptop);
    (void)rest_of(*mirror);
    for (const auto& one : all) ASSERT_TRUE(mirror->append(one).has_value());
    whole = laptop.stat(store::TreeName::known("mirror/history")).value().size;
  }
  for (std::uint64_t cut = 0; cut <= whole; ++cut) {
    sim::CrashFiles laptop;
    {
      const auto mirror = open_mirror(laptop);
      (void)rest_of(*mirror);
      for (const auto& one : all) ASSERT_TRUE(mirror->append(one).has_value());
      const auto file =
          laptop.open(store::TreeName::known("mirror/history"), store::Access::kWrite).value();
      ASSERT_TRUE(file->resize(cut).has_value());
    }
    {
      const auto mirror = open_mirror(laptop);
      const std::size_t kept = rest_of(*mirror).size();
      for (std::size_t i = kept; i < all.size(); ++i)
        ASSERT_TRUE(mirror->append(all[i]).has_value()) << cut;
    }
    EXPECT_EQ(points_of(rest_of(*open_mirror(laptop))), 3U) << cut;
  }
}

TEST(Mirror, NothingOlderIsReadBehindWhatWasWrittenOverARottenFrame) {
  sim::CrashFiles site, laptop;
  RunWriter log(site, "r", 1);
  std::vector<wire::History> all;
  for (std::uint64_t step = 0; step < 5; ++step) {
    log.step(step);
    const wire::LogPlace from = all.empty() ? wire::LogPlace{1, 0, 0}
                                            : wire::LogPlace{1, all.back().next, all.back().offset};
    all.push_back(read_all(site, "r", from).at(0));
  }
  const auto name = store::TreeName::known("mirror/history");
  std::uint64_t second = 0;
  {
    const auto mirror = open_mirror(laptop);
    (void)rest_of(*mirror);
    for (const auto& one : all) {
      if (&one == &all[1]) second = laptop.stat(name)->size;
      ASSERT_TRUE(mirror->append(one).has_value());
    }
  }
  laptop.rot(name, second + 12);
  {
    const auto mirror = open_mirror(laptop);
    EXPECT_EQ(rest_of(*mirror).size(), 1U);
    ASSERT_TRUE(mirror->append(all[1]).has_value());  // and then it was killed
  }
  const auto mirror = open_mirror(laptop);
  EXPECT_EQ(rest_of(*mirror).size(), 2U);
  ASSERT_EQ(mirror->have().size(), 1U);
  EXPECT_EQ(mirror->have()[0].next, all[1].next);
}

TEST(Mirror, OneProcessAppendsOthersRead) {
  sim::CrashFiles site, laptop;
  RunWriter log(site, "r", 1);
  log.step(0);
  const auto all = read_all(site, "r", {1, 0, 0});
  const auto first = open_mirror(laptop);
  (void)rest_of(*first);
  ASSERT_TRUE(first->append(all.at(0)).has_value());
  const auto second = open_mirror(laptop);
  EXPECT_FALSE(second->appends());
  EXPECT_EQ(rest_of(*second).size(), 1U);
}

TEST(Mirror, AFullDiskStopsItAndNothingWrongIsLeft) {
  sim::CrashFiles site, laptop;
  RunWriter log(site, "r", 1);
  log.step(0);
  const auto all = read_all(site, "r", {1, 0, 0});
  {
    const auto mirror = open_mirror(laptop);
    (void)rest_of(*mirror);
    laptop.set_free_bytes(5);
    EXPECT_FALSE(mirror->append(all.at(0)).has_value());
    EXPECT_FALSE(mirror->appends());
  }
  laptop.set_free_bytes(1U << 30);
  const auto mirror = open_mirror(laptop);
  EXPECT_TRUE(rest_of(*mirror).empty());
  EXPECT_TRUE(mirror->append(all.at(0)).has_value());
}

}  // namespace
}  // namespace longhaul::feed
