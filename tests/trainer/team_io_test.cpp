// Ranks as one team, on loopback: who waits for whom, who is told what, and who is blamed.
#include <gtest/gtest.h>
#include <poll.h>

#include <atomic>
#include <future>
#include <thread>

#include "tests/trainer/rank_places.hpp"
#include "trainer/ranks/collectives.hpp"
#include "trainer/ranks/star.hpp"
#include "trainer/ranks/team.hpp"

namespace longhaul::trainer {
namespace {

// Collectives that never end by themselves, but when somebody is gone.
class HeldUp final : public Collectives {
 public:
  explicit HeldUp(const Membership& membership) : gone_(membership.gone) {}
  Result<> sum(std::span<float>) override { return wait(); }
  Result<> sum(std::span<double>) override { return wait(); }
  Result<> gather(std::span<float>, std::span<const std::size_t>) override { return wait(); }

 private:
  Result<> wait() const {
    std::optional<std::string> why;
    while (!(why = gone_())) ::poll(nullptr, 0, 1);
    return fail(Kind::kLink, "sum", *why);
  }
  std::function<std::optional<std::string>()> gone_;
};

Result<std::unique_ptr<Collectives>> held_up(const Membership& membership) {
  return std::unique_ptr<Collectives>(new HeldUp(membership));
}

// body(team, rank) as each of `ranks`, at once.
template <class Body>
void as_team(std::uint64_t ranks, Duration patience, Body&& body) {
  const Listener listener;
  std::vector<std::thread> threads;
  for (std::uint64_t rank = 0; rank < ranks; ++rank)
    threads.emplace_back([&, rank] {
      auto team = Team::form(
          listener.place(rank, ranks), patience, [] { return false; }, held_up);
      ASSERT_TRUE(team) << team.error().message();
      body(*team, rank);
    });
  for (std::thread& thread : threads) thread.join();
}

constexpr const char* kGone = "rank 1 is gone: its process or its host has died";
constexpr const char* kTold =
    "rank 0 has ended the run: train with 3 ranks: rank 1 is gone: its process or its host has "
    "died";
constexpr const char* kAgain = "start the run again with --resume auto";

TEST(Team, ASumEndsWhenARankIsGoneAndTheErrorSaysWhich) {
  as_team(3, 60s, [](std::unique_ptr<Team>& team, std::uint64_t rank) {
    if (rank == 1) return;  // it is gone
    std::vector<float> values(3);
    const Result<> summed = team->collectives().sum(std::span(values));
    ASSERT_FALSE(summed);
    const Error blamed = team->who_is_gone(summed.error());
    EXPECT_EQ(blamed.kind(), Kind::kLink);
    EXPECT_EQ(blamed.advice(), kAgain);
    if (rank == 0) {
      EXPECT_EQ(summed.error().why(), "rank 1 is gone");
      EXPECT_EQ(blamed.why(), kGone);
      team->end(blamed);
    } else {
      EXPECT_EQ(summed.error().why().substr(0, 7), "rank 0 ");  // of which alone it knows
      EXPECT_EQ(blamed.attempt(), "train as rank 2 of 3");
      EXPECT_EQ(blamed.why(), kTold);
    }
  });
}

// A run before its first step: one rank still opens its data, the other waits for that.
TEST(Team, ASignalWhileTheOthersAreWaitedForStopsAll) {
  const Listener listener;
  std::promise<void> formed;
  std::atomic<bool> asked = false;
  std::thread opening([&] {
    auto team = Team::form(
        listener.place(1, 2), 60s, [] { return false; }, held_up);
    ASSERT_TRUE(team);
    formed.get_future().wait();
    ::poll(nullptr, 0, 20);  // it waits by now, or is about to
    asked = true;
    while (!(*team)->missing()) ::poll(nullptr, 0, 1);
    const Error why = (*team)->who_left();
    EXPECT_EQ(why.kind(), Kind::kInterrupted);
    EXPECT_EQ(why.why(), "rank 0: hear from the other ranks");
  });
  auto team = Team::form(
      listener.place(0, 2), 60s, [&] { return asked.load(); }, held_up);
  ASSERT_TRUE(team);
  formed.set_value();
  const auto met = (*team)->exchange("settings");
  ASSERT_FALSE(met);
  EXPECT_EQ(met.error().kind(), Kind::kInterrupted);
  (*team)->leave(met.error());
  opening.join();
}

Result<std::unique_ptr<Collectives>> cannot_join(const Membership&) {
  return fail(Kind::kUnsupported, "load libgloo", "there is none");
}

TEST(Team, WhoCannotJoinTheSumsSaysWhy) {
  const Listener listener;
  std::thread without([&] {
    const auto team = Team::form(
        listener.place(1, 2), 60s, [] { return false; }, cannot_join);
    EXPECT_FALSE(team);
  });
  auto team = Team::form(
      listener.place(0, 2), 60s, [] { return false; }, held_up);
  ASSERT_TRUE(team);
  const auto met = (*team)->exchange("settings");
  ASSERT_FALSE(met);
  EXPECT_EQ(met.error().kind(), Kind::kUnsupported);
  EXPECT_EQ(met.error().why(), "rank 1: load libgloo: there is none");
  without.join();
}

TEST(Team, WhoWaitsForAStepIsToldWhoIsGone) {
  as_team(3, 60s, [](std::unique_ptr<Team>& team, std::uint64_t rank) {
    if (rank == 1) return;  // it is gone
    if (rank == 0) {
      Result<> looked;
      while (looked) looked = team->look(10ms);
      EXPECT_EQ(looked.error().why(), kGone);
      team->end(looked.error());
      return;
    }
    const auto told = team->told(60s);
    ASSERT_FALSE(told);
    EXPECT_EQ(told.error().kind(), Kind::kLink);
    EXPECT_EQ(told.error().why(), kTold);
    EXPECT_EQ(told.error().advice(), kAgain);
  });
}

TEST(Team, AStopIsNoErrorOfTheOthersAndAnErrorIsOfItsKind) {
  const std::vector<std::optional<Error>> ends = {
      std::nullopt, Error(Kind::kInterrupted, "wait for the dataset"),
      Error(Kind::kBusy, "go on with the run", "a newer attempt of it has begun")};
  for (const std::optional<Error>& end : ends)
    as_team(2, 60s, [&](std::unique_ptr<Team>& team, std::uint64_t rank) {
      if (rank == 0) return team->end(end);
      const auto told = team->told(60s);
      if (end && end->kind() == Kind::kBusy) {
        ASSERT_FALSE(told);
        EXPECT_EQ(told.error().kind(), Kind::kBusy);
        EXPECT_EQ(told.error().advice(), "");  // to start it again would end the newer one
      } else {
        ASSERT_TRUE(told && *told) << told.error().message();
        EXPECT_TRUE((*told)->ends);
      }
    });
}

TEST(Team, ARankThatSaysNothingBeforeAStepIsNotWaitedForLonger) {
  constexpr Duration kWaited = std::chrono::hours(1);
  as_team(3, 60s, [&](std::unique_ptr<Team>& team, std::uint64_t rank) {
    if (rank > 0) {
      if (rank == 1) team->say_ready(5, false);
      EXPECT_TRUE(team->told(60s));  // "go" for the first step
      team->say_waits(Time{}, 6, "chunk 7", false);
      EXPECT_TRUE(team->told(60s));
      return;
    }
    while (!team->gate().holds(1, 5)) ASSERT_TRUE(team->look(10ms));
    EXPECT_TRUE(team->expect_words(5, 1s));  // not yet
    const Result<> all = team->expect_words(5, kWaited);
    ASSERT_FALSE(all);
    EXPECT_EQ(all.error().kind(), Kind::kTimeout);
    EXPECT_EQ(all.error().why(), "rank 2 does not answer, though its connection is open");
    team->go(5, {});
    while (team->gate().waits_for(6) != "rank 1: chunk 7" || !team->expect_words(6, kWaited))
      ASSERT_TRUE(team->look(10ms));  // both have just said why, and may for hours
    team->end(std::nullopt);
  });
}

// How often rank 0 hears it of one that says every tenth of a second for what it waits, 100 times.
int heard_of_waits(Duration patience) {
  const Listener listener;
  int heard = 0;
  std::thread leader([&] {
    const auto star = Star::join(listener.place(0, 2), 60s, [] { return false; });
    ASSERT_TRUE(star) << star.error().message();
    for (;; ++heard) {
      const auto next = (*star)->hear(60s);
      ASSERT_TRUE(next && *next && (*next)->message);
      if ((*next)->message->kind == Message::Kind::kReady) break;
      EXPECT_EQ((*next)->message->kind, Message::Kind::kWaits);
    }
  });
  const auto team = Team::form(
      listener.place(1, 2), patience, [] { return false; }, held_up);
  EXPECT_TRUE(team);
  for (int tenth = 0; tenth < 100; ++tenth)
    (*team)->say_waits(Time(tenth * 100ms), 5, "chunk 7", false);
  (*team)->say_waits(Time(9950ms), 5, "chunk 8", false);  // at once: it is another one
  (*team)->say_waits(Time(9950ms), 5, "chunk 8", true);   // and so a signal
  (*team)->say_ready(5, false);
  leader.join();
  return heard;
}

TEST(Team, WhatOneWaitsForIsSaidAgainAfterASecond) {
  EXPECT_EQ(heard_of_waits(60s), 10 + 2);
  EXPECT_EQ(heard_of_waits(2s), 20 + 2);  // more often than would be taken for a rank that hangs
}

TEST(Team, OfALeaderThatIsGoneTheOthersAreTold) {
  as_team(2, 60s, [](std::unique_ptr<Team>& team, std::uint64_t rank) {
    if (rank == 0) return;  // it is gone
    const auto told = team->told(60s);
    ASSERT_FALSE(told);
    EXPECT_EQ(told.error().why(), "rank 0 is gone: its process or its host has died");
    EXPECT_EQ(told.error().advice(), "start the run again with --resume auto");
  });
}

}  // namespace
}  // namespace longhaul::trainer
