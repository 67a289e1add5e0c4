#include "lib/run/ring.hpp"

#include <gtest/gtest.h>

#include <map>
#include <thread>

#include "tests/run/memory.hpp"

namespace longhaul::run {
namespace {

Point point(std::uint32_t series, std::uint64_t step, double value) {
  return {SeriesId(series), step, WallTime{static_cast<std::int64_t>(step) * 1000}, value};
}

TEST(Ring, GivesBackWhatWasPushedInOrder) {
  Memory memory(ring_bytes(64));
  RingProducer producer(memory.bytes(), 64);
  RingConsumer consumer(memory.bytes(), 64);
  std::vector<Point> in, out;
  for (std::uint64_t step = 0; step < 1000; ++step) {
    in.push_back(
        point(static_cast<std::uint32_t>(step % 7), step, 0.5 * static_cast<double>(step)));
    producer.push(in.back());
    if (step % 50 == 49) {
      consumer.take(1000, out);
      consumer.let_go();
    }
  }
  EXPECT_EQ(in, out);
  EXPECT_EQ(consumer.dropped(), 0U);
}

TEST(Ring, TurnsAwayWhatDoesNotFitAndKeepsTheNewestOfEachSeries) {
  Memory memory(ring_bytes(8));
  RingProducer producer(memory.bytes(), 8);
  RingConsumer consumer(memory.bytes(), 8);
  for (std::uint64_t step = 0; step < 20; ++step)
    for (std::uint32_t series = 0; series < 3; ++series)
      producer.push(point(series, step, static_cast<double>(step * 10 + series)));
  std::vector<Point> out;
  EXPECT_EQ(consumer.take(100, out), 8U);
  EXPECT_EQ(consumer.dropped(), 52U);
  out.clear();
  std::vector<KeptMark> marks;
  consumer.take_kept(out, marks);
  ASSERT_EQ(out.size(), 3U);
  for (const Point& kept : out) {
    EXPECT_EQ(kept.step, 19U);
    EXPECT_EQ(kept.value, 190.0 + kept.series.value());
  }
  out.clear();
  consumer.take_kept(out, marks);
  EXPECT_TRUE(out.empty()) << "a kept point is told once";
}

TEST(Ring, NothingIsOverwrittenBeforeItIsLetGo) {
  Memory memory(ring_bytes(8));
  RingProducer producer(memory.bytes(), 8);
  RingConsumer consumer(memory.bytes(), 8);
  for (std::uint64_t step = 0; step < 8; ++step) producer.push(point(0, step, 1));
  std::vector<Point> out;
  consumer.take(8, out);
  producer.push(point(0, 8, 1));  // taken is not let go
  EXPECT_EQ(consumer.dropped(), 1U);
  consumer.let_go();
  producer.push(point(0, 9, 1));
  EXPECT_EQ(consumer.dropped(), 1U);
  // A later consumer that knows of nothing finds what was not let go.
  RingConsumer second(memory.bytes(), 8);
  out.clear();
  second.take(8, out);
  ASSERT_EQ(out.size(), 1U);
  EXPECT_EQ(out[0].step, 9U);
}

TEST(Ring, ALaterConsumerGoesOnWhereTheLogSays) {
  Memory memory(ring_bytes(8));
  RingProducer producer(memory.bytes(), 8);
  for (std::uint64_t step = 0; step < 6; ++step) producer.push(point(0, step, 1));
  RingConsumer consumer(memory.bytes(), 8);
  EXPECT_TRUE(consumer.resume_at(4));  // taken and logged, but its let_go() was lost
  std::vector<Point> out;
  consumer.take(8, out);
  ASSERT_EQ(out.size(), 2U);
  EXPECT_EQ(out[0].step, 4U);
  EXPECT_FALSE(consumer.resume_at(7)) << "never pushed";
}

TEST(Ring, ABrokenConsumersMemoryCannotLeadTheProducerAstray) {
  Memory memory(ring_bytes(8));
  RingProducer producer(memory.bytes(), 8);
  auto* head = reinterpret_cast<layout::RingHead*>(memory.bytes().data());
  head->consumer.tail.store(1'000'000);  // more than was ever pushed
  for (std::uint64_t step = 0; step < 100; ++step) producer.push(point(0, step, 1));
  EXPECT_EQ(head->producer.head.load(), 8U);
  EXPECT_EQ(head->producer.dropped.load(), 92U);
  RingConsumer consumer(memory.bytes(), 8);
  std::vector<Point> out;
  EXPECT_EQ(consumer.take(100, out), 0U) << "a tail before the head is not believed";
}

TEST(Ring, TwoThreadsLoseNothingButWhatIsCounted) {
  constexpr std::uint64_t kPoints = 200'000;
  Memory memory(ring_bytes(256));
  std::vector<Point> out, kept;
  std::vector<KeptMark> marks;
  std::atomic<bool> done{false};
  RingConsumer consumer(memory.bytes(), 256);
  std::thread training([&] {
    RingProducer producer(memory.bytes(), 256);
    for (std::uint64_t step = 0; step < kPoints; ++step)
      producer.push(point(static_cast<std::uint32_t>(step % 5), step, static_cast<double>(step)));
    done = true;
  });
  for (bool last = false; !last;) {
    last = done;
    consumer.take(64, out);
    while (last && consumer.take(64, out) > 0) {
    }
    consumer.let_go();
    consumer.take_kept(kept, marks);
  }
  training.join();
  EXPECT_EQ(out.size() + consumer.dropped(), kPoints);
  for (std::size_t i = 1; i < out.size(); ++i) ASSERT_LT(out[i - 1].step, out[i].step);
  for (const Point& p : kept) EXPECT_EQ(p.value, static_cast<double>(p.step)) << "torn";
  std::map<std::uint32_t, std::uint64_t> newest;
  for (const auto* points : {&out, &kept})
    for (const Point& p : *points)
      newest[p.series.value()] = std::max(newest[p.series.value()], p.step);
  for (const auto& [series, step] : newest) EXPECT_GE(step, kPoints - 5) << series;
}

}  // namespace
}  // namespace longhaul::run
