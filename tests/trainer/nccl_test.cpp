// NCCL's side of the Collectives port over a stand-in for NCCL and CUDA, a thread a rank: what it
// does while calls are in progress, and when they end in nothing. No GPU takes part in it.
#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <barrier>
#include <future>
#include <thread>

#include "tests/trainer/nccl_stand_in.hpp"
#include "trainer/ranks/gradient_reducer.hpp"
#include "trainer/ranks/nccl_collectives.hpp"

namespace longhaul::trainer {
namespace {

using nccl_stand_in::kNever;
using nccl_stand_in::Rules;
using testing::HasSubstr;
using Made = std::unique_ptr<Collectives>;
constexpr Duration kLong =
    std::chrono::hours(1);  // a test that waits for it fails by its own limit

// As many ranks as there are GPUs in the stand-in, which begins with each.
class Ranks {
 public:
  explicit Ranks(std::size_t count, const Rules& rules = {})
      : texts_(count), met_(static_cast<std::ptrdiff_t>(count)) {
    nccl_stand_in::begin(count, rules);
  }
  Membership membership(std::uint64_t rank) {
    Membership out;
    out.rank = out.gpu = rank;
    out.ranks = texts_.size();
    out.patience = kLong;
    out.exchange = [this, rank](const std::string& mine) -> Result<std::vector<std::string>> {
      texts_[rank] = mine;
      met_.arrive_and_wait();
      return texts_;
    };
    return out;
  }
  // body(rank) by a thread of each, joined.
  template <class Body>
  void each(Body&& body) const {
    std::vector<std::thread> threads;
    for (std::uint64_t rank = 0; rank < texts_.size(); ++rank)
      threads.emplace_back([&body, rank] { body(rank); });
    for (std::thread& thread : threads) thread.join();
  }
  // Opened by all, each with its own change to what is said of it.
  template <class Change>
  std::vector<Made> open(Change&& change) {
    std::vector<Made> made(texts_.size());
    each([&](std::uint64_t rank) {
      Membership mine = membership(rank);
      change(rank, mine);
      auto opened = nccl_collectives(mine);
      ASSERT_TRUE(opened) << opened.error().message();
      made[rank] = *std::move(opened);
    });
    return made;
  }
  std::vector<Made> open() {
    return open([](auto, auto&) {});
  }

