#include "lib/checkpoint/follow_plan.hpp"

#include <gtest/gtest.h>

namespace longhaul::test {
namespace {

using namespace std::chrono_literals;
using checkpoint::Checkpoint;
using checkpoint::FollowPlan;
using checkpoint::Form;
using checkpoint::Held;
using checkpoint::Wanted;

constexpr Time kNow = Time{} + 1h;
WallTime wall(Duration span) {
  return WallTime{1'000'000'000'000'000'000 + span.count()};
}
Wanted weights(std::uint32_t attempt, std::uint64_t step) {
  return {{attempt, step}, Form::kWeights};
}
Wanted full(std::uint32_t attempt, std::uint64_t step) {
  return {{attempt, step}, Form::kFull};
}

TEST(FollowPlan, FetchesTheNewestOnlyAndOnce) {
  FollowPlan plan({"s/r"}, {});
  EXPECT_EQ(plan.next(kNow, wall(0s)), std::nullopt);
  plan.on_listed({{1, 100}, {1, 300}, {2, 200}});
  EXPECT_EQ(plan.next(kNow, wall(0s)), weights(2, 200));  // the newer attempt's
  plan.on_announced({2, 400});
  EXPECT_EQ(plan.next(kNow, wall(0s)), weights(2, 400));
  plan.on_done(weights(2, 400), wall(0s));
  EXPECT_EQ(plan.next(kNow, wall(0s)), std::nullopt);
}

TEST(FollowPlan, KnowsWhatIsHomeOfThisRunAlone) {
  const Held mine{"s/r", weights(1, 100), {}, wall(0s)},
      others{"s/q", weights(1, 200), {}, wall(0s)};
  FollowPlan plan({"s/r"}, {mine, others});
  plan.on_listed({{1, 100}});
  EXPECT_EQ(plan.next(kNow, wall(0s)), std::nullopt);
  plan.on_announced({1, 200});
  EXPECT_EQ(plan.next(kNow, wall(0s)), weights(1, 200));
}

TEST(FollowPlan, FetchesAStepAgainThatIsAnnouncedAgain) {
  const Wanted first{{1, 100, wall(0s)}, Form::kWeights}, again{{1, 100, wall(9s)}, Form::kWeights};
  FollowPlan plan({"s/r"}, {{"s/r", first, {}, wall(1s)}});
  plan.on_listed({first.checkpoint});
  EXPECT_EQ(plan.next(kNow, wall(2s)), std::nullopt);
  plan.on_announced(again.checkpoint);
  EXPECT_EQ(plan.next(kNow, wall(9s)), again);
  plan.on_announced(first.checkpoint);  // told once more, of the history
  EXPECT_EQ(plan.next(kNow, wall(9s)), again);
  plan.on_done(again, wall(10s));
  EXPECT_EQ(plan.next(kNow, wall(10s)), std::nullopt);
}

TEST(FollowPlan, FetchesTheFirstOfARunBegunAnewUnderItsName) {
  const Wanted before{{2, 5000, wall(0s)}, Form::kWeights},
      same{{1, 100, wall(0s)}, Form::kWeights};
  FollowPlan plan({"s/r"}, {{"s/r", before, {}, wall(1s)}, {"s/r", same, {}, wall(1s)}});
  plan.on_listed({{1, 100, wall(60s)}});
  EXPECT_EQ(plan.next(kNow, wall(61s)), (Wanted{{1, 100, wall(60s)}, Form::kWeights}));
}

TEST(FollowPlan, TakesANoteWithoutATimeForOneThatHasIt) {
  FollowPlan plan({"s/r"}, {{"s/r", weights(1, 100), {}, wall(1s)}});
  plan.on_listed({{1, 100, wall(0s)}});
  EXPECT_EQ(plan.next(kNow, wall(2s)), std::nullopt);
}

TEST(FollowPlan, OneThatWentIsPassedOverAndOneThatFailedWaits) {
  FollowPlan plan({"s/r"}, {});
  plan.on_listed({{1, 100}, {1, 200}});
  plan.on_failed(weights(1, 200), Kind::kNotFound, kNow);
  EXPECT_EQ(plan.next(kNow, wall(0s)), weights(1, 100));
  plan.on_failed(weights(1, 100), Kind::kNoSpace, kNow);
  EXPECT_EQ(plan.next(kNow + 29s, wall(29s)), std::nullopt);
  EXPECT_EQ(plan.next(kNow + 30s, wall(30s)), weights(1, 100));
  plan.on_failed(weights(1, 100), Kind::kLink, kNow + 30s);
  EXPECT_EQ(plan.next(kNow + 30s, wall(30s)), weights(1, 100));  // the link says when
}

TEST(FollowPlan, EndsWhatWasBegunThoughThereAreNewerOnes) {
  FollowPlan plan({"s/r"}, {});
  plan.on_listed({{1, 100}});
  plan.on_failed(weights(1, 100), Kind::kLink, kNow);
  plan.on_listed({{1, 100}, {1, 200}});
  EXPECT_EQ(plan.begun(), std::vector<Wanted>{weights(1, 100)}) << "its staging stays";
  EXPECT_EQ(plan.next(kNow, wall(0s)), weights(1, 100));
  plan.on_done(weights(1, 100), wall(0s));
  EXPECT_EQ(plan.next(kNow, wall(0s)), weights(1, 200));
  plan.on_failed(weights(1, 200), Kind::kLink, kNow);
  plan.on_listed({{1, 300}});  // the one that was begun is gone
  EXPECT_EQ(plan.next(kNow, wall(0s)), weights(1, 300));
}

TEST(FollowPlan, EndsWhatAnEarlierStartHadBegun) {
  FollowPlan plan({"s/r"}, {{"s/r", weights(1, 100), {}, wall(0s)}});
  plan.on_listed({{1, 100}, {1, 200}, {1, 300}, {1, 400}});
  plan.on_staged([](const Wanted& one) { return one.checkpoint.step < 400; });
  EXPECT_EQ(plan.next(kNow, wall(0s)), weights(1, 300));
  plan.on_done(weights(1, 300), wall(0s));
  EXPECT_EQ(plan.next(kNow, wall(0s)), weights(1, 400));
}

TEST(FollowPlan, AllOfOneOnceADayBehindTheRest) {
  FollowPlan plan({"s/r", Form::kWeights, true}, {});
  plan.on_listed({{1, 100}});
  EXPECT_EQ(plan.next(kNow, wall(0s)), weights(1, 100));
  plan.on_done(weights(1, 100), wall(0s));
  EXPECT_EQ(plan.next(kNow, wall(0s)), full(1, 100));
  // It gives way to the newest weights, and is ended then, though there is a newer one.
  EXPECT_FALSE(plan.gives_way(full(1, 100), kNow, wall(0s)));
  plan.on_announced({1, 200});
  EXPECT_TRUE(plan.gives_way(full(1, 100), kNow, wall(0s)));
  EXPECT_FALSE(plan.gives_way(weights(1, 100), kNow, wall(0s)));
  EXPECT_TRUE(plan.begun().empty());
  plan.on_failed(full(1, 100), Kind::kInterrupted, kNow);
  EXPECT_EQ(plan.begun(), std::vector<Wanted>{full(1, 100)});
  EXPECT_EQ(plan.next(kNow, wall(0s)), weights(1, 200));
  plan.on_done(weights(1, 200), wall(0s));
  EXPECT_EQ(plan.next(kNow, wall(0s)), full(1, 100));
  plan.on_done(full(1, 100), wall(1h));
  EXPECT_EQ(plan.next(kNow, wall(24h)), std::nullopt);
  EXPECT_EQ(plan.next(kNow, wall(25h)), full(1, 200));
}

TEST(FollowPlan, TheDayCountsFromWhatAnEarlierStartFetched) {
  const Held held{"s/r", full(1, 100), {}, wall(0s)}, same{"s/r", weights(1, 200), {}, wall(0s)};
  FollowPlan plan({"s/r", Form::kWeights, true}, {held, same});
  plan.on_listed({{1, 100}, {1, 200}});
  EXPECT_EQ(plan.next(kNow, wall(23h)), std::nullopt);
  EXPECT_EQ(plan.next(kNow, wall(24h)), full(1, 200));
  FollowPlan all({"s/r", Form::kFull, true}, {});
  all.on_listed({{1, 200}});
  EXPECT_EQ(all.next(kNow, wall(0s)), full(1, 200));
  all.on_done(full(1, 200), wall(0s));
  EXPECT_EQ(all.next(kNow, wall(48h)), std::nullopt);
}

}  // namespace
}  // namespace longhaul::test
