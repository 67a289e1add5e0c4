// The thread that reads ahead of training.
#include "trainer/loader.hpp"

#include <gtest/gtest.h>
#include <sched.h>

#include <algorithm>
#include <atomic>
#include <latch>
#include <map>

namespace longhaul::trainer {
namespace {

// A shard of which no sample has arrived the first three times that it is asked for.
class ArrivingSource final : public DataSource {
 public:
  const std::vector<ShardInfo>& shards() const override { return infos_; }
  std::string identity() const override { return "arriving"; }
  Result<Presence> read(const TokenRange& range, std::span<Token> out) override {
    if (asked_[range.first]++ < 3) return Presence::kNotYet;
    for (std::size_t i = 0; i < out.size(); ++i) out[i] = static_cast<Token>(range.first + i) % 251;
    return Presence::kThere;
  }
  void wait_for_arrival(Duration) override { ++waits; }
  int waits = 0;

 private:
  std::vector<ShardInfo> infos_ = {{"a", 1001, 2}};
  std::map<std::uint64_t, int> asked_;
};

SampleOrder order_of(const DataSource& source) {
  return SampleOrder::make(source.shards(), {.seed = 3, .sequence = 10}).value();
}

TEST(Loader, WaitsForWhatHasNotArrivedAndGivesOnlyThat) {
  auto source = std::make_unique<ArrivingSource>();
  SampleOrder order = order_of(*source), expected = order_of(*source);
  Loader loader(std::move(source), std::move(order), 10, {.global_batch = 4, .ring = 3});
  for (std::uint64_t step = 0; step < 60; ++step) {
    const auto batch = loader.take();
    ASSERT_TRUE(batch);
    EXPECT_EQ((*batch)->first_index, step * 4);
    for (std::uint64_t s = 0; s < 4; ++s) {
      const TokenRange range = expected.at(step * 4 + s);
      for (std::uint64_t i = 0; i < 10; ++i) {
        EXPECT_EQ((*batch)->tokens[s * 10 + i], static_cast<std::int64_t>((range.first + i) % 251));
        EXPECT_EQ((*batch)->targets[s * 10 + i],
                  static_cast<std::int64_t>((range.first + i + 1) % 251));
      }
    }
  }
}

TEST(Lookahead, TellsHowLongItLastsWhereThatIsLessThanWasAskedFor) {
  const std::vector<ShardInfo> shards = {{"a", 100'000'000, 2}};
  SampleOrder order =
      SampleOrder::make(shards, {.seed = 3, .sequence = 1024, .window_blocks = 1}).value();
  std::uint64_t second = 1;  // window's first sample
  while (order.window_begin(second) == order.window_begin(0)) ++second;
  const double mib = static_cast<double>(second * 2048) / (1U << 20);
  const auto reach_after = [&](Duration seconds) {
    Lookahead lookahead({.prefetch_seconds = 600, .sample_bytes = 2048});
    EXPECT_TRUE(lookahead.due(order, 0, Time(5s)));
    EXPECT_EQ(lookahead.reach(), std::nullopt) << "no pace is known";
    EXPECT_TRUE(lookahead.due(order, second, Time(5s) + seconds));
    return lookahead.reach();
  };
  EXPECT_EQ(reach_after(100s), std::nullopt);
  EXPECT_NEAR(static_cast<double>(reach_after(2s).value_or(0)), 1024 / (mib / 2), 2);
}

// A source that tells how the thread that reads it is scheduled.
class PolicySource final : public DataSource {
 public:
  explicit PolicySource(std::atomic<int>& policy) : policy_(policy) {}
  const std::vector<ShardInfo>& shards() const override { return infos_; }
  std::string identity() const override { return "policy"; }
  Result<Presence> read(const TokenRange&, std::span<Token> out) override {
    policy_ = ::sched_getscheduler(0);
    std::fill(out.begin(), out.end(), 7U);
    return Presence::kThere;
  }

 private:
  std::vector<ShardInfo> infos_ = {{"a", 1001, 2}};
  std::atomic<int>& policy_;
};

TEST(Loader, PreemptsNobodyWhenItIsWoken) {
  std::atomic<int> policy = -1;
  auto source = std::make_unique<PolicySource>(policy);
  SampleOrder order = order_of(*source);
  Loader loader(std::move(source), std::move(order), 10, {.global_batch = 4, .ring = 3});
  ASSERT_TRUE(loader.take());
  EXPECT_EQ(policy, SCHED_BATCH);
  EXPECT_EQ(::sched_getscheduler(0), SCHED_OTHER) << "the thread that trains";
}

// All is there; what was said to be needed must hold what is read.
class HintedSource final : public DataSource {
 public:
  explicit HintedSource(std::vector<std::size_t>& told) : told_(told) {}
  const std::vector<ShardInfo>& shards() const override { return infos_; }
  std::string identity() const override { return "hinted"; }
  void will_need(std::span<const TokenRange> ranges, std::size_t urgent) override {
    told_.push_back(ranges.size());
    urgent_.assign(ranges.begin(), ranges.begin() + static_cast<std::ptrdiff_t>(urgent));
  }
  Result<Presence> read(const TokenRange& range, std::span<Token> out) override {
    const bool named = std::any_of(urgent_.begin(), urgent_.end(), [&](const TokenRange& block) {
      return block.first <= range.first && range.first + range.count <= block.first + block.count;
    });
    EXPECT_TRUE(named) << range.first;
    std::fill(out.begin(), out.end(), 7U);
    return Presence::kThere;
  }

