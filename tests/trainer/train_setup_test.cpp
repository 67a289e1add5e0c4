#include "trainer/engine/train_setup.hpp"

#include <gtest/gtest.h>

namespace longhaul::trainer {
namespace {

Result<OptimizerConfig> rules_of(const std::vector<std::string>& words) {
  TrainOptions run;
  Options options;
  list_options(options, run);
  TRY(options.parse(words));
  return optimizer_of(run);
}

TEST(TrainSetup, AnOptimizerCanBeAskedForByItsParts) {
  const OptimizerConfig scion = rules_of({"--optimizer", "scion", "--kappa", "1.5"}).value();
  EXPECT_EQ(scion.matrices, MatrixRule::kScion);
  EXPECT_TRUE(scion.transported);
  EXPECT_FALSE(scion.constrained);

  const OptimizerConfig constrained =
      rules_of({"--optimizer", "scion", "--constrained", "--radius", "50", "--rest-radius", "3000"})
          .value();
  EXPECT_TRUE(constrained.constrained);
  EXPECT_EQ(constrained.radius, 50);
  EXPECT_EQ(constrained.rest_radius, 3000);
  EXPECT_FALSE(constrained.transported);

  const OptimizerConfig mixed = rules_of({"--optimizer", "muon", "--rest", "sign"}).value();
  EXPECT_EQ(mixed.matrices, MatrixRule::kMuon);
  EXPECT_EQ(mixed.rest, RestRule::kSign);
  EXPECT_EQ(rules_of({"--optimizer", "scion", "--rest", "adamw"}).value().rest, RestRule::kAdamW);

  const OptimizerConfig norm = rules_of({"--optimizer", "normuon", "--row-beta", "0.5", "--beta1",
                                         "0.8", "--beta2", "0.9", "--eps", "1e-8"})
                                   .value();
  EXPECT_EQ(norm.row_beta, 0.5);
  EXPECT_EQ(norm.beta1, 0.8);
  EXPECT_EQ(norm.beta2, 0.9);
  EXPECT_EQ(norm.eps, 1e-8);
}

TEST(TrainSetup, WhatIsNotGivenIsTheOptimizersUsual) {
  for (const char* name : {"adamw", "muon", "normuon", "scion", "transported"}) {
    const OptimizerConfig given = rules_of({"--optimizer", name}).value();
    const OptimizerConfig usual = optimizer_preset(name).value();
    EXPECT_EQ(given.rest, usual.rest) << name;
    EXPECT_EQ(given.rate, usual.rate) << name;
    EXPECT_EQ(given.momentum, usual.momentum) << name;
    EXPECT_EQ(given.decay, usual.decay) << name;
    EXPECT_EQ(given.transported, usual.transported) << name;
    EXPECT_EQ(given.radius, usual.radius) << name;
    EXPECT_EQ(given.eps, usual.eps) << name;
  }
  EXPECT_EQ(rules_of({"--optimizer", "lion"}).error().kind(), Kind::kUsage);
  EXPECT_EQ(rules_of({"--optimizer", "adamw", "--kappa", "5"}).error().kind(), Kind::kUsage);
}

}  // namespace
}  // namespace longhaul::trainer
