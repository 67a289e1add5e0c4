// Ranks on loopback: the star, and Gloo's sums, a thread a rank.
#include <arpa/inet.h>
#include <gtest/gtest.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <future>
#include <latch>
#include <thread>

#include "tests/trainer/rank_places.hpp"
#include "trainer/ranks/collectives.hpp"
#include "trainer/ranks/star.hpp"

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

// Rank 1 talks to ranks 0 and 2 alone, which know that rank 3 is gone, and stay.
TEST(Gloo, WhoDoesNotTalkToTheDeadHearsOfItFromTheRest) {
  constexpr std::uint64_t kRanks = 4;
  std::latch failed(kRanks - 1);
  as_ranks(kRanks, [&](std::unique_ptr<Star>& star, std::uint64_t rank) {
    auto collectives = gloo(*star, rank, kRanks);
    if (rank == 3) return;
    std::vector<float> values(1 << 20, 1);
    Result<> done;
    for (int i = 0; done && i < 100; ++i) done = collectives->sum(std::span(values));
    failed.arrive_and_wait();
    ASSERT_FALSE(done);
    EXPECT_EQ(done.error().kind(), Kind::kLink) << done.error().message();  // and not kTimeout
  });
}

// In the midst of meeting: what ends the exchange is the error, not Gloo's words about it.
TEST(Gloo, ASignalWhileTheyMeetIsAStop) {
  int exchanges = 0;
  const auto exchange = [&](const std::string& mine) -> Result<std::vector<std::string>> {
    if (++exchanges == 1) return std::vector<std::string>{mine, mine};
    return fail(Kind::kInterrupted, "hear from the other ranks");
  };
  const auto made = gloo_collectives({0, 2, 0, "127.0.0.1", 60s, exchange});
  ASSERT_FALSE(made);
  EXPECT_EQ(made.error().kind(), Kind::kInterrupted);
  EXPECT_EQ(exchanges, 2);
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
