// Who is served when, and what is measured of it.
#include <gtest/gtest.h>

#include <map>

#include "lib/base/rng.hpp"
#include "trainer/serving/batcher.hpp"
#include "trainer/serving/row_products.hpp"
#include "trainer/serving/serve_report.hpp"

namespace longhaul::trainer {
namespace {

TEST(Batcher, JoinsAndLeavesBetweenRounds) {
  Batcher batcher({.pool_blocks = 8, .block_tokens = 4, .most_requests = 2, .round_tokens = 4});
  ASSERT_TRUE(batcher.add({1, 3, 3}));
  EXPECT_EQ(batcher.next(), (std::vector<RoundPart>{{1, 0, 3, true}}));
  EXPECT_TRUE(batcher.end_round().empty());
  ASSERT_TRUE(batcher.add({2, 5, 1}));
  // A token of the first; the rest of the round is the second's prompt.
  EXPECT_EQ(batcher.next(), (std::vector<RoundPart>{{1, 3, 1, true}, {2, 0, 3, false}}));
  EXPECT_TRUE(batcher.end_round().empty());
  EXPECT_EQ(batcher.next(), (std::vector<RoundPart>{{1, 4, 1, true}, {2, 3, 2, true}}));
  EXPECT_EQ(batcher.end_round(), (std::vector<std::uint64_t>{1, 2}));
  EXPECT_TRUE(batcher.next().empty());
  batcher.check();
}

TEST(Batcher, LetsInOnlyWhatThePoolHoldsToTheEnd) {
  Batcher batcher({.pool_blocks = 4, .block_tokens = 4, .most_requests = 4, .round_tokens = 16});
  EXPECT_EQ(batcher.add({9, 10, 8}).error().why(),
            "it is larger than the whole pool");  // 17 positions of 16
  ASSERT_TRUE(batcher.add({1, 8, 5}));            // 12 positions: 3 blocks
  ASSERT_TRUE(batcher.add({2, 4, 2}));            // 5: 2 blocks, one is free
  ASSERT_TRUE(batcher.add({3, 1, 1}));            // would fit, but came later
  batcher.next();
  EXPECT_EQ(batcher.at_work(), 1U);
  EXPECT_EQ(batcher.waiting(), 2U);
}

TEST(Batcher, ServesEveryPositionOnceInOrderWhateverComes) {
  for (std::uint64_t seed = 1; seed <= 200; ++seed) {
    Rng rng(seed, "batcher");
    const BatcherOptions options{.pool_blocks = static_cast<std::uint32_t>(rng.between(8, 40)),
                                 .block_tokens = 4,
                                 .most_requests = static_cast<std::uint32_t>(rng.between(1, 6)),
                                 .round_tokens = static_cast<std::uint32_t>(rng.between(6, 20))};
    Batcher batcher(options);
    std::map<std::uint64_t, Request> asked;
    std::map<std::uint64_t, std::uint32_t> done;
    std::vector<std::uint64_t> ended;
    std::uint64_t added = 0;
    while (added < 30 || ended.size() < 30) {
      if (added < 30 && rng.chance(0.5)) {
        const Request one{added, static_cast<std::uint32_t>(rng.between(1, 16)),
                          static_cast<std::uint32_t>(rng.between(1, 16))};
        asked[added++] = one;
        ASSERT_TRUE(batcher.add(one));
      }
      std::uint32_t tokens = 0;
      for (const RoundPart& part : batcher.next()) {
        const Request& one = asked[part.request];
        ASSERT_EQ(part.first, done[part.request]) << "seed " << seed;
        done[part.request] += part.count;
        tokens += part.count;
        ASSERT_EQ(part.makes, done[part.request] >= one.prompt);
        ASSERT_LE(done[part.request],
                  batcher.blocks_of(part.request).size() * options.block_tokens);
      }
      ASSERT_LE(tokens, options.round_tokens);
      for (const std::uint64_t id : batcher.end_round()) {
        ASSERT_EQ(done[id], asked[id].prompt + asked[id].output - 1);
        ended.push_back(id);
      }
      batcher.check();
    }
  }
}

TEST(RowProducts, ARowDoesNotKnowItsNeighbours) {
  const std::int64_t width = 75, columns = 33, rows = 11;
  Rng rng(4, "rows");
  std::vector<float> x(rows * width), w(columns * width);
  for (float& value : x) value = static_cast<float>(rng.unit() - 0.5);
  for (float& value : w) value = static_cast<float>(rng.unit() - 0.5);
  std::vector<float> all(rows * columns);
  row_products({x.data(), w.data(), all.data(), rows, width, columns}, 0, columns);
  for (std::int64_t first = 0; first < rows; ++first)
    for (std::int64_t count = 1; first + count <= rows; ++count) {
      std::vector<float> some(static_cast<std::size_t>(count * columns));
      row_products({x.data() + first * width, w.data(), some.data(), count, width, columns}, 0,
                   columns);
      ASSERT_TRUE(std::equal(some.begin(), some.end(), all.begin() + first * columns));
    }
  double exact = 0;
  for (std::int64_t i = 0; i < width; ++i)
    exact += static_cast<double>(x[static_cast<std::size_t>(2 * width + i)]) *
             static_cast<double>(w[static_cast<std::size_t>(5 * width + i)]);
  EXPECT_NEAR(all[2 * columns + 5], exact, 1e-5);
}

TEST(ServeReport, FollowsTheUsualDefinitions) {
  const auto at = [](Duration after) { return Time{} + after; };
  const std::vector<Served> served = {{at(0s), 10, {at(1s), at(1500ms), at(3s)}},
                                      {at(1s), 20, {at(3s), at(3100ms)}},
                                      {at(2s), 30, {at(4s)}}};
  const ServeReport report = report_of(served, {.ttft = 2s, .tpot = 500ms});
  EXPECT_DOUBLE_EQ(report.seconds, 4);
  EXPECT_DOUBLE_EQ(report.requests_per_second, 0.75);
  EXPECT_DOUBLE_EQ(report.output_per_second, 1.5);
  EXPECT_DOUBLE_EQ(report.total_per_second, 16.5);
  EXPECT_DOUBLE_EQ(report.ttft.mean, 5.0 / 3);
  EXPECT_DOUBLE_EQ(report.ttft.median, 2);
  EXPECT_DOUBLE_EQ(report.tpot.mean, (1 + 0.1) / 2);  // one token has no pace
  EXPECT_DOUBLE_EQ(report.itl.mean, (0.5 + 1.5 + 0.1) / 3);
  EXPECT_DOUBLE_EQ(report.end_to_end.median, 2.1);
  EXPECT_EQ(report.within, 2U);  // the first is too slow after its first token
  EXPECT_DOUBLE_EQ(report.goodput, 0.5);
  EXPECT_DOUBLE_EQ(percentile({1, 2, 3, 4}, 50), 2.5);
  EXPECT_DOUBLE_EQ(percentile({4, 1}, 99), 3.97);
}

}  // namespace
}  // namespace longhaul::trainer
