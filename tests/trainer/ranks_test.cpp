// Several ranks: where each stands, what they say, who waits for whom, and how gradients are
// summed.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <future>
#include <map>

#include "trainer/ranks/gate.hpp"
#include "trainer/ranks/gradient_reducer.hpp"
#include "trainer/ranks/loaded_library.hpp"
#include "trainer/ranks/place.hpp"

namespace longhaul::trainer {
namespace {

Result<RankPlace> placed(const std::map<std::string, std::string>& variables) {
  return rank_place_of([&](const char* name) {
    const auto found = variables.find(name);
    return found == variables.end() ? nullptr : found->second.c_str();
  });
}

TEST(RankPlace, FollowsTorchrun) {
  EXPECT_TRUE(placed({}).value().alone());
  const std::map<std::string, std::string> set = {{"RANK", "3"},
                                                  {"WORLD_SIZE", "8"},
                                                  {"LOCAL_RANK", "1"},
                                                  {"MASTER_ADDR", "node07"},
                                                  {"MASTER_PORT", "29500"}};
  EXPECT_EQ(placed(set).value(), (RankPlace{3, 8, 1, "node07", 29500, -1}));
  auto one = set;
  one["CUDA_VISIBLE_DEVICES"] = "GPU-5a2f";
  EXPECT_EQ(placed(one).value().gpu, 0);
  one["CUDA_VISIBLE_DEVICES"] = "0,1";
  EXPECT_EQ(placed(one).value().gpu, 1);
  auto agent = set;
  agent["TORCHELASTIC_USE_AGENT_STORE"] = "True";
  EXPECT_EQ(placed(agent).value().port, 29501);
  for (const char* missing : {"RANK", "MASTER_PORT"}) {
    auto less = set;
    less.erase(missing);
    const auto place = placed(less);
    ASSERT_FALSE(place);
    EXPECT_NE(place.error().message().find(missing), std::string::npos);
  }
  auto wrong = set;
  for (const char* rank : {"8", "-1", "1x", "99999999999999999999"}) {
    wrong["RANK"] = rank;
    EXPECT_FALSE(placed(wrong)) << rank;
  }
  wrong["RANK"] = "1x";
  EXPECT_EQ(placed(wrong).error().why(), "1x is no number that fits there");
}

TEST(RankPlace, FollowsSrunButNoBatchScript) {
  const std::map<std::string, std::string> batch = {
      {"SLURM_NTASKS", "4"}, {"SLURM_PROCID", "0"}, {"SLURM_JOB_ID", "70001"}};
  EXPECT_TRUE(placed(batch).value().alone());
  auto step = batch;
  step["SLURM_STEP_NUM_TASKS"] = "4";
  step["SLURM_PROCID"] = "2";
  step["SLURM_LOCALID"] = "1";
  step["SLURM_STEP_NODELIST"] = "gpu[03-04,9],cpu1";
  EXPECT_EQ(placed(step).value(), (RankPlace{2, 4, 1, "gpu03", 20000 + 70001 % 12000, -1}));
  step["CUDA_VISIBLE_DEVICES"] = "3";  // srun --gpus-per-task=1
  EXPECT_EQ(placed(step).value().gpu, 0);
  step.erase("SLURM_STEP_NODELIST");
  EXPECT_EQ(placed(step).error().why(), "neither MASTER_ADDR nor SLURM_STEP_NODELIST is set");
}

TEST(RankPlace, FindsTheFirstHostOfAList) {
  EXPECT_EQ(first_host("a"), "a");
  EXPECT_EQ(first_host("a,b[1-2]"), "a");
  EXPECT_EQ(first_host("n[1,3-5]"), "n1");
  EXPECT_EQ(first_host("n[003-5]-ib,m"), "n003-ib");
  EXPECT_EQ(first_host("n["), "n");
}

TEST(LoadedLibrary, TwoNcclsInOneProcessAreRefused) {
  const std::vector<std::string> one = {"/lib/libc.so.6", "/opt/nccl/lib/libnccl.so.2.28.3",
                                        "/opt/aws/lib/libnccl-net.so", "/opt/libnccl-tuner.so"};
  EXPECT_TRUE(expect_one_nccl(one));
  EXPECT_TRUE(expect_one_nccl({}));
  std::vector<std::string> two = one;
  two.emplace_back("/venv/nvidia/nccl/lib/libnccl.so.2");
  const Result<> refused = expect_one_nccl(two);
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().kind(), Kind::kUnsupported);
  EXPECT_EQ(refused.error().message(),
            "sum over the ranks by NCCL: two copies of it are loaded, "
            "/opt/nccl/lib/libnccl.so.2.28.3 and /venv/nvidia/nccl/lib/libnccl.so.2");
  EXPECT_EQ(refused.error().advice(), "build with NCCL_LIBRARY set to the one that LibTorch loads");
}

TEST(LoadedLibrary, ThoseOfThisProcessAreNamed) {
  EXPECT_THAT(loaded_libraries(), testing::Contains(testing::HasSubstr("/libc.so")));
}

TEST(RankMessage, ComesBackFromAnySplit) {
  const std::vector<Message> said = {{Message::Kind::kReady, true, 7},
                                     {Message::Kind::kWaits, false, 8, "chunk 3"},
                                     {Message::Kind::kGo, false, 1U << 31, std::string(3000, 'x')}};
  std::string wire, buffer;
  for (const Message& message : said) wire += to_frame(message);
  std::vector<Message> heard;
  for (const char byte : wire) {
    buffer += byte;
    while (auto taken = take_frame(buffer).value()) heard.push_back(*std::move(taken));
  }
  EXPECT_EQ(heard, said);
  EXPECT_TRUE(buffer.empty());
}

TEST(RankMessage, RefusesWhatIsNoFrame) {
  const std::string good = to_frame({Message::Kind::kReady, false, 7});
  for (std::size_t byte : {0U, 3U, 4U, 5U}) {  // length, its top, kind, stop
    std::string bad = good;
    bad[byte] = byte == 0 ? '\1' : '\x7f';
    EXPECT_FALSE(take_frame(bad)) << byte;
  }
  EXPECT_FALSE(parts_of(std::string("\xff\0\0\0ab", 6), 4));
  const std::vector<std::string> two = {"a", ""};
  EXPECT_EQ(parts_of(to_text(two), 2).value(), two);
  EXPECT_EQ(parts_of(to_text(two), 1).error().why(), "it is no message of this version");
}

TEST(RankMessage, CarriesSettingsExactly) {
  std::vector<Command> set(2);
  set[0] = {9, Command::Verb::kSet, "lr", 0.1, "me"};
  set[1] = {10, Command::Verb::kScale, "clip", 1e-300, ""};
  const auto heard = settings_of(to_text(set)).value();
  ASSERT_EQ(heard.size(), 2U);
  EXPECT_EQ(heard[0].key, "lr");
  EXPECT_EQ(heard[0].value, 0.1);
  EXPECT_EQ(heard[1].verb, Command::Verb::kScale);
  EXPECT_EQ(heard[1].value, 1e-300);
  const std::vector<Command> stop = {{1, Command::Verb::kStop, "", 0, ""}};
  EXPECT_FALSE(settings_of(to_text(stop)));
}

TEST(Gate, OpensWhenEveryRankHoldsTheBatch) {
  Gate gate(3);
  EXPECT_FALSE(gate.open(0));
  gate.on_message(1, {Message::Kind::kReady, false, 0});
  EXPECT_FALSE(gate.open(0));
  EXPECT_EQ(gate.waits_for(0), "rank 2");
  gate.on_message(2, {Message::Kind::kWaits, false, 0, "chunk 5"});
  EXPECT_EQ(gate.waits_for(0), "rank 2: chunk 5");
  gate.on_message(2, {Message::Kind::kReady, false, 0});
  EXPECT_TRUE(gate.open(0));
  EXPECT_FALSE(gate.open(1));
  gate.on_message(1, {Message::Kind::kReady, false, 1});
  EXPECT_FALSE(gate.open(1));  // rank 2 is still at step 0
}

TEST(Gate, HearsASignalAndADeathFromAnyRank) {
  Gate gate(3);
  gate.on_message(2, {Message::Kind::kReady, true, 4});
  EXPECT_TRUE(gate.stop_asked());
  EXPECT_FALSE(gate.lost());
  gate.on_gone(1);
  ASSERT_TRUE(gate.lost());
  EXPECT_EQ(gate.lost()->why(), "rank 1 is gone: its process or its host has died");
  EXPECT_EQ(gate.lost()->advice(), "start the run again with --resume auto");
  gate.on_message(2, {Message::Kind::kFailed, false, 0, "its disk"});
  EXPECT_NE(gate.lost()->message().find("rank 1"), std::string::npos);  // the first tells
}

TEST(Gate, AnErrorOfAnyRankIsTheRunsOwnKindOfError) {
  for (const Kind kind : {Kind::kNotFound, Kind::kNoSpace, Kind::kInterrupted, Kind::kLink}) {
    Gate gate(3);
    gate.on_message(2, failed_by(Error(kind, "read shards/a.bin", "nobody has it")));
    ASSERT_TRUE(gate.lost());
    EXPECT_EQ(gate.lost()->kind(), kind);
    EXPECT_EQ(gate.lost()->message(),
              "train with 3 ranks: rank 2: read shards/a.bin: nobody has it");
    const bool again = kind == Kind::kLink;  // else a new start meets the same
    EXPECT_EQ(gate.lost()->advice(), again ? "start the run again with --resume auto" : "");
    EXPECT_EQ(gate.stop_asked(), kind == Kind::kInterrupted);
  }
  Gate gate(3);
  gate.on_message(1, {Message::Kind::kFailed, false, 200, "of a version to come"});
  EXPECT_EQ(gate.lost()->kind(), Kind::kLink);
}

// Ranks 1 and 3 saw rank 2's death inside a sum and end, all while rank 0 computed.
TEST(Gate, WhoDiedIsToldBeforeWhoSufferedFromIt) {
  const Message suffered = failed_by(Error(Kind::kLink, "sum over the ranks", "connection reset"));
  Gate gate(4);
  gate.on_message(1, suffered);
  gate.on_gone(1);
  ASSERT_TRUE(gate.lost());
  EXPECT_EQ(gate.lost()->why(), "rank 1: sum over the ranks: connection reset");
  gate.on_message(3, suffered);
  gate.on_gone(3);
  EXPECT_EQ(gate.lost()->why(), "rank 1: sum over the ranks: connection reset");
  gate.on_gone(2);
  EXPECT_EQ(gate.lost()->why(), "rank 2 is gone: its process or its host has died");
  gate.on_gone(0);  // the first one that died is told
  EXPECT_EQ(gate.lost()->why(), "rank 2 is gone: its process or its host has died");
}

TEST(Gate, ARankThatGivesOrdersIsRefused) {
  Gate gate(3);
  gate.on_message(2, {Message::Kind::kGo, false, 0, ""});
  ASSERT_TRUE(gate.lost());
  EXPECT_EQ(gate.lost()->why(), "rank 2 says what only rank 0 may say");
}

// Sums that wait until a test lets them.
class HeldSums final : public Collectives {
 public:
  Result<> sum(std::span<float> values) override {
    began.push_back(values.size());
    if (began.size() == 1) first_began.set_value();
    if (began.size() == 1) may_go.get_future().wait();
    if (fails) return fail(Kind::kLink, "sum");
    for (float& value : values) value *= 2;
    return {};
  }
  Result<> sum(std::span<double> values) override {
    values[0] *= 2;
    return {};
  }
  Result<> gather(std::span<float>, std::span<const std::size_t>) override { return {}; }
  std::vector<std::size_t> began;
  std::promise<void> first_began, may_go;
  bool fails = false;
};

TEST(GradientReducer, SumsWhileTheBackwardPassGoesOn) {
  HeldSums sums;
  std::vector<float> gradient(100, 1);
  GradientReducer reducer(sums, gradient, 30);
  reducer.ready(60, 30);
  sums.first_began.get_future().wait();  // a sum runs ..
  for (int i = 0; i < 60; ++i) gradient[static_cast<std::size_t>(i)] = 3;
  reducer.ready(40, 20);  // .. and this thread goes on
  reducer.ready(0, 40);
  reducer.ready(90, 10);
  sums.may_go.set_value();
  double loss = 1.5;
  ASSERT_TRUE(reducer.finish({&loss, 1}));
  EXPECT_EQ(loss, 3);
  EXPECT_EQ(sums.began, (std::vector<std::size_t>{30, 60, 10}));  // in the order of naming
  for (std::size_t i = 0; i < 100; ++i) EXPECT_EQ(gradient[i], i < 60 ? 6 : 2) << i;
}

// Of a gradient on a GPU: no range is summed before what its mark returned has come back, and none
// is gathered with another.
TEST(GradientReducer, WaitsForEachMarkBeforeItsSum) {
  HeldSums sums;
  sums.may_go.set_value();
  std::vector<float> gradient(100, 1);
  int marked = 0;
  std::vector<std::size_t> summed_before;  // the reducer's thread's, until finish()
  GradientReducer reducer(sums, gradient, 1000, [&] {
    ++marked;
    return [&, mine = marked] {
      EXPECT_EQ(sums.began.size() + 1, static_cast<std::size_t>(mine));
      summed_before.push_back(sums.began.size());
    };
  });
  reducer.ready(60, 40);
  reducer.ready(20, 40);
  reducer.ready(0, 20);
  EXPECT_EQ(marked, 3);
  double loss = 1;
  ASSERT_TRUE(reducer.finish({&loss, 1}));
  EXPECT_EQ(sums.began, (std::vector<std::size_t>{40, 40, 20}));
  EXPECT_EQ(summed_before, (std::vector<std::size_t>{0, 1, 2}));
}

TEST(GradientReducer, EndsWithTheErrorOfALostRank) {
  HeldSums sums;
  sums.fails = true;
  std::vector<float> gradient(100, 1);
  GradientReducer reducer(sums, gradient, 10);
  for (int i = 0; i < 10; ++i) reducer.ready(10 * i, 10);
  sums.may_go.set_value();
  double loss = 0;
  const Result<> done = reducer.finish({&loss, 1});
  ASSERT_FALSE(done);
  EXPECT_EQ(done.error().kind(), Kind::kLink);
  EXPECT_EQ(sums.began.size(), 1U);  // nothing is summed any more
}

}  // namespace
}  // namespace longhaul::trainer
