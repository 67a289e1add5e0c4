// Optimizers' rules over several steps, by hand in double, and what takes which rule.
#include <gtest/gtest.h>

#include <cmath>

#include "tests/trainer/optimizer_bench.hpp"

namespace longhaul::trainer {
namespace {

double largest(const at::Tensor& values) {
  return values.abs().max().item<double>();
}
double aspect(const Parameter& matrix) {
  return static_cast<double>(matrix.shape[0]) / static_cast<double>(matrix.shape[1]);
}
at::Tensor matrix_of(const at::Tensor& flat, const Parameter& parameter) {
  return flat.narrow(0, parameter.offset, parameter.count())
      .view({parameter.shape[0], parameter.shape[1]})
      .to(at::kDouble);
}

// NorMuon's second step: an EMA of two mean squares, and rows that are even no more.
TEST(NorMuon, KeepsAnAverageOfItsRowsSquares) {
  OptimizerConfig config = preset("normuon");
  config.polar = PolarMethod::kQuintic;
  config.row_beta = 0.8;
  Bench bench(config);
  const Parameter gate = bench.model.layout().all()[4];
  at::Tensor m = at::zeros({gate.shape[0], gate.shape[1]}, at::kDouble);
  at::Tensor square = at::zeros({gate.shape[0], 1}, at::kDouble);
  for (std::uint64_t step = 0; step < 3; ++step) {
    bench.gradient(step + 3);
    // A row that is large once: what a step alone would even out, the average remembers.
    if (step == 1) bench.model.gradients().narrow(0, gate.offset, gate.shape[1]).mul_(30);
    const at::Tensor g = matrix_of(bench.model.gradients(), gate),
                     before = matrix_of(bench.model.weights(), gate);
    bench.optimizer.step({.step = step});
    m = m * 0.95 + g * 0.05;
    at::Tensor o = polar_by_svd(g * 0.05 + m * 0.95);
    const double norm = o.norm().item<double>();
    square = square * 0.8 + o.pow(2).mean(1, true) * 0.2;
    o = o / (square.sqrt() + 1e-10);
    o = o * (norm / o.norm().item<double>());
    const double scale = std::sqrt(aspect(gate));
    EXPECT_LT(largest(matrix_of(bench.model.weights(), gate) - before + o * (0.02 * scale)), 2e-4)
        << step;
  }
  const at::Tensor rows = square.sqrt();
  EXPECT_GT((rows.max() / rows.min()).item<double>(), 1.05) << "or it would show nothing";
}

TEST(Scion, KeepsMomentumAndShrinksNothingUnlessConstrained) {
  OptimizerConfig config = preset("scion");
  config.polar = PolarMethod::kQuintic;
  config.momentum = 0.6;
  config.radius = 3;
  config.rest_radius = 5;
  Bench bench(config);
  const Parameter q = bench.model.layout().all()[0];
  const std::int64_t rest = bench.model.layout().matrix_size(),
                     n = bench.model.layout().size() - rest;
  at::Tensor m = at::zeros({q.shape[0], q.shape[1]}, at::kDouble), r = at::zeros({n}, at::kFloat);
  for (std::uint64_t step = 0; step < 3; ++step) {
    bench.gradient(step + 1);
    const at::Tensor before = bench.model.weights().clone(), g = bench.model.gradients().clone();
    bench.optimizer.step({.step = step});
    m = m * 0.6 + matrix_of(g, q) * 0.4;
    r = r * 0.6 + g.narrow(0, rest, n) * 0.4;
    const double scale = std::sqrt(aspect(q));
    EXPECT_LT(largest(matrix_of(bench.model.weights(), q) - matrix_of(before, q) +
                      polar_by_svd(m) * (config.rate * 3 * scale)),
              1e-3);
    EXPECT_LT(largest((bench.model.weights() - before).narrow(0, rest, n) +
                      r.sign() * (config.rest_rate * 5)),
              1e-6);
  }
}

// The head is a matrix by its shape and takes the rest's rule by its name; so do tables and gains.
TEST(Optimizer, WhatIsNoMatrixInABlockTakesTheRestsRule) {
  for (const char* name : {"muon", "normuon", "transported"}) {
    Bench bench(preset(name));
    std::size_t heads = 0;
    bench.gradient(4);
    const at::Tensor before = bench.model.weights().clone(), g = bench.model.gradients().clone();
    bench.optimizer.step({});
    for (const Parameter& parameter : bench.model.layout().all()) {
      const auto of = [&](const at::Tensor& flat) {
        return flat.narrow(0, parameter.offset, parameter.count());
      };
      // AdamW's first step is a sign.
      const double off = largest(of(bench.model.weights()) - of(before) +
                                 of(g).sign() * bench.optimizer.config().rest_rate);
      if (parameter.role == Role::kMatrix)
        EXPECT_GT(off, 1e-3) << name << " " << parameter.name;
      else
        EXPECT_LT(off, 1e-5) << name << " " << parameter.name;
      heads += parameter.role == Role::kHead && parameter.name == "lm_head.weight" ? 1U : 0U;
    }
    EXPECT_EQ(heads, 1U);
  }
}

}  // namespace
}  // namespace longhaul::trainer
