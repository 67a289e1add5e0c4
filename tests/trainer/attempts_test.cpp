// One attempt of a run after another, and two at once.
#include <algorithm>
#include <barrier>
#include <numeric>
#include <thread>

#include "tests/trainer/small_train.hpp"

namespace longhaul::trainer {
namespace {

class Attempts : public SmallTrain {
 protected:
  Path step(std::uint64_t step) const { return checkpoint_path(options_.run, step); }
};

TEST_F(Attempts, ANewOneClaimsBeforeItLooksForTheNewestCheckpoint) {
  options_.checkpoint_every = 2;
  ASSERT_TRUE(train());
  ASSERT_EQ(checkpoints(), (std::vector<std::string>{"step-00000006", "step-00000008"}));
  // As if the older one, with --keep 1, wrote its last and deleted the one before while this
  // begins.
  const Path aside = folder_.path() / "aside";
  std::filesystem::rename(step(8), aside);
  on_claim_ = [&] {
    std::filesystem::rename(aside, step(8));
    std::filesystem::remove_all(step(6));
  };
  options_.resume = "auto";
  ASSERT_TRUE(train());
  EXPECT_TRUE(said("resumes at step 8\n")) << console_.err_text;
  EXPECT_FALSE(said("passed over")) << console_.err_text;
}

// Its reporter is that of a build without longhaul.h. It would not end otherwise.
TEST_F(Attempts, AnOlderOneEndsByItselfWhateverReportsIt) {
  options_.steps = 1'000'000'000;
  Control control;
  const OpenReporter open = [](const RunOpening& opening) {
    auto reporter = FileReporter::begin(opening);
    EXPECT_EQ(claim_attempt(opening.run).value(), 2U);
    return reporter;
  };
  Outside outside{console_, control, open, {}};
  const auto ended = longhaul::trainer::train(outside, options_);
  ASSERT_FALSE(ended);
  EXPECT_EQ(ended.error().kind(), Kind::kBusy);
  EXPECT_EQ(ended.error().why(), "a newer attempt of it has begun");
}

TEST(ClaimAttempt, GivesEachOfManyAtOnceANumberOfItsOwn) {
  constexpr std::size_t kThreads = 8, kEach = 50;
  const TemporaryFolder folder;
  std::barrier<> begin(kThreads);
  std::vector<std::uint64_t> numbers(kThreads * kEach);
  std::vector<std::thread> threads;
  for (std::size_t thread = 0; thread < kThreads; ++thread)
    threads.emplace_back([&, thread] {
      begin.arrive_and_wait();
      for (std::size_t i = 0; i < kEach; ++i)
        numbers[thread * kEach + i] = claim_attempt(folder.path()).value_or(0);
    });
  for (std::thread& thread : threads) thread.join();
  std::sort(numbers.begin(), numbers.end());
  std::vector<std::uint64_t> each_once(numbers.size());
  std::iota(each_once.begin(), each_once.end(), 1U);
  EXPECT_EQ(numbers, each_once);
}

TEST_F(Attempts, OneThatIsRefusedClaimsNothing) {
  ASSERT_TRUE(train());
  options_.resume = "auto";
  options_.batch = 4;
  const auto other = train();
  ASSERT_FALSE(other);
  EXPECT_EQ(other.error().kind(), Kind::kUsage);
  options_.batch = 2;
  options_.resume = "no";
  const Error again = train().error();
  EXPECT_EQ(again.kind(), Kind::kExists);
  EXPECT_EQ(again.why(), "it holds checkpoints");
  EXPECT_EQ(again.advice(), "go on with --resume auto, or choose another --run");
  EXPECT_EQ(newest_attempt(options_.run).value(), 1U) << "the one at work would end for it";
}

TEST_F(Attempts, AnOlderCheckpointIsTakenUpInARunOfItsOwn) {
  options_.checkpoint_every = 2;
  ASSERT_TRUE(train());
  const Path first = options_.run;
  options_.resume = step(6).native();
  const auto beneath = train();
  ASSERT_FALSE(beneath);
  EXPECT_EQ(beneath.error().kind(), Kind::kExists);
  EXPECT_EQ(beneath.error().why(), "the run holds a newer one: step-00000008");
  EXPECT_EQ(beneath.error().advice(), "choose another --run, or move the newer ones away");
  EXPECT_EQ(newest_attempt(first).value(), 1U);
  options_.run = folder_.path() / "fork";
  ASSERT_TRUE(train());
  EXPECT_TRUE(said("resumes at step 6\n")) << console_.err_text;
  options_.run = first;
  std::filesystem::remove_all(step(8));
  EXPECT_TRUE(train());
  // What is broken claims nothing.
  std::filesystem::remove_all(step(8));
  std::filesystem::resize_file(step(6) / "state.safetensors", 100);
  const auto broken = train();
  ASSERT_FALSE(broken);
  EXPECT_EQ(newest_attempt(first).value(), 2U);
}

TEST_F(Attempts, OtherTextOfTheSameSizeIsRefused) {
  ASSERT_TRUE(train());
  std::fstream(options_.data, std::ios::in | std::ios::out | std::ios::binary) << 'z';
  options_.resume = "auto";
  const auto other = train();
  ASSERT_FALSE(other);
  EXPECT_NE(other.error().message().find("its data-content is all:"), std::string::npos)
      << other.error().message();
}

TEST_F(Attempts, AChangedRuleIsSaidAndMarked) {
  ASSERT_TRUE(train());
  options_.resume = "auto";
  options_.rate = 0.0001;
  options_.floor = 0;
  ASSERT_TRUE(train());
  const std::string words =
      "goes on by other rules: differs in floor (0.1, now 0), rate (0.02, now 0.0001)";
  EXPECT_TRUE(said("longhaul-train: " + words + "\n")) << console_.err_text;
  EXPECT_EQ(marks_with(words), 1U);
  EXPECT_FALSE(said("not the same bits")) << console_.err_text;
}

TEST_F(Attempts, AnOlderVersionsCheckpointIsGoneOnFrom) {
  ASSERT_TRUE(train());
  const Path notes = step(8) / "checkpoint.json";
  std::string text = read_text(notes, 1 << 20).value();
  const auto change = [&](const std::string& from, const std::string& to) {
    const auto at = text.find(from);
    ASSERT_NE(at, std::string::npos) << from;
    text.replace(at, from.size(), to);
  };
  change("\"scale\": \"jordan\"", "\"scale\": \"\"");
  change("\"rate\": \"0.02\",", "");
  change("\"data-content\": ", "\"another-key\": ");
  std::ofstream(notes) << text;
  options_.resume = "auto";
  options_.rate = 0.0001;
  options_.scale = "jordan";
  ASSERT_TRUE(train());
  EXPECT_TRUE(said("resumes at step 8\n")) << console_.err_text;
  EXPECT_FALSE(said("differs in")) << console_.err_text;
}

}  // namespace
}  // namespace longhaul::trainer