 private:
  std::vector<std::string> texts_;
  std::barrier<> met_;
};

Result<> sum_of_three(Collectives& collectives) {
  std::vector<float> values(3, 1);
  return collectives.sum(std::span(values));
}

// It has been given up, once, and for good: no call is made any more.
void expect_given_up(Collectives& collectives, std::uint64_t rank, const std::string& why) {
  EXPECT_EQ(nccl_stand_in::aborts(rank), 1) << why;
  nccl_stand_in::set(rank, {});
  const std::size_t launched = nccl_stand_in::launches(rank).size();
  std::vector<double> few = {1};
  std::vector<float> all = {1, 2};
  const std::vector<std::size_t> counts = {1, 1};
  const std::vector<Result<>> calls = {sum_of_three(collectives), collectives.sum(std::span(few)),
                                       collectives.gather(all, counts)};
  for (const Result<>& call : calls) {
    ASSERT_FALSE(call) << why;
    EXPECT_THAT(call.error().message(), HasSubstr(why));
  }
  EXPECT_EQ(nccl_stand_in::launches(rank).size(), launched);
  EXPECT_EQ(nccl_stand_in::aborts(rank), 1) << why;
}

void expect_all_given_back() {
  EXPECT_EQ(nccl_stand_in::held(), 0);
  EXPECT_THAT(nccl_stand_in::misuses(), testing::IsEmpty());
}

TEST(NcclRanks, SumAndGatherWhatIsDoneAtOnceAndWhatIsInProgress) {
  for (const int polls : {0, 3}) {
    Ranks ranks(2, {polls});
    auto made = ranks.open();
    ranks.each([&](std::uint64_t rank) {
      const float mine = rank == 0 ? 1.5F : 2.0F;
      std::vector<float> values = {mine, -mine, 1};
      ASSERT_TRUE(made[rank]->sum(std::span(values)));
      EXPECT_EQ(values, (std::vector<float>{3.5F, -3.5F, 2}));
      std::vector<double> few = {0.25 * static_cast<double>(rank + 1), 7};
      ASSERT_TRUE(made[rank]->sum(std::span(few)));
      EXPECT_EQ(few, (std::vector<double>{0.75, 14}));
      ASSERT_TRUE(made[rank]->sum(std::span<float>()));
      std::thread([&] {  // one that has not said which GPU is its own
        const std::vector<std::size_t> counts = {1, 2};
        std::vector<float> all =
            rank == 0 ? std::vector<float>{10, 0, 0} : std::vector{0.F, 20.F, 21.F};
        ASSERT_TRUE(made[rank]->gather(all, counts));
        EXPECT_EQ(all, (std::vector<float>{10, 20, 21}));
        const std::vector<std::size_t> one = {0, 2};
        std::vector<float> rest = rank == 0 ? std::vector<float>{0, 0} : std::vector<float>{5, 6};
        ASSERT_TRUE(made[rank]->gather(rest, one));
        EXPECT_EQ(rest, (std::vector<float>{5, 6}));
      })
          .join();
    });
    EXPECT_THAT(nccl_stand_in::launches(1),
                testing::ElementsAre("sum of 3 f32", "sum of 2 f64", "broadcast of 1 f32 from 0",
                                     "broadcast of 2 f32 from 1", "broadcast of 2 f32 from 1"));
    EXPECT_EQ(nccl_stand_in::launches(0), nccl_stand_in::launches(1));
    made.clear();
    EXPECT_EQ(nccl_stand_in::aborts(0) + nccl_stand_in::aborts(1), 2);  // nothing is waited for
    expect_all_given_back();
  }
}

// A trainer's thread goes on to launch its own work, and asks whether that has failed.
TEST(NcclRanks, ASumThatWasWaitedForLeavesNoErrorBehind) {
  Ranks ranks(2);
  std::barrier asked(2);
  bool summing = false;
  auto made = ranks.open([&](std::uint64_t rank, Membership& mine) {
    if (rank == 0)
      mine.gone = [&]() -> std::optional<std::string> {
        if (std::exchange(summing, false)) asked.arrive_and_wait();
        return std::nullopt;
      };
  });
  summing = true;
  ranks.each([&](std::uint64_t rank) {
    if (rank == 1) asked.arrive_and_wait();  // rank 0 has found its stream not ready
    EXPECT_TRUE(sum_of_three(*made[rank]));
    EXPECT_FALSE(nccl_stand_in::leaves_an_error()) << rank;
  });
  EXPECT_FALSE(summing);
  made.clear();
  expect_all_given_back();
}

TEST(NcclRanks, LaunchBucketsInTheOrderInWhichThePassNamesThem) {
  Ranks ranks(2, {2});
  auto made = ranks.open();
  const std::vector<std::int64_t> sizes = {5, 1, 7, 3, 2};
  ranks.each([&](std::uint64_t rank) {
    std::vector<float> gradient(18, static_cast<float>(rank + 1));
    // A rank's events come when they come; its buckets go by their names all the same.
    GradientReducer reducer(*made[rank], gradient, kBucketFloats, [rank] {
      return [rank] {
        for (std::uint64_t i = 0; i < 10 * rank; ++i) std::this_thread::yield();
      };
    });
    for (std::int64_t step = 0; step < 3; ++step) {
      std::int64_t end = 18;
      for (const std::int64_t size : sizes) reducer.ready(end -= size, size);
      double loss = 1;
      ASSERT_TRUE(reducer.finish({&loss, 1}));
      EXPECT_EQ(loss, 2);
    }
    EXPECT_EQ(gradient, std::vector<float>(18, 12));  // 3, doubled at each step
  });
  const auto launched = nccl_stand_in::launches(0);
  ASSERT_EQ(launched.size(), 18U);
  for (std::size_t i = 0; i < 18; ++i)
    EXPECT_EQ(launched[i],
              i % 6 == 5 ? "sum of 1 f64" : fmt::format("sum of {} f32", sizes[i % 6]));
  EXPECT_EQ(nccl_stand_in::launches(1), launched);
  made.clear();
  expect_all_given_back();
}

TEST(NcclRanks, AnErrorThatComesLaterAbortsOnce) {
  Ranks ranks(2);
  auto made = ranks.open();
  nccl_stand_in::set(0, {.loses_peer = true});
  const Result<> summed = sum_of_three(*made[0]);  // rank 1 does not come
  ASSERT_FALSE(summed);
  EXPECT_EQ(summed.error().kind(), Kind::kLink);
  expect_given_up(*made[0], 0, "sum over the ranks by NCCL: remote process exited");
  made.clear();
  expect_all_given_back();
}

TEST(NcclRanks, AnErrorWhileACallIsInProgressAbortsOnce) {
  Ranks ranks(2);
  auto made = ranks.open();
  nccl_stand_in::set(0, {kNever, true});
  EXPECT_FALSE(sum_of_three(*made[0]));
  expect_given_up(*made[0], 0, "remote process exited");
  made.clear();
  expect_all_given_back();
}

TEST(NcclRanks, ARankThatDoesNotComeIsATimeoutAfterThePatience) {
  for (const Rules& rules : {Rules{}, Rules{kNever}}) {  // in the sum, and before it has begun
    Ranks ranks(2);
    auto made = ranks.open([](auto, Membership& mine) { mine.patience = 20ms; });
    nccl_stand_in::set(0, rules);
    const Result<> summed = sum_of_three(*made[0]);
    ASSERT_FALSE(summed);
    EXPECT_EQ(summed.error().kind(), Kind::kTimeout);
    expect_given_up(*made[0], 0, "a rank does not come");
    made.clear();
    expect_all_given_back();
  }
}

TEST(NcclRanks, ARankThatTheHeartbeatMissesIsNotWaitedFor) {
  for (const Rules& rules : {Rules{}, Rules{kNever}}) {
    Ranks ranks(2);
    auto made = ranks.open([](auto, Membership& mine) {  // whose patience is an hour
      mine.gone = []() -> std::optional<std::string> { return "rank 1 is gone"; };
    });
    nccl_stand_in::set(0, rules);
    const Result<> summed = sum_of_three(*made[0]);
    ASSERT_FALSE(summed);
    EXPECT_EQ(summed.error().kind(), Kind::kLink);
    expect_given_up(*made[0], 0, "sum over the ranks by NCCL: rank 1 is gone");
    made.clear();
    expect_all_given_back();
  }
}

TEST(NcclRanks, ARankThatIsGoneBeforeTheCliqueIsMadeEndsTheOpening) {
  Ranks ranks(1, {kNever});
  Membership mine = ranks.membership(0);
  mine.gone = []() -> std::optional<std::string> { return "rank 1 is gone"; };
  const auto opened = nccl_collectives(mine);
  ASSERT_FALSE(opened);
  EXPECT_THAT(opened.error().message(), HasSubstr("rank 1 is gone"));
  EXPECT_EQ(nccl_stand_in::aborts(0), 1);
  expect_all_given_back();
}

// Who is done first with the last sum may leave, while it is not yet done here.
TEST(NcclRanks, ARankThatLeavesAfterItsPartIsNoError) {
  Ranks ranks(2);
  std::vector<Made> made;
  made = ranks.open([&](std::uint64_t rank, Membership& mine) {
    if (rank == 0)
      mine.gone = [&]() -> std::optional<std::string> {
        if (!made[1]) return "rank 1 is gone";
        std::thread([&] { EXPECT_TRUE(sum_of_three(*made[1])); }).join();
        made[1].reset();
        return "rank 1 is gone";
      };
  });
  EXPECT_TRUE(sum_of_three(*made[0]));
  made.clear();
  expect_all_given_back();
}

TEST(NcclRanks, EveryCallThatFailsEndsInAnAbortAndAnError) {
  for (const char* call : {"cudaSetDevice", "cudaMemcpyAsync", "cudaStreamQuery", "ncclAllReduce",
                           "ncclBroadcast", "ncclGroupStart", "ncclGroupEnd"}) {
    Ranks ranks(1);
    auto made = ranks.open();
    nccl_stand_in::set(0, {.fails = call});
    std::vector<float> all = {1};
    std::vector<double> few = {1};
    const std::vector<std::size_t> counts = {1};
    const bool of_gather = std::string(call).find("Broadcast") != std::string::npos ||
                           std::string(call).find("Group") != std::string::npos;
    const Result<> done = of_gather ? made[0]->gather(all, counts) : made[0]->sum(std::span(few));
    ASSERT_FALSE(done) << call;
    const bool of_cuda = std::string(call).starts_with("cuda");
    EXPECT_EQ(done.error().kind(), of_cuda ? Kind::kIo : Kind::kLink) << call;
    expect_given_up(*made[0], 0, of_cuda ? "unspecified launch failure" : "unhandled system error");
    made.clear();
    expect_all_given_back();
  }
}

TEST(NcclRanks, EveryCallThatFailsAtTheOpeningIsAnError) {
  for (const char* call : {"cudaSetDevice", "cudaStreamCreateWithFlags", "cudaMalloc",
                           "ncclGetUniqueId", "ncclCommInitRankConfig", "ncclCommGetAsyncError"}) {
    Ranks ranks(1, {2, false, call});
    const auto opened = nccl_collectives(ranks.membership(0));
    ASSERT_FALSE(opened) << call;
    EXPECT_THAT(opened.error().message(), HasSubstr("sum over the ranks by NCCL: ")) << call;
    EXPECT_EQ(nccl_stand_in::aborts(0), std::string(call) == "ncclCommGetAsyncError" ? 1 : 0)
        << call;
    expect_all_given_back();
  }
}

TEST(NcclRanks, AnIdThatIsNoneIsRefused) {
  Ranks ranks(1);
  Membership mine = ranks.membership(0);
  mine.exchange = [](const std::string&) -> Result<std::vector<std::string>> {
    return std::vector<std::string>{"short"};
  };
  const auto opened = nccl_collectives(mine);
  ASSERT_FALSE(opened);
  EXPECT_THAT(opened.error().message(), HasSubstr("rank 0 has sent no id"));
  expect_all_given_back();
}

}  // namespace
}  // namespace longhaul::trainer
