// Runs of several ranks in this process, a thread each, over loopback and Gloo.
#include <gtest/gtest.h>
#include <poll.h>

#include <atomic>
#include <fstream>
#include <functional>
#include <optional>
#include <thread>
#include <vector>

#include "tests/trainer/rank_places.hpp"
#include "tests/trainer/temporary_folder.hpp"
#include "trainer/engine/train.hpp"

namespace longhaul::trainer {
namespace {

#ifdef LONGHAUL_HAS_GLOO

struct Rank {
  TrainOptions options;
  OpenFeed feed;
  Control control;
  cli::StringConsole console;
  std::optional<Result<TrainSummary>> ended;
};

class RanksTrain : public testing::Test {
 protected:
  // What rank 0 reports to, and gets its commands from.
  class Steered final : public Reporter {
   public:
    Steered(RanksTrain& test, std::uint64_t attempt) : test_(test), attempt_(attempt) {}
    std::uint64_t attempt() const override { return attempt_; }
    void log(Series series, std::uint64_t, double value) noexcept override {
      if (series == Series::kRate) test_.rate_ = value;
    }
    void mark(std::uint64_t, std::string_view) override {}
    void checkpointed(std::uint64_t, const Path&) override {}
    void resumed(std::uint64_t, const Path&) override {}
    std::optional<Command> poll(std::uint64_t) override {
      if (test_.given_ == test_.commands_.size()) return std::nullopt;
      return test_.commands_[test_.given_++];
    }
    void end(std::string_view) override {}

   private:
    RanksTrain& test_;
    std::uint64_t attempt_;
  };

  explicit RanksTrain(std::size_t ranks = 2) : ranks_(ranks) {
    std::string text;  // ids of two bytes, each a byte of text
    for (int i = 0; i < 4000; ++i) text += {static_cast<char>('a' + i * i % 23), '\0'};
    std::ofstream(folder_.path() / "shard.u16", std::ios::binary) << text;
    for (Rank& rank : ranks_) {
      TrainOptions& options = rank.options;
      options.data = folder_.path() / "shard.u16";
      options.run = folder_.path() / "run";
      options.layers = 1;
      options.hidden = 32;
      options.batch = 6;
      options.sequence = 16;
      options.steps = 4;
      options.say_every = 0;
    }
  }

  void train() {
    const Listener listener;
    std::vector<std::thread> threads;
    for (std::size_t rank = 0; rank < ranks_.size(); ++rank)
      threads.emplace_back([&, rank] {
        Rank& mine = ranks_[rank];
        const OpenReporter open =
            [this](const RunOpening& opening) -> Result<std::unique_ptr<Reporter>> {
          const std::uint64_t attempt = claim_attempt(opening.run).value();
          return std::unique_ptr<Reporter>(std::make_unique<Steered>(*this, attempt));
        };
        Outside outside{mine.console, mine.control, open, mine.feed,
                        listener.place(rank, ranks_.size())};
        mine.ended = longhaul::trainer::train(outside, mine.options);
      });
    for (std::thread& thread : threads) thread.join();
  }
  std::uint64_t attempts() const { return newest_attempt(ranks_[0].options.run).value(); }
  // Of a rank that was to fail.
  const Error& error_of(std::size_t rank) const { return ranks_[rank].ended->error(); }

