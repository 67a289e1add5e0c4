#include "lib/feed/run_model.hpp"

#include <gtest/gtest.h>

namespace longhaul::feed {
namespace {

Took stretch(std::uint32_t attempt, std::uint64_t first, std::vector<run::Point> points,
             std::vector<run::LogEntry> entries = {}) {
  Took took;
  took.attempt = attempt;
  took.after = took.first = first;
  took.next = first + points.size() + entries.size();
  took.points = std::move(points);
  took.entries = std::move(entries);
  return took;
}
run::Point point(std::uint64_t step, double value) {
  return {run::SeriesId(0), step, WallTime{static_cast<std::int64_t>(step)}, value};
}
run::LogEntry named(std::uint64_t number) {
  return {number, run::NameSeries{run::SeriesId(0), {"loss"}}};
}

TEST(RunModel, LiveRunsAheadOfTheCompleteHistory) {
  RunModel model;
  model.on_fresh({wire::WatchId(), 1, 500, {{0, 400, WallTime{400}, 4.0}}});
  EXPECT_TRUE(model.series().empty());  // its name is still to come
  model.on_took(stretch(1, 0, {point(0, 9.0), point(1, 8.0)}, {named(0)}));
  EXPECT_EQ(model.live_step(), 400U);
  EXPECT_EQ(model.complete_step(), 1U);
  EXPECT_EQ(model.series().at("loss").newest.value, 4.0);
  EXPECT_EQ(model.series().at("loss").curve.size(), 2U);
  EXPECT_FALSE(model.complete());
}

TEST(RunModel, ANewerAttemptDrawsOverTheStepsItRepeats) {
  RunModel model;
  model.on_took(stretch(1, 0, {point(0, 1.0), point(5, 2.0), point(8, 3.0)}, {named(0)}));
  model.on_took(stretch(2, 0, {point(5, 7.0)}, {named(0)}));
  EXPECT_EQ(model.complete_step(), 5U);
  model.on_took(stretch(1, 4, {point(9, 4.0)}));  // late: the older one no longer shows
  const auto& curve = model.series().at("loss").curve.points();
  ASSERT_EQ(curve.size(), 2U);
  EXPECT_EQ(curve[1], (run::CurvePoint{5, 7.0}));
  EXPECT_EQ(model.series().at("loss").points, 5U);
  EXPECT_EQ(model.newest_attempt(), 2U);
}

TEST(RunModel, AMarkThatIsToldTwiceIsOne) {
  RunModel model;
  run::RunEvent event;
  event.kind = run::EventKind::kApplied;
  event.step = 7;
  model.on_heard({wire::WatchId(), 1, 4, {}, {}, {{3, event}}});
  model.on_took(stretch(1, 3, {}, {{3, event}}));
  EXPECT_EQ(model.take_new_marks().size(), 1U);
  EXPECT_TRUE(model.take_new_marks().empty());
  EXPECT_EQ(model.marks().size(), 1U);
  EXPECT_TRUE(model.complete());
}

}  // namespace
}  // namespace longhaul::feed
