// Ranks on loopback: the star, and Gloo's sums, a thread a rank.
#include <arpa/inet.h>
#include <gtest/gtest.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <future>
#include <thread>

#include "tests/trainer/rank_places.hpp"
#include "trainer/ranks/collectives.hpp"
#include "trainer/ranks/star.hpp"
#include "trainer/ranks/team.hpp"

namespace longhaul::trainer {
namespace {

// body(star, rank) as each of `ranks`, at once.
template <class Body>
void as_ranks(std::uint64_t ranks, Body&& body) {
  const Listener listener;
  std::vector<std::thread> threads;
  for (std::uint64_t rank = 0; rank < ranks; ++rank)
    threads.emplace_back([&, rank] {
      auto star = Star::join(listener.place(rank, ranks), 60s, [] { return false; });
      ASSERT_TRUE(star) << star.error().message();
      body(*star, rank);
    });
  for (std::thread& thread : threads) thread.join();
}

TEST(Star, ExchangesEveryRanksText) {
  as_ranks(4, [](std::unique_ptr<Star>& star, std::uint64_t rank) {
    for (int round = 0; round < 3; ++round) {
      const auto all = star->exchange("rank " + std::to_string(rank), 60s);
      ASSERT_TRUE(all) << all.error().message();
      EXPECT_EQ(*all, (std::vector<std::string>{"rank 0", "rank 1", "rank 2", "rank 3"}));
    }
  });
}

TEST(Star, HearsTheLastWordsAndThenTheDeathOfARank) {
  as_ranks(3, [](std::unique_ptr<Star>& star, std::uint64_t rank) {
    if (rank == 1) {
      star->send(0, {Message::Kind::kFailed, false, 5, "its disk is full"});
      star.reset();
    } else if (rank == 0) {
      std::vector<Star::Heard> heard;
      while (heard.size() < 2) {
        auto next = star->hear(60s);
        ASSERT_TRUE(next && *next);
        heard.push_back(**next);
      }
      EXPECT_EQ(heard[0].rank, 1U);
      ASSERT_TRUE(heard[0].message);
      EXPECT_EQ(heard[0].message->text, "its disk is full");
      EXPECT_EQ(heard[1].rank, 1U);
      EXPECT_FALSE(heard[1].message);
      star->send(1, {Message::Kind::kGo, false, 5});  // to the dead: no error, no signal
      star->send(2, {Message::Kind::kEnd, false, 5});
    } else {
      const auto end = star->hear(60s);
      ASSERT_TRUE(end && *end && (*end)->message);
      EXPECT_EQ((*end)->message->kind, Message::Kind::kEnd);
    }
  });
}

// What `star` says of the others, once it says something.
std::string first_word_of(const Star& star) {
  std::optional<std::string> why;
  while (!(why = star.gone())) ::poll(nullptr, 0, 1);
  return *why;
}

TEST(Star, AnotherThreadSeesADeathAndTakesNoWordAway) {
  std::promise<void> may_die;
  as_ranks(3, [&](std::unique_ptr<Star>& star, std::uint64_t rank) {
    if (rank == 1) {
      star->send(0, {Message::Kind::kFailed, false, 5, "its disk is full"});
      may_die.get_future().wait();
      star.reset();
    } else if (rank == 0) {
      EXPECT_EQ(star->gone(), std::nullopt);  // words are none
      may_die.set_value();
      std::string seen;
      std::thread([&] { seen = first_word_of(*star); }).join();
      EXPECT_EQ(seen, "rank 1 is gone");
      const auto words = star->hear(60s), death = star->hear(60s);
      ASSERT_TRUE(words && *words && (*words)->message);
      EXPECT_EQ((*words)->message->text, "its disk is full");
      ASSERT_TRUE(death && *death);
      EXPECT_FALSE((*death)->message);
      EXPECT_EQ(star->gone(), "rank 1 is gone");  // now that its connection is closed here, too
      star->send(2, {Message::Kind::kEnd, false, 5});
    } else {
      const auto end = star->hear(60s);  // rank 1 has no connection to this one
      ASSERT_TRUE(end && *end && (*end)->message);
    }
  });
}

TEST(Star, TheEndThatRankZeroSaysIsSeenInsideASum) {
  std::promise<void> ended, seen;
  as_ranks(2, [&](std::unique_ptr<Star>& star, std::uint64_t rank) {
    if (rank == 0) {
      star->send_to_all({Message::Kind::kGo, false, 5});
      star->send_to_all({Message::Kind::kEnd, false, 5});
      ended.set_value();
      seen.get_future().wait();  // it saves, say, and its connection stays
      return;
    }
    ended.get_future().wait();
    EXPECT_TRUE(star->hear(60s));  // the "go" alone, though both may have come as one
    EXPECT_EQ(first_word_of(*star), "rank 0 has ended the run");
    EXPECT_TRUE(star->hear(60s));
    EXPECT_EQ(star->gone(), std::nullopt);
    seen.set_value();
    EXPECT_EQ(first_word_of(*star), "rank 0 is gone");
  });
}

TEST(Star, IsAskedWhileItHearsAndHangsUp) {  // for tsan
  as_ranks(2, [](std::unique_ptr<Star>& star, std::uint64_t rank) {
    if (rank == 1) {
      for (std::uint64_t step = 0; step < 100; ++step)
        star->send(0, {Message::Kind::kReady, false, step});
      return;
    }
    std::thread asks([&] { EXPECT_EQ(first_word_of(*star), "rank 1 is gone"); });
    std::uint64_t words = 0;
    for (;;) {
      const auto heard = star->hear(60s);
      if (!heard || !*heard || !(*heard)->message) break;
      ++words;
    }
    EXPECT_EQ(words, 100U);
    asks.join();
  });
}

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

TEST(Star, SaysWhoHasNotCome) {
  const Listener listener;
  const auto star = Star::join(listener.place(0, 3), 100ms, [] { return false; });
  ASSERT_FALSE(star);
  EXPECT_EQ(star.error().kind(), Kind::kTimeout);
  EXPECT_EQ(star.error().why(), "2 of 2 have not come");
}

TEST(Star, ARankOfAnotherNumberOfRanksIsRefused) {
  const Listener listener;
  std::thread other([&] {
    const auto star = Star::join(listener.place(1, 3), 60s, [] { return false; });
    EXPECT_TRUE(!star || !(*star)->exchange("b", 60s));
  });
  const auto star = Star::join(listener.place(0, 2), 60s, [] { return false; });
  ASSERT_FALSE(star);
  EXPECT_EQ(star.error().why(), "rank 1 is one of 3, this is one of 2");
  other.join();
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

TEST(Star, AStrangerCostsItsOwnConnectionOnly) {
  const Listener listener;
  sockaddr_in at{};
  at.sin_family = AF_INET;
  at.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  at.sin_port = htons(listener.port);
  const int stranger = ::socket(AF_INET, SOCK_STREAM, 0);
  ASSERT_EQ(::connect(stranger, reinterpret_cast<sockaddr*>(&at), sizeof at), 0);
  const std::string words = "GET / HTTP/1.1\r\n\r\n";
  ASSERT_EQ(::send(stranger, words.data(), words.size(), 0), static_cast<ssize_t>(words.size()));
  std::thread other([&] {
    const auto star = Star::join(listener.place(1, 2), 60s, [] { return false; });
    ASSERT_TRUE(star);
    EXPECT_TRUE((*star)->exchange("b", 60s));
  });
  const auto star = Star::join(listener.place(0, 2), 60s, [] { return false; });
  ASSERT_TRUE(star) << star.error().message();
  EXPECT_TRUE((*star)->exchange("a", 60s));
  other.join();
  ::close(stranger);
}

// Whoever else has the port by chance, or for want of one of its own: of any size.
TEST(Star, ARankOfAnotherRunIsToldSoAndTakesNoPlace) {
  const Listener listener;
  std::promise<void> heard;
  std::thread others([&] {
    for (const std::uint64_t ranks : {2U, 3U}) {
      const auto other = Star::join(listener.place(1, ranks, "other"), 60s, [] { return false; });
      EXPECT_TRUE(other);
      if (!other) break;
      const auto met = (*other)->exchange("b", 60s);
      EXPECT_FALSE(met);
      if (met) break;
      EXPECT_EQ(met.error().kind(), Kind::kLink);
      EXPECT_EQ(met.error().why(), "rank 0: it is of another run, run");
    }
    heard.set_value();
  });
  std::thread own([&] {
    heard.get_future().wait();
    const auto star = Star::join(listener.place(1, 2), 60s, [] { return false; });
    ASSERT_TRUE(star);
    EXPECT_EQ((*star)->exchange("b", 60s).value()[0], "a");
  });
  const auto star = Star::join(listener.place(0, 2), 60s, [] { return false; });
  ASSERT_TRUE(star) << star.error().message();
  EXPECT_EQ((*star)->exchange("a", 60s).value()[1], "b");
  others.join();
  own.join();
}

TEST(Star, SaysOfWhichOtherRunARankCame) {
  const Listener listener;
  auto came = Star::join(listener.place(1, 2, "other"), 60s, [] { return false; });
  ASSERT_TRUE(came);
  std::thread other([&] {
    EXPECT_FALSE((*came)->exchange("b", 60s));
    came->reset();
  });
  const auto star = Star::join(listener.place(0, 2), 1s, [] { return false; });
  ASSERT_FALSE(star);
  EXPECT_EQ(star.error().why(), "1 of 1 have not come; one did of another run, other");
  other.join();
}

#ifdef LONGHAUL_HAS_GLOO

std::unique_ptr<Collectives> gloo(Star& star, std::uint64_t rank, std::uint64_t ranks) {
  auto made = gloo_collectives({rank, ranks, rank, star.address(), 60s,
                                [&](const std::string& mine) { return star.exchange(mine, 60s); }});
  EXPECT_TRUE(made) << made.error().message();
  return *std::move(made);
}

TEST(Gloo, SumsAndGathersTheSameBitsEverywhere) {
  constexpr std::uint64_t kRanks = 3;
  std::array<std::vector<float>, kRanks> sums, gathered;
  std::array<double, kRanks> losses{};
  as_ranks(kRanks, [&](std::unique_ptr<Star>& star, std::uint64_t rank) {
    const auto collectives = gloo(*star, rank, kRanks);
    std::vector<float> values(100'003);
    for (std::size_t i = 0; i < values.size(); ++i)
      values[i] = 1.0F / static_cast<float>(1 + (i * 31 + rank * 17) % 1009);
    ASSERT_TRUE(collectives->sum(std::span(values)));
    sums[rank] = values;
    double loss = 0.1 * static_cast<double>(rank + 1);
    ASSERT_TRUE(collectives->sum(std::span(&loss, 1)));
    losses[rank] = loss;
    const std::vector<std::size_t> counts = {2, 0, 3};
    std::vector<float> all(5, -1);
    const std::size_t first = rank == 2 ? 2 : 0;
    for (std::size_t i = 0; i < counts[rank]; ++i)
      all[first + i] = static_cast<float>(10 * rank + i);
    ASSERT_TRUE(collectives->gather(all, counts));
    gathered[rank] = all;
  });
  for (std::size_t i = 0; i < sums[0].size(); i += 997) {
    double want = 0;
    for (std::size_t rank = 0; rank < kRanks; ++rank)
      want += 1.0 / static_cast<double>(1 + (i * 31 + rank * 17) % 1009);
    EXPECT_NEAR(sums[0][i], want, 1e-6 * want);
  }
  for (std::size_t rank = 0; rank < kRanks; ++rank) {
    EXPECT_EQ(sums[rank], sums[0]);
    EXPECT_EQ(losses[rank], losses[0]);
    EXPECT_NEAR(losses[rank], 0.6, 1e-12);
    EXPECT_EQ(gathered[rank], (std::vector<float>{0, 1, 20, 21, 22}));
  }
}

TEST(Gloo, ARankThatLeavesIsAnErrorForTheRest) {
  as_ranks(3, [](std::unique_ptr<Star>& star, std::uint64_t rank) {
    auto collectives = gloo(*star, rank, 3);
    if (rank == 1) return;  // its connections close
    std::vector<float> values(1 << 20, 1);
    Result<> done;
    for (int i = 0; done && i < 100; ++i) done = collectives->sum(std::span(values));
    ASSERT_FALSE(done);
    EXPECT_EQ(done.error().kind(), Kind::kLink) << done.error().message();
  });
}

// It has told where it listens, and is gone before the others have reached it there.
TEST(Gloo, ARankThatDiesWhileTheyConnectIsAnErrorForTheRest) {
  as_ranks(2, [](std::unique_ptr<Star>& star, std::uint64_t rank) {
    int exchanges = 0;
    const auto exchange = [&](const std::string& mine) -> Result<std::vector<std::string>> {
      auto all = star->exchange(mine, 60s);
      if (rank == 1 && ++exchanges == 2) return fail(Kind::kLink, "connect", "it dies here");
      return all;
    };
    const auto made = gloo_collectives({rank, 2, rank, star->address(), 2s, exchange});
    EXPECT_TRUE(rank == 0 || !made);
    if (!made) return;
    std::vector<float> values(1000, 1);  // it had reached it: the first sum tells
    EXPECT_FALSE((*made)->sum(std::span(values)));
  });
}

#endif

}  // namespace
}  // namespace longhaul::trainer
