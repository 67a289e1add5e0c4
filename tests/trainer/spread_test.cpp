// Several ranks against one: what the backward pass calls final is, and a step of N ranks is a step
// of one. Ranks are threads here, their sums are made in memory.
#include <gtest/gtest.h>

#include <algorithm>
#include <barrier>
#include <set>
#include <thread>

#include "trainer/engine/optimizer.hpp"
#include "trainer/ranks/gradient_reducer.hpp"

namespace longhaul::trainer {
namespace {

constexpr std::int64_t kSamples = 4, kSequence = 12, kVocab = 29;

ModelConfig config_of(bool tied) {
  ModelConfig config = named_config("tiny").value();
  config.vocab = kVocab;
  config.layers = 3;
  config.hidden = 16;
  config.intermediate = 24;
  config.heads = 4;
  config.kv_heads = 2;
  config.head_dim = 4;
  config.tied = tied;
  return config;
}

struct Samples {
  std::vector<std::int64_t> tokens, targets;
  explicit Samples(std::uint64_t seed) {
    for (std::int64_t i = 0; i < kSamples * kSequence; ++i) {
      tokens.push_back((i * 7 + static_cast<std::int64_t>(seed) * 3 + i * i) % kVocab);
      targets.push_back((tokens.back() * 5 + 1) % kVocab);
    }
  }
  Batch slice(std::int64_t rank, std::int64_t ranks) const {
    const std::int64_t own = kSamples / ranks, at = rank * own * kSequence;
    return {tokens.data() + at, targets.data() + at, own, kSequence};
  }
};

TEST(Model, WhatItCallsFinalIsFinalAndAllOfIt) {
  for (const bool tied : {false, true}) {
    Model model(config_of(tied));
    model.init(3);
    const Samples samples(1);
    std::vector<int> named(static_cast<std::size_t>(model.layout().size()), 0);
    std::vector<float> then(named.size());
    model.train(samples.slice(0, 1), 0.01F, [&](std::int64_t offset, std::int64_t count) {
      for (std::int64_t i = offset; i < offset + count; ++i) {
        ++named[static_cast<std::size_t>(i)];
        then[static_cast<std::size_t>(i)] = model.gradients().data_ptr<float>()[i];
      }
    });
    for (std::size_t i = 0; i < named.size(); ++i) {
      ASSERT_EQ(named[i], 1) << i;
      ASSERT_EQ(then[i], model.gradients().data_ptr<float>()[i]) << i;
    }
  }
}

// Ranks in one process: a sum is made when the last one has come.
struct Shared {
  explicit Shared(std::int64_t ranks) : at(ranks), values(static_cast<std::size_t>(ranks)) {}
  std::barrier<> at;
  std::vector<std::span<float>> values;
  std::vector<double*> numbers = std::vector<double*>(values.size());
};
class InMemory final : public Collectives {
 public:
  InMemory(Shared& shared, std::size_t rank) : shared_(shared), rank_(rank) {}
  Result<> sum(std::span<float> values) override {
    shared_.values[rank_] = values;
    shared_.at.arrive_and_wait();
    std::vector<float> total(values.size(), 0);
    for (const auto& part : shared_.values)
      for (std::size_t i = 0; i < total.size(); ++i) total[i] += part[i];
    shared_.at.arrive_and_wait();
    std::copy(total.begin(), total.end(), values.begin());
    return {};
  }
  Result<> sum(std::span<double> values) override {
    shared_.numbers[rank_] = values.data();
    shared_.at.arrive_and_wait();
    double total = 0;
    for (const double* part : shared_.numbers) total += *part;
    shared_.at.arrive_and_wait();
    values[0] = total;
    return {};
  }
  Result<> gather(std::span<float> all, std::span<const std::size_t> counts) override {
    if (loses_at_gather) return fail(Kind::kLink, "gather");
    shared_.values[rank_] = all;
    shared_.at.arrive_and_wait();
    std::vector<float> whole;
    for (std::size_t r = 0, first = 0; r < counts.size(); first += counts[r++])
      for (std::size_t i = 0; i < counts[r]; ++i) whole.push_back(shared_.values[r][first + i]);
    shared_.at.arrive_and_wait();
    std::copy(whole.begin(), whole.end(), all.begin());
    return {};
  }
  bool loses_at_gather = false;