  TemporaryFolder folder_;
  std::vector<Rank> ranks_;
  std::vector<Command> commands_;
  std::size_t given_ = 0;
  double rate_ = 0;  // of the last step
};

// An attempt begins with all that earlier ones were told, and people's scripts steer, too.
TEST_F(RanksTrain, AnyNumberOfSettingsFitsOneStepAndTheLastOfEachCounts) {
  for (int i = 0; i < 1000; ++i) {
    commands_.push_back({1, Command::Verb::kSet, "lr", 0.001 * i, "me"});
    commands_.push_back({2, Command::Verb::kScale, "clip", 0.5, "me"});
  }
  commands_.push_back({3, Command::Verb::kScale, "lr", 0, "me"});
  commands_.push_back({4, Command::Verb::kSet, "lr", 0.003, "me"});
  train();
  for (const Rank& rank : ranks_) {
    ASSERT_TRUE(*rank.ended) << rank.ended->error().message();
    EXPECT_EQ((*rank.ended)->steps, 4U);
  }
  EXPECT_EQ(given_, commands_.size());
  EXPECT_EQ(rate_, 0.003);  // at rank 0; with another one at the other their weights would differ
}

TEST_F(RanksTrain, RanksThatDoNotAgreeClaimNothing) {
  ranks_[1].options.seed = 2;
  train();
  for (const Rank& rank : ranks_) ASSERT_FALSE(*rank.ended);
  EXPECT_EQ(error_of(0).kind(), Kind::kUsage);
  EXPECT_EQ(error_of(0).why(), "rank 1 has other data or settings than rank 0");
  EXPECT_EQ(attempts(), 0U) << "the attempt at work would end for it";
}

TEST_F(RanksTrain, AllGoOnFromTheCheckpointThatRankZeroHasFound) {
  for (Rank& rank : ranks_) rank.options.resume = "auto";
  train();
  train();
  for (const Rank& rank : ranks_) {
    ASSERT_TRUE(*rank.ended) << rank.ended->error().message();
    EXPECT_EQ((*rank.ended)->first_step, 4U);
  }
  EXPECT_EQ(attempts(), 2U);
}

// All wait for a dataset, which may take hours.
class RanksOpening : public RanksTrain {
 protected:
  RanksOpening() : RanksTrain(3) {
    for (std::size_t rank = 0; rank < ranks_.size(); ++rank) {
      ranks_[rank].options.data.clear();
      ranks_[rank].options.dataset = "words";
      ranks_[rank].options.store = folder_.path();
      ranks_[rank].feed = [this, rank](const FeedOpening& opening) { return open(rank, opening); };
    }
  }
  std::function<Result<>()> of_rank_one_;  // once all wait

 private:
  Result<std::unique_ptr<DataSource>> open(std::size_t rank, const FeedOpening& opening) {
    const Time end = time_now() + 60s;
    for (++waiting_; time_now() < end; ::poll(nullptr, 0, 1)) {
      if (opening.stop_asked()) return fail(Kind::kInterrupted, "wait for the dataset");
      if (rank == 1 && waiting_ == 3) TRY(of_rank_one_());
    }
    return fail(Kind::kTimeout, "wait for the dataset");
  }
  std::atomic<int> waiting_ = 0;
};

TEST_F(RanksOpening, ASignalToOneStopsAll) {
  of_rank_one_ = [this]() -> Result<> {
    ranks_[1].control.post_stop_from_signal(time_now());
    return {};
  };
  train();
  for (std::size_t rank = 0; rank < 3; ++rank) {
    ASSERT_FALSE(*ranks_[rank].ended);
    EXPECT_EQ(error_of(rank).kind(), Kind::kInterrupted) << error_of(rank).message();
  }
  EXPECT_EQ(error_of(0).why(), "rank 1: wait for the dataset");
}

TEST_F(RanksOpening, AnErrorOfOneEndsAllAndIsSaid) {
  of_rank_one_ = []() -> Result<> { return fail(Kind::kIo, "read", "its disk is broken"); };
  train();
  for (const Rank& rank : ranks_) ASSERT_FALSE(*rank.ended);
  for (std::uint64_t rank = 0; rank < 3; ++rank) EXPECT_EQ(error_of(rank).kind(), Kind::kIo);
  EXPECT_EQ(error_of(0).message(), "meet the other ranks: rank 1: read: its disk is broken");
  EXPECT_EQ(error_of(2).why(), "rank 0 has ended the run: " + error_of(0).message());
}

#endif

}  // namespace
}  // namespace longhaul::trainer
