#include "lib/run/drain.hpp"

#include <gtest/gtest.h>

#include <map>

#include "lib/base/rng.hpp"
#include "tests/run/memory.hpp"

namespace longhaul::run {
namespace {

constexpr SharedLogOptions kSmall{.attempt = 3, .process = 99, .rings = 3, .ring_records = 64};

struct Read {
  std::vector<Point> points;
  std::map<std::uint32_t, std::string> names;
  std::uint64_t dropped = 0;
  std::uint64_t next = 0, whole = 0;
  Drained drained;
};
Read read(Bytes file) {
  Read out;
  LogDecoder decoder;
  decoder.feed(file);
  while (auto entry = decoder.next()) {
    out.drained.on_entry(*entry);
    if (auto* points = std::get_if<Points>(&entry->record)) {
      for (const Point& p : points->points) {
        EXPECT_TRUE(out.names.contains(p.series.value())) << "a point before its name";
        out.points.push_back(p);
      }
    }
    if (auto* name = std::get_if<NameSeries>(&entry->record))
      out.names[name->id.value()] = name->name;
    if (auto* drops = std::get_if<Drops>(&entry->record)) out.dropped = drops->points;
  }
  out.next = decoder.next_number();
  out.whole = decoder.whole_bytes();
  return out;
}

void drain_all(Drain& drain, ByteVector& file) {
  while (auto frame = drain.next_frame()) {
    drain.check();
    append(file, *frame);
    drain.written();
    drain.check();
  }
}

TEST(Drain, WritesNamesThenPointsOfAllThreadsInStepOrder) {
  Memory memory(SharedLog::bytes(kSmall));
  SharedLog shared = SharedLog::create(memory.bytes(), kSmall);
  const SeriesId loss = shared.add_series("loss"), speed = shared.add_series("speed");
  auto a = shared.claim_ring(), b = shared.claim_ring();
  ASSERT_TRUE(a && b);
  for (std::uint64_t step = 0; step < 20; ++step) {
    a->push({loss, step, WallTime{}, 1.0});
    b->push({speed, step, WallTime{}, 2.0});
  }
  Drain drain(shared, LogEncoder());
  ByteVector file;
  drain_all(drain, file);
  const Read log = read(file);
  EXPECT_EQ(log.names.at(0), "loss");
  EXPECT_EQ(log.names.at(1), "speed");
  ASSERT_EQ(log.points.size(), 40U);
  for (std::size_t i = 1; i < log.points.size(); ++i)
    EXPECT_LE(log.points[i - 1].step, log.points[i].step);
  EXPECT_EQ(log.dropped, 0U);
}

// P7: what push() took in is in the log exactly once, though the drainer is killed between any two
// of its actions, again and again.
TEST(Drain, P7KillingTheDrainerAnywhereLosesAndDoublesNothing) {
  Memory memory(SharedLog::bytes(kSmall));
  for (std::uint64_t seed = 0; seed < 100; ++seed) {
    Rng rng(seed, "drain");
    std::fill(memory.bytes().begin(), memory.bytes().end(), std::byte{0});
    SharedLog shared = SharedLog::create(memory.bytes(), kSmall);
    std::vector<RingProducer> producers;
    std::map<std::pair<std::uint32_t, std::uint64_t>, int> pushed;  // (series, step)
    ByteVector file;
    std::uint64_t step = 0;
    for (int life = 0; life < 12; ++life) {
      const Read log = read(file);
      file.resize(log.whole);  // a torn tail is cut, as a writer does
      SharedLog again = SharedLog::open(memory.bytes()).value();
      Drain drain(again, LogEncoder(log.next), log.drained);
      for (int action = 0, actions = static_cast<int>(rng.below(12)); action < actions; ++action) {
        if (rng.chance(0.3)) shared.add_series("s" + std::to_string(shared.series_count()));
        if (producers.size() < 3 && rng.chance(0.3)) producers.push_back(*shared.claim_ring());
        for (RingProducer& producer : producers) {
          if (shared.series_count() == 0) continue;
          for (std::uint64_t n = rng.below(20); n > 0; --n) {
            const SeriesId series(static_cast<std::uint32_t>(rng.below(shared.series_count())));
            producer.push({series, ++step, WallTime{}, 1.0});
            pushed[{series.value(), step}] = 1;
          }
        }
        auto frame = drain.next_frame();
        if (!frame) continue;
        if (rng.chance(0.1)) {  // killed in mid-write
          append(file, Bytes(*frame).first(rng.below(frame->size())));
          break;
        }
        append(file, *frame);
        if (rng.chance(0.1)) break;  // killed between the write and letting go
        drain.written();
      }
    }
    const Read before = read(file);
    file.resize(before.whole);
    Drain last(shared, LogEncoder(before.next), before.drained);
    drain_all(last, file);
    const Read log = read(file);
    std::map<std::pair<std::uint32_t, std::uint64_t>, int> logged;
    for (const Point& p : log.points) ++logged[{p.series.value(), p.step}];
    for (const auto& [key, times] : logged) {
      ASSERT_EQ(times, 1) << "seed " << seed;
      ASSERT_TRUE(pushed.contains(key));
    }
    // What is missing was turned away by a full ring and counted; the kept newest are extra.
    ASSERT_LE(pushed.size() - logged.size(), log.dropped) << "seed " << seed;
    ASSERT_GE(logged.size() + log.dropped, pushed.size()) << "seed " << seed;
    if (log.dropped == 0) {
      ASSERT_EQ(logged.size(), pushed.size()) << "seed " << seed;
    }
  }
}

TEST(Drain, CountsDropsAndShowsTheNewest) {
  Memory memory(SharedLog::bytes(kSmall));
  SharedLog shared = SharedLog::create(memory.bytes(), kSmall);
  const SeriesId loss = shared.add_series("loss");
  auto producer = shared.claim_ring();
  for (std::uint64_t step = 0; step < 1000; ++step)
    producer->push({loss, step, WallTime{}, static_cast<double>(step)});
  Drain drain(shared, LogEncoder());
  ByteVector file;
  drain_all(drain, file);
  const Read log = read(file);
  EXPECT_EQ(log.dropped, 1000U - 64U);
  ASSERT_EQ(log.points.size(), 65U);
  EXPECT_EQ(log.points.back().step, 999U);
}

TEST(SharedLog, RefusesWhatIsNotOne) {
  Memory memory(SharedLog::bytes(kSmall));
  EXPECT_FALSE(SharedLog::open(memory.bytes()).has_value()) << "all zero";
  EXPECT_FALSE(SharedLog::open(memory.bytes().first(100)).has_value());
  SharedLog::create(memory.bytes(), kSmall);
  EXPECT_TRUE(SharedLog::open(memory.bytes()).has_value());
  EXPECT_FALSE(SharedLog::open(memory.bytes().first(memory.bytes().size() - 64)).has_value());
}

TEST(SharedLog, SaysInItsHeadWhoseItIs) {
  SharedLogOptions options = kSmall;
  options.began = WallTime{1'800'000'000'000'000'000};
  options.folder = "/scratch/ana/runs/first\n\xff";
  Memory memory(SharedLog::bytes(options));
  EXPECT_FALSE(SharedLog::read_head(memory.bytes()).has_value()) << "all zero";
  SharedLog::create(memory.bytes(), options);
  const auto head = SharedLog::read_head(memory.bytes().first(SharedLog::kHeadBytes));
  ASSERT_TRUE(head.has_value());
  EXPECT_EQ(head->attempt, 3U);
  EXPECT_EQ(head->process, 99U);
  EXPECT_EQ(head->began, options.began);
  EXPECT_EQ(head->folder, options.folder);
  EXPECT_FALSE(SharedLog::read_head(memory.bytes().first(SharedLog::kHeadBytes - 1)).has_value());
  const std::string longest(kSharedFolderMax, 'a'), longer(kSharedFolderMax + 1, 'a');
  for (const std::string& folder : {longest, longer}) {
    options.folder = folder;
    Memory other(SharedLog::bytes(options));
    SharedLog::create(other.bytes(), options);
    const auto told = SharedLog::read_head(other.bytes())->folder;
    EXPECT_EQ(told, folder == longest ? longest : "");
  }
}

TEST(SharedLog, BoundsNamesAndRings) {
  Memory memory(SharedLog::bytes(kSmall));
  SharedLog shared = SharedLog::create(memory.bytes(), kSmall);
  EXPECT_EQ(shared.add_series(""), kNoSeries);
  EXPECT_EQ(shared.add_series(std::string(kSeriesNameMax + 1, 'a')), kNoSeries);
  const std::string odd = "loss\n\x1b[2J/\xff";
  EXPECT_EQ(shared.series_name(shared.add_series(odd)), odd);
  for (int i = 0; i < 3; ++i) EXPECT_TRUE(shared.claim_ring().has_value());
  EXPECT_FALSE(shared.claim_ring().has_value());
  while (shared.add_series("x") != kNoSeries) {
  }
  EXPECT_EQ(shared.series_count(), kSeriesMax);
}

}  // namespace
}  // namespace longhaul::run