 private:
  Shared& shared_;
  std::size_t rank_;
};

struct Rank {
  Model model;
  Optimizer optimizer;
  InMemory sums;
  GradientReducer reducer;
  double loss = 0;
  std::optional<Error> lost{};
  Rank(const OptimizerConfig& config, Shared& shared, std::size_t rank, std::size_t ranks)
      : model(config_of(false)),
        optimizer((model.init(5), model), config),
        sums(shared, rank),
        reducer(
            sums,
            {model.gradients().data_ptr<float>(), static_cast<std::size_t>(model.layout().size())},
            1000) {
    optimizer.spread(
        {rank, ranks, [this](auto all, auto counts) { return sums.gather(all, counts); }});
  }
  void step(std::uint64_t step, const Batch& batch) {
    model.gradients().zero_();
    optimizer.extrapolate(1.5);
    loss = model.train(batch, 1.0F / (kSamples * kSequence),
                       [this](std::int64_t offset, std::int64_t n) { reducer.ready(offset, n); });
    ASSERT_TRUE(reducer.finish({&loss, 1}));
    lost = optimizer.step({.step = step}).lost;
  }
};

double distance(const at::Tensor& a, const at::Tensor& b) {
  return ((a - b).norm() / b.norm()).item<double>();
}

TEST(Ranks, AStepOfNIsAStepOfOneForEveryRule) {
  for (const char* name : {"muon", "normuon", "scion", "transported", "adamw"}) {
    const OptimizerConfig config = optimizer_preset(name).value();
    for (const std::int64_t ranks : {2, 4}) {
      Shared alone(1), shared(ranks);
      Rank one(config, alone, 0, 1);
      std::vector<std::unique_ptr<Rank>> many;
      for (std::int64_t r = 0; r < ranks; ++r)
        many.push_back(std::make_unique<Rank>(config, shared, r, ranks));
      for (std::uint64_t step = 0; step < 3; ++step) {
        const Samples samples(step);
        one.step(step, samples.slice(0, 1));
        std::vector<std::thread> threads;
        for (std::int64_t r = 0; r < ranks; ++r)
          threads.emplace_back(
              [&, r] { many[static_cast<std::size_t>(r)]->step(step, samples.slice(r, ranks)); });
        for (std::thread& thread : threads) thread.join();
        EXPECT_NEAR(many[0]->loss, one.loss, 1e-6 * one.loss) << name;
        // Each step from the same place: Newton-Schulz makes small differences larger.
        EXPECT_LT(distance(many[0]->model.weights(), one.model.weights()), 1e-6)
            << name << ", step " << step;
        for (const auto& rank : many)
          EXPECT_TRUE(at::equal(rank->model.weights(), many[0]->model.weights())) << name;
        for (const auto& rank : many) {
          rank->model.weights().copy_(one.model.weights());
          const auto to = rank->optimizer.state(), from = one.optimizer.state();
          ASSERT_EQ(to.size(), from.size());
          for (std::size_t i = 0; i < to.size(); ++i) {
            EXPECT_LT(distance(to[i].second, from[i].second), 1e-4) << name << to[i].first;
            to[i].second.copy_(from[i].second);
          }
        }
      }
    }
  }
}

// Matrices of unlike sizes: fewer than there are ranks, and far more.
TEST(PolarShares, HoldEachMatrixOnceAndNoRankMuchMoreThanItsPart) {
  for (const std::int64_t layers : {1, 3, 8}) {
    ModelConfig config = config_of(false);
    config.layers = layers;
    const ParameterLayout layout(config);
    for (const std::uint64_t ranks : {1U, 2U, 3U, 4U, 7U, 64U}) {
      const PolarShares shares = polar_shares(layout, ranks);
      std::set<std::pair<const MatrixGroup*, std::int64_t>> held;
      std::vector<double> load(ranks, 0);
      double largest = 0, sum = 0;
      for (const PolarShare& share : shares.all) {
        EXPECT_TRUE(held.emplace(share.group, share.k).second) << "twice";
        ASSERT_LT(share.owner, ranks);
        const double cost = polar_cost(*share.group);
        load[share.owner] += cost;
        sum += cost;
        largest = std::max(largest, cost);
      }
      std::size_t there = 0;
      for (const MatrixGroup& group : layout.groups())
        for (std::int64_t k = 0; k < group.count; ++k, ++there)
          EXPECT_TRUE(held.contains({&group, k})) << there;
      EXPECT_EQ(held.size(), there);
      const double mean = sum / static_cast<double>(ranks);
      EXPECT_LE(*std::max_element(load.begin(), load.end()), (mean + largest) * (1 + 1e-12))
          << layers << " layers, " << ranks << " ranks";
    }
  }
}

TEST(PolarShares, LieOneBehindTheOtherAsTheRanksAreCounted) {
  const ParameterLayout layout(config_of(false));
  for (const std::uint64_t ranks : {1U, 3U, 64U}) {
    const PolarShares shares = polar_shares(layout, ranks);
    std::vector<std::int64_t> begin(ranks + 1, 0);
    for (std::uint64_t r = 0; r < ranks; ++r)
      begin[r + 1] = begin[r] + static_cast<std::int64_t>(shares.counts[r]);
    EXPECT_EQ(begin.back(), shares.size);
    std::vector<std::int64_t> next(begin.begin(), begin.end() - 1);
    for (const PolarShare& share : shares.all) {
      EXPECT_EQ(share.place, next[share.owner]);
      next[share.owner] += share.group->rows * share.group->columns;
      EXPECT_LE(next[share.owner], begin[share.owner + 1]);
    }
  }
}

TEST(Ranks, AStepWhoseOtherRanksDieAtItsEndIsDoneAllTheSame) {
  const OptimizerConfig config = optimizer_preset("normuon").value();
  const auto step_of_two = [&](bool loses) {
    Shared shared(2);
    Rank first(config, shared, 0, 2), second(config, shared, 1, 2);
    first.sums.loses_at_gather = second.sums.loses_at_gather = loses;
    const Samples samples(1);
    std::thread other([&] { second.step(0, samples.slice(1, 2)); });
    first.step(0, samples.slice(0, 2));
    other.join();
    EXPECT_EQ(first.lost.has_value(), loses);
    return first.model.weights().clone();
  };
  EXPECT_TRUE(at::equal(step_of_two(true), step_of_two(false)));
}

}  // namespace
}  // namespace longhaul::trainer
