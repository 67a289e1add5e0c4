// What a resume compares: each flag that changes what is computed is either refused or named, one
// by one; checkpoints of before that are still understood.
#include "trainer/same_run.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <fstream>
#include <set>

#include "tests/trainer/temporary_folder.hpp"
#include "trainer/build_ids.hpp"
#include "trainer/engine/train_setup.hpp"
#include "trainer/folder_source.hpp"
#include "trainer/json.hpp"

namespace longhaul::trainer {
namespace {

class SameRun : public testing::Test {
 protected:
  SameRun() {
    std::ofstream(folder_.path() / "a.bin") << "0123456789";
    options_.optimizer = "transported";
  }
  Facts facts(const TrainOptions& options) const {
    const auto data = FolderSource::open(folder_.path()).value();
    return settings_of(options, optimizer_of(options).value(), *data).value();
  }
  Facts facts() const { return facts(options_); }
  // With one flag given; nullopt: there is no such flag.
  std::optional<Facts> with(const std::string& flag, const std::string& value) const {
    TrainOptions other = options_;
    Options options;
    list_options(options, other);
    const std::vector<std::string> words = {"--" + flag + "=" + value};
    if (!options.parse(words)) return std::nullopt;
    return facts(other);
  }

  TemporaryFolder folder_;
  TrainOptions options_;
};

struct Changed {
  const char *flag, *value, *told;  // told: what is said; as a checkpoint with its key is refused
};
constexpr Changed kToldOnes[] = {
    {"rate", "0.0001", "rate (0.02, now 0.0001)"},
    {"rest-rate", "0.5", "rest-rate (0.003, now 0.5)"},
    {"momentum", "0.5", "momentum (0.95, now 0.5)"},
    {"nesterov", "yes", "nesterov (no, now yes)"},
    {"polar", "polar-express", "polar (newton-schulz, now polar-express)"},
    {"decay", "0.5", "decay (0, now 0.5)"},
    {"kappa", "1", "kappa (2, now 1)"},
    {"clip", "1", "clip (0, now 1)"},
    {"spike", "9", "spike (0, now 9)"},
    {"noise", "0.5", "noise (0, now 0.5)"},
    {"noise-alpha", "2", "noise-alpha (1.5, now 2)"},
    {"schedule", "wsd", "schedule (cosine, now wsd)"},
    {"warmup", "0.5", "warmup (0.05, now 0.5)"},
    {"cooldown", "0.5", "cooldown (0.2, now 0.5)"},
    {"floor", "0", "floor (0.1, now 0)"}};
constexpr Changed kRefusedOnes[] = {
    {"batch", "4", "its batch is 8, not 4"},
    {"sequence", "2", "its sequence is 256, not 2"},
    {"seed", "2", "its seed is 1, not 2"},
    {"shuffle-window", "1", "its shuffle-window is 2, not 1"},
    {"order", "upload", "its order is shuffled, not upload"},
    {"dtype", "bf16", "its dtype is fp32, not bf16"},
    {"steps", "9", "its steps is 1000, not 9"},
    {"optimizer", "adamw", "its optimizer is transported, not adamw"},
    {"scale", "spectral", "its scale is jordan, not spectral"}};

TEST_F(SameRun, NamesEachRuleThatWasChangedWithBothValues) {
  for (const Changed& one : kToldOnes) {
    const auto now = with(one.flag, one.value);
    ASSERT_TRUE(now) << one.flag;
    EXPECT_TRUE(check_same_run(facts(), *now, "f")) << one.flag;
    EXPECT_EQ(changed_settings(facts(), *now), one.told);
  }
  EXPECT_EQ(changed_settings(facts(), facts()), "");
}

TEST_F(SameRun, RefusesWhatTheStateDoesNotFit) {
  for (const Changed& one : kRefusedOnes) {
    const auto now = with(one.flag, one.value);
    ASSERT_TRUE(now) << one.flag;
    const auto checked = check_same_run(facts(), *now, "f");
    ASSERT_FALSE(checked) << one.flag;
    EXPECT_EQ(checked.error().kind(), Kind::kUsage);
    EXPECT_NE(checked.error().message().find(one.told), std::string::npos)
        << checked.error().message();
  }
}

TEST_F(SameRun, KnowsEveryRuleOfTheOptimizer) {
  const auto data = FolderSource::open(folder_.path()).value();
  const OptimizerConfig usual = optimizer_of(options_).value();
  const auto changed = [&](auto&& change) {
    OptimizerConfig other = usual;
    change(other);
    const Facts before = settings_of(options_, usual, *data).value();
    const Facts now = settings_of(options_, other, *data).value();
    return check_same_run(before, now, "f") ? changed_settings(before, now) : "refused";
  };
  EXPECT_EQ(changed([](OptimizerConfig& c) { c.rest = RestRule::kSign; }), "refused");
  EXPECT_EQ(changed([](OptimizerConfig& c) { c.beta1 = 0.5; }), "beta1 (0.9, now 0.5)");
  EXPECT_EQ(changed([](OptimizerConfig& c) { c.beta2 = 0.5; }), "beta2 (0.95, now 0.5)");
  EXPECT_EQ(changed([](OptimizerConfig& c) { c.eps = 0.5; }), "eps (1e-10, now 0.5)");
  EXPECT_EQ(changed([](OptimizerConfig& c) { c.row_beta = 0.5; }), "row-beta (0.95, now 0.5)");
  EXPECT_EQ(changed([](OptimizerConfig& c) { c.radius = 3; }), "radius (1, now 3)");
  EXPECT_EQ(changed([](OptimizerConfig& c) { c.rest_radius = 3; }), "rest-radius (1, now 3)");
  EXPECT_EQ(changed([](OptimizerConfig& c) { c.constrained = true; }), "constrained (no, now yes)");
}

// A new flag must be put on one of the lists.
TEST_F(SameRun, EveryFlagIsComparedOrChangesNothing) {
  std::set<std::string> known = {
      // The checkpoint's own config.json says the shape; the rest decides about no update.
      "model", "layers", "hidden", "load", "eval-data", "eval-every", "eval-batches", "run",
      "checkpoint-every", "keep", "grace", "resume", "say-every", "forget-controls", "jsonl",
      "json", "prefetch", "rank-wait", "consume",
      // Compared as what they lead to: the data, or the environment.
      "data", "dataset", "store", "device", "threads", "ranks", "micro",
      // Compared as rules of the optimizer, above.
      "rest", "radius", "rest-radius", "constrained", "beta1", "beta2", "eps", "row-beta"};
  for (const Changed& one : kToldOnes) known.insert(one.flag);
  for (const Changed& one : kRefusedOnes) known.insert(one.flag);
  const std::string text = config_json(options_);
  const Json all = Json::parse(text).value();
  for (const auto& [name, value] : all.members()) EXPECT_TRUE(known.contains(name)) << name;
}

TEST_F(SameRun, RefusesOtherTextOfTheSameSize) {
  const Facts before = facts();
  std::ofstream(folder_.path() / "a.bin") << "0123456798";
  const auto checked = check_same_run(before, facts(), "f");
  ASSERT_FALSE(checked);
  EXPECT_NE(checked.error().message().find("its data-content is all:"), std::string::npos)
      << checked.error().message();
}

TEST_F(SameRun, AScaleIsTheSameHoweverItWasAskedFor) {
  EXPECT_EQ(with("scale", "jordan"), facts());
  Facts older = facts();
  older["scale"] = "";
  settle_older(older);
  EXPECT_EQ(older, facts());
}

TEST_F(SameRun, WhatAnOlderVersionDidNotRecordIsNoDifference) {
  Facts older = facts();
  for (const Changed& one : kToldOnes) older.erase(one.flag);
  older.erase("data-content");
  older.erase("rest-rule");
  EXPECT_TRUE(check_same_run(older, facts(), "f"));
  EXPECT_EQ(changed_settings(older, facts()), "");
}

TEST_F(SameRun, NamesWhatTheBitsDependOn) {
  const Facts here = environment_of(options_, 1, "cpu");
  EXPECT_EQ(changed_environment(here, here), "");
  EXPECT_NE(here.at("build").find(own_build_id()), std::string::npos);
  EXPECT_NE(own_build_id(), "none");
  Facts other = here;
  other["threads"] = "64";
  other["libgone.so.1"] = "0011";
  EXPECT_EQ(changed_environment(other, here), "threads, libgone.so.1");
  const auto libraries = library_ids();
  const auto is_torch = [](const auto& one) { return one.first.starts_with("libtorch_cpu"); };
  const auto torch = std::find_if(libraries.begin(), libraries.end(), is_torch);
  ASSERT_NE(torch, libraries.end());
  EXPECT_EQ(here.at(torch->first), torch->second);
}

}  // namespace
}  // namespace longhaul::trainer