 private:
  std::vector<ShardInfo> infos_ = {{"a", 1001, 2}};
  std::vector<std::size_t>& told_;
  std::vector<TokenRange> urgent_;
};

// Three a batch: some begin in one window and end in the next.
TEST(Loader, NamesEachWindowBeforeItReadsOfIt) {
  for (const std::uint64_t batch : {1U, 3U}) {
    std::vector<std::size_t> told;
    {
      auto source = std::make_unique<HintedSource>(told);
      SampleOrder order =
          SampleOrder::make(source->shards(),
                            {.seed = 3, .sequence = 10, .window_blocks = 2, .block_bytes = 200})
              .value();
      const std::uint64_t samples = order.samples_per_epoch();
      Loader loader(std::move(source), std::move(order), 10, {.global_batch = batch, .ring = 2});
      for (std::uint64_t step = 0; step < 2 * samples / batch; ++step) ASSERT_TRUE(loader.take());
    }
    EXPECT_GE(told.size(), 10U);  // 5 windows of two blocks, 2 epochs; and one is begun
    EXPECT_LE(told.size(), 11U);
    for (const std::size_t ranges : told) EXPECT_EQ(ranges, 10U) << "all that there is";
  }
}

TEST(Loader, RanksTogetherReadTheGlobalBatch) {
  std::vector<std::int64_t> whole, parts;
  for (const std::uint64_t ranks : {1U, 2U, 4U}) {
    parts.clear();
    for (std::uint64_t rank = 0; rank < ranks; ++rank) {
      auto source = std::make_unique<ArrivingSource>();
      SampleOrder order = order_of(*source);
      Loader loader(std::move(source), std::move(order), 10,
                    {.global_batch = 4, .rank = rank, .ranks = ranks, .first_index = 8});
      const LoadedBatch* batch = loader.take().value();
      parts.insert(parts.end(), batch->tokens.begin(), batch->tokens.end());
    }
    if (ranks == 1) whole = parts;
    EXPECT_EQ(parts, whole);
  }
}

// Gives the first samples, and then hangs in read() as a dead file system does, until it is let go.
class HangingSource final : public DataSource {
 public:
  HangingSource(std::uint64_t gives, std::latch& hangs, std::latch& let_go)
      : gives_(gives), hangs_(hangs), let_go_(let_go) {}
  const std::vector<ShardInfo>& shards() const override { return infos_; }
  std::string identity() const override { return "hanging"; }
  Result<Presence> read(const TokenRange&, std::span<Token> out) override {
    if (given_++ == gives_) {
      hangs_.count_down();
      let_go_.wait();
    }
    std::fill(out.begin(), out.end(), 7U);
    return Presence::kThere;
  }

 private:
  std::vector<ShardInfo> infos_ = {{"a", 1001, 2}};
  std::uint64_t given_ = 0, gives_;
  std::latch &hangs_, &let_go_;
};

// Each call of the training thread returns, or this test hangs: what was read is handed out, and of
// what was not it is told so, while the loader's thread is stuck.
TEST(Loader, P1TheTrainingThreadNeverWaitsForAReadThatHangs) {
  std::latch hangs(1), let_go(1);
  {
    auto source = std::make_unique<HangingSource>(12, hangs, let_go);
    SampleOrder order = order_of(*source);
    Loader loader(std::move(source), std::move(order), 10, {.global_batch = 4, .ring = 16});
    hangs.wait();
    EXPECT_EQ(loader.ready(), 3U);
    for (int step = 0; step < 3; ++step) EXPECT_NE(loader.take(Duration::zero()).value(), nullptr);
    for (int look = 0; look < 100; ++look) {
      EXPECT_EQ(loader.take(Duration::zero()).value(), nullptr);
      EXPECT_EQ(loader.waiting_for(), std::nullopt);
    }
    let_go.count_down();
    EXPECT_NE(loader.take().value(), nullptr);
  }
}

TEST(Loader, RefusesIdsOverTheVocabulary) {
  auto source = std::make_unique<ArrivingSource>();
  SampleOrder order = order_of(*source);
  Loader loader(std::move(source), std::move(order), 10, {.vocab = 100});
  Result<const LoadedBatch*> batch = loader.take();
  for (int i = 0; i < 20 && batch; ++i) batch = loader.take();
  ASSERT_FALSE(batch);
  EXPECT_EQ(batch.error().kind(), Kind::kMalformed);
  EXPECT_NE(batch.error().message().find("vocabulary"), std::string::npos);
}

}  // namespace
}  // namespace longhaul::trainer
