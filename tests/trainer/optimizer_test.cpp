// Optimizers against what they approximate: a singular value decomposition in double, AdamW by
// hand, and the rules they reduce to.
#include <ATen/Parallel.h>
#include <gtest/gtest.h>

#include <array>
#include <cmath>
#include <string>
#include <string_view>

#include "tests/trainer/optimizer_bench.hpp"

namespace longhaul::trainer {
namespace {

// Ranges of the polynomials over singular values in [lo, 1], computed on a grid by their authors'
// formulas: what a normalised matrix may come out with.
TEST(Polar, PolynomialsKeepTheirRanges) {
  const auto range = [](PolarMethod method, double lo) {
    double least = 10, most = 0;
    const PolarRecipe& recipe = recipe_of(method);
    for (int i = 0; i <= 20000; ++i) {
      double x = lo + (1 - lo) * i / 20000 / 1.0;
      x /= recipe.slack;
      for (const Quintic& q : recipe.steps) x = q.a * x + q.b * x * x * x + q.c * std::pow(x, 5);
      least = std::min(least, x);
      most = std::max(most, x);
    }
    return std::pair(least, most);
  };
  const auto newton3 = range(PolarMethod::kNewtonSchulz, 1e-3);
  EXPECT_NEAR(newton3.first, 0.471, 0.002);
  EXPECT_NEAR(newton3.second, 1.202, 0.002);
  const auto newton2 = range(PolarMethod::kNewtonSchulz, 1e-2);
  EXPECT_NEAR(newton2.first, 0.682, 0.002);
  EXPECT_NEAR(newton2.second, 1.134, 0.002);
  const auto express = range(PolarMethod::kPolarExpress, 1e-3);
  EXPECT_NEAR(express.first, 0.847, 0.01);
  EXPECT_NEAR(express.second, 1.141, 0.01);
  const auto exact = range(PolarMethod::kQuintic, 1e-3);
  EXPECT_NEAR(exact.first, 1, 1e-3);
  EXPECT_NEAR(exact.second, 1, 1e-3);
}

TEST(Polar, OfTallAndWideMatricesIsNearlyOrthogonal) {
  auto generator = at::detail::createCPUGenerator(5);
  for (const auto& [rows, columns] : {std::pair{48, 20}, {20, 48}, {32, 32}}) {
    const at::Tensor m = at::randn({2, rows, columns}, generator, at::kFloat);
    for (const PolarMethod method : {PolarMethod::kNewtonSchulz, PolarMethod::kPolarExpress}) {
      const at::Tensor o = orthogonalized(m, method);
      const at::Tensor s = singular_values(o[1]);
      EXPECT_GT(s.min().item<double>(), 0.4);
      EXPECT_LT(s.max().item<double>(), 1.21);
      EXPECT_TRUE(at::equal(o[1], orthogonalized(m.narrow(0, 1, 1), method)[0]));
    }
    const at::Tensor exact = orthogonalized(m.to(at::kDouble), PolarMethod::kQuintic)[0];
    EXPECT_LT((exact - polar_by_svd(m[0])).abs().max().item<double>(),
              rows == columns ? 1e-2 : 1e-8);
  }
}

// Above some size only half of a symmetric product is multiplied, the other is its mirror.
TEST(Polar, OfLargeMatricesIsWhatWholeProductsGive) {
  auto generator = at::detail::createCPUGenerator(6);
  for (const auto& [rows, columns] : {std::pair{521, 640}, {1100, 1025}}) {
    const at::Tensor matrices = at::randn({2, rows, columns}, generator, at::kDouble);
    const PolarRecipe& recipe = recipe_of(PolarMethod::kNewtonSchulz);
    at::Tensor x = matrices[1] / (matrices[1].norm() * recipe.slack + recipe.least);
    if (rows > columns) x = x.t();
    for (const Quintic& step : recipe.steps) {
      const at::Tensor a = x.mm(x.t());
      x = step.a * x + (step.b * a + step.c * a.mm(a)).mm(x);
    }
    if (rows > columns) x = x.t();
    const at::Tensor whole = orthogonalized(matrices, PolarMethod::kNewtonSchulz);
    EXPECT_LT((whole[1] - x).abs().max().item<double>(), 1e-12);
    const at::Tensor floats = matrices.to(at::kFloat);
    const at::Tensor single = orthogonalized(floats, PolarMethod::kNewtonSchulz);
    EXPECT_LT((single[1] - x).abs().max().item<double>(), 1e-4);
    EXPECT_TRUE(at::equal(single[1],
                          orthogonalized(floats.narrow(0, 1, 1), PolarMethod::kNewtonSchulz)[0]));
  }
}

TEST(Muon, AStepIsThePolarFactorOfItsMomentum) {
  for (const bool nesterov : {false, true}) {
    OptimizerConfig config = preset("muon");
    config.polar = PolarMethod::kQuintic;
    config.nesterov = nesterov;
    config.decay = 0.1;
    Bench bench(config);
    bench.gradient(7);
    const at::Tensor before = bench.model.weights().clone(), g = bench.model.gradients().clone();
    bench.optimizer.step({.step = 0, .factor = 0.5});
    for (const Parameter& parameter : bench.model.layout().all()) {
      if (parameter.role != Role::kMatrix) continue;
      const auto rows = parameter.shape[0], columns = parameter.shape[1];
      const auto of = [&](const at::Tensor& flat) {
        return flat.narrow(0, parameter.offset, rows * columns)
            .view({rows, columns})
            .to(at::kDouble);
      };
      // M = 0.05 G, and the polar factor of both directions is that of G.
      const double scale = std::sqrt(std::max(1.0, double(rows) / double(columns)));
      const at::Tensor want = of(before) * (1 - 0.01 * 0.1) - polar_by_svd(of(g)) * (0.01 * scale);
      // A step is 0.01 long; the smallest singular values converge last.
      EXPECT_LT((of(bench.model.weights()) - want).abs().max().item<double>(), 3e-4)
          << parameter.name;
    }
  }
}

TEST(Muon, MomentumAndNesterovFollowTheirEquations) {
  OptimizerConfig config = preset("muon");
  config.polar = PolarMethod::kQuintic;
  Bench bench(config);
  bench.gradient(1);
  const at::Tensor g1 = bench.model.gradients().to(at::kDouble);
  bench.optimizer.step({.step = 0});
  bench.gradient(2);
  const at::Tensor g2 = bench.model.gradients().to(at::kDouble);
  const at::Tensor before = bench.model.weights().to(at::kDouble);
  bench.optimizer.step({.step = 1});
  const at::Tensor m = (g1 * 0.05) * 0.95 + g2 * 0.05, u = g2 * 0.05 + m * 0.95;
  const Parameter& q = bench.model.layout().all()[0];
  const auto of = [&](const at::Tensor& flat) {
    return flat.narrow(0, q.offset, q.count()).view({q.shape[0], q.shape[1]});
  };
  const at::Tensor moved = of(bench.model.weights().to(at::kDouble)) - of(before);
  EXPECT_LT((moved + polar_by_svd(of(u)) * 0.02).abs().max().item<double>(), 2e-4);
  EXPECT_GT((moved + polar_by_svd(of(m)) * 0.02).abs().max().item<double>(), 5e-4);
}

TEST(Muon, ScalesDifferByTheShapeAlone) {
  const auto moved = [](ShapeScale scale, const Parameter& parameter) {
    OptimizerConfig config = preset("muon");
    config.scale = scale;
    Bench bench(config);
    bench.gradient(7);
    const at::Tensor before = bench.model.weights().clone();
    bench.optimizer.step({});
    return (bench.model.weights() - before)
        .narrow(0, parameter.offset, parameter.count())
        .norm()
        .item<double>();
  };
  const ParameterLayout layout(small());
  const Parameter& gate = layout.all()[4];  // [24, 16]
  ASSERT_EQ(gate.shape, (std::vector<std::int64_t>{24, 16}));
  const double jordan = moved(ShapeScale::kJordan, gate);
  EXPECT_NEAR(moved(ShapeScale::kMoonlight, gate) / jordan, 0.2 * 4, 1e-3);
  EXPECT_NEAR(moved(ShapeScale::kSpectral, gate) / jordan, 1, 1e-3);
  const Parameter& down = layout.all()[6];  // [16, 24]
  EXPECT_NEAR(moved(ShapeScale::kSpectral, down) / moved(ShapeScale::kJordan, down),
              std::sqrt(16.0 / 24), 1e-3);
}

TEST(NorMuon, EvensRowsAndKeepsTheNorm) {
  OptimizerConfig config = preset("normuon");
  Bench nor(config), plain(preset("muon"));
  for (Bench* bench : {&nor, &plain}) {
    bench->gradient(3);
    bench->optimizer.step({});
  }
  Model fresh(small());
  fresh.init(1);
  const Parameter& gate = nor.model.layout().all()[4];
  const auto moved = [&](const Bench& bench) {
    return (bench.model.weights() - fresh.weights())
        .narrow(0, gate.offset, gate.count())
        .view({gate.shape[0], gate.shape[1]})
        .to(at::kDouble);
  };
  EXPECT_NEAR(moved(nor).norm().item<double>() / moved(plain).norm().item<double>(), 1, 1e-3);
  // In the first step every row's EMA is its own mean square: all rows become equal.
  const at::Tensor rows = moved(nor).norm(2, 1);
  EXPECT_NEAR(rows.max().item<double>() / rows.min().item<double>(), 1, 1e-3);
  const at::Tensor uneven = moved(plain).norm(2, 1);
  EXPECT_GT(uneven.max().item<double>() / uneven.min().item<double>(), 1.05);
}

TEST(AdamW, FollowsItsEquationsByHand) {
  OptimizerConfig config = preset("adamw");
  config.rate = 0.01;
  config.rest_rate = 0.02;
  Bench bench(config);
  const ParameterLayout& layout = bench.model.layout();
  const std::vector<std::pair<std::int64_t, double>> kPlaces = {
      {5, 0.1}, {layout.embedding() + 3, 0.1}, {layout.final_norm(), 0.0}};
  std::vector<double> w, m(3), v(3);
  for (const auto& [at, decay] : kPlaces)
    w.push_back(static_cast<double>(bench.model.weights()[at].item<float>()));
  for (std::uint64_t step = 0; step < 5; ++step) {
    bench.gradient(step);
    for (std::size_t i = 0; i < 3; ++i) {
      const auto g = static_cast<double>(bench.model.gradients()[kPlaces[i].first].item<float>());
      m[i] = 0.9 * m[i] + 0.1 * g;
      v[i] = 0.95 * v[i] + 0.05 * g * g;
      const double t = static_cast<double>(step + 1);
      const double mean = m[i] / (1 - std::pow(0.9, t)), square = v[i] / (1 - std::pow(0.95, t));
      w[i] -=
          (i == 0 ? 0.01 : 0.02) * (mean / (std::sqrt(square) + 1e-10) + kPlaces[i].second * w[i]);
    }
    bench.optimizer.step({.step = step});
  }
  for (std::size_t i = 0; i < 3; ++i)
    EXPECT_NEAR(bench.model.weights()[kPlaces[i].first].item<float>(), w[i], 1e-5);
}

TEST(Scion, MovesByRadiusAndSign) {
  OptimizerConfig config = preset("scion");
  config.polar = PolarMethod::kQuintic;
  config.radius = 3;
  config.rest_radius = 5;
  config.constrained = true;
  Bench bench(config);
  bench.gradient(2);
  const at::Tensor before = bench.model.weights().clone(), g = bench.model.gradients().clone();
  bench.optimizer.step({.step = 0, .factor = 1});
  const auto near = [](const at::Tensor& a, const at::Tensor& b) {
    return (a - b).abs().max().item<double>();
  };
  const std::int64_t rest = bench.model.layout().matrix_size();
  const std::int64_t n = bench.model.layout().size() - rest;
  EXPECT_LT(near(bench.model.weights().narrow(0, rest, n),
                 before.narrow(0, rest, n) * (1 - 0.002) - g.narrow(0, rest, n).sign() * 0.01),
            1e-6);
  const auto first = [](const at::Tensor& t) {
    return t.narrow(0, 0, 256).view({16, 16}).to(at::kDouble);
  };
  EXPECT_LT(
      near(first(bench.model.weights()), first(before) * 0.98 - polar_by_svd(first(g)) * 0.06),
      1e-3);
}

// The rules by name: "muon" with weight decay, "scion", and "constrained", which is Scion that
// shrinks W. Muon's rest takes AdamW, Scion's the sign rule, which is transported as well.
class Transported : public testing::TestWithParam<const char*> {
 protected:
  static OptimizerConfig rules(bool transported) {
    const bool muon = std::string_view(GetParam()) == "muon";
    OptimizerConfig config = preset(muon ? transported ? "transported" : "muon" : "scion");
    config.nesterov = false;
    if (muon) {
      config.decay = 0.1;
      return config;
    }
    config.transported = transported;
    config.radius = 3;
    config.rest_radius = 5;
    config.constrained = std::string_view(GetParam()) == "constrained";
    return config;
  }
  // Of the buffer's beginning, so much is transported.
  static std::int64_t transported_size() {
    const ParameterLayout layout(small());
    return rules(true).rest == RestRule::kSign ? layout.size() : layout.matrix_size();
  }
  static at::Tensor part(const at::Tensor& flat) { return flat.narrow(0, 0, transported_size()); }
  static at::Tensor moved(const Bench& bench) {
    EXPECT_EQ(bench.optimizer.state().back().first, "moved");
    return bench.optimizer.state().back().second.clone();
  }
  double train(Model& model) const {
    model.gradients().zero_();
    return model.train({ids_.data(), ids_.data() + 1, 2, 16}, 1.0F / 32);
  }
  double loss(Model& model) const { return model.loss({ids_.data(), ids_.data() + 1, 2, 16}); }
  void SetUp() override {
    for (std::size_t i = 0; i < ids_.size(); ++i) ids_[i] = static_cast<std::int64_t>(i * 7 % 13);
  }

 private:
  std::array<std::int64_t, 33> ids_{};
};

TEST_P(Transported, WithKappaZeroIsThePlainRuleBitForBit) {
  Bench with(rules(true)), without(rules(false));
  for (std::uint64_t step = 0; step < 4; ++step) {
    for (Bench* bench : {&with, &without}) {
      bench->optimizer.extrapolate(0);
      train(bench->model);
      bench->optimizer.step({.step = step});
    }
    EXPECT_TRUE(at::equal(with.model.gradients(), without.model.gradients())) << step;
    EXPECT_TRUE(at::equal(with.model.weights(), without.model.weights())) << step;
    const NamedState want = without.optimizer.state(), state = with.optimizer.state();
    ASSERT_EQ(state.size(), want.size() + 1) << "Delta is the last";
    for (std::size_t i = 0; i < want.size(); ++i)
      EXPECT_TRUE(at::equal(state[i].second, want[i].second)) << step << " " << want[i].first;
  }
}

TEST_P(Transported, TakesGradientsAheadAndEvaluatesAtTheWeights) {
  Bench bench(rules(true));
  bench.gradient(1);
  const at::Tensor before = bench.model.weights().clone();
  bench.optimizer.step({});
  bench.optimizer.extrapolate(2);
  const double ahead = train(bench.model);
  bench.optimizer.read_at_weights();
  const double here = loss(bench.model);
  EXPECT_NE(ahead, here);
  // What is transported stands at W + 2 (W - W before), all else at W. Twice a number is exact, so
  // the bits are those of the rule.
  Model by_hand(small());
  by_hand.weights().copy_(bench.model.weights());
  EXPECT_EQ(loss(by_hand), here);
  part(by_hand.weights()).add_(part(bench.model.weights() - before), 2);
  EXPECT_EQ(train(by_hand), ahead);
  EXPECT_TRUE(at::equal(by_hand.gradients(), bench.model.gradients()));
}

// The plain rule, given gradients of another model that stands ahead, by a Delta kept by hand. What
// changes W from outside is no part of it.
TEST_P(Transported, IsThePlainRuleOnGradientsTakenAhead) {
  Bench bench(rules(true)), plain(rules(false));
  Model ahead(small());
  at::Tensor delta = at::zeros({transported_size()}, at::kFloat);
  for (std::uint64_t step = 0; step < 6; ++step) {
    if (step == 3)
      for (const Bench* one : {&bench, &plain}) one->model.weights().mul_(1.5);
    bench.optimizer.extrapolate(2);
    train(bench.model);
    bench.optimizer.step({.step = step});

    ahead.weights().copy_(plain.model.weights());
    part(ahead.weights()).add_(delta, 2);
    train(ahead);
    plain.model.gradients().copy_(ahead.gradients());
    const at::Tensor before = plain.model.weights().clone();
    plain.optimizer.step({.step = step});
    delta = part(plain.model.weights() - before);
    ASSERT_TRUE(at::equal(bench.model.weights(), plain.model.weights())) << step;
  }
}

TEST_P(Transported, DeltaIsTheOptimizersOwnDisplacement) {
  Bench bench(rules(true));
  bench.gradient(1);
  bench.optimizer.step({});
  const at::Tensor delta = moved(bench);
  ASSERT_EQ(delta.numel(), transported_size());
  for (const Parameter& parameter : bench.model.layout().all()) {
    if (parameter.offset >= delta.numel()) continue;
    const at::Tensor of = delta.narrow(0, parameter.offset, parameter.count());
    EXPECT_GT(of.abs().max().item<double>(), 0) << parameter.name;
  }
  bench.model.weights().mul_(1.5);  // a reload, a roll-back, an outer update
  EXPECT_TRUE(at::equal(moved(bench), delta));
  bench.gradient(2);
  const at::Tensor before = bench.model.weights().clone();
  bench.optimizer.step({.step = 1});
  EXPECT_TRUE(at::equal(moved(bench), part(bench.model.weights() - before)));
}

// Without a gradient there is no update, and Delta is what the rule itself takes off W.
TEST_P(Transported, DeltaHoldsTheRulesOwnShrinkage) {
  const OptimizerConfig config = rules(true);
  Bench bench(config);
  bench.model.gradients().zero_();
  const at::Tensor before = bench.model.weights().clone();
  bench.optimizer.step({});
  const std::int64_t matrices = bench.model.layout().matrix_size();
  at::Tensor want = at::zeros_like(before);
  want.narrow(0, 0, matrices).fill_(-config.rate * config.decay);
  if (config.constrained) {
    want.narrow(0, 0, matrices).fill_(-config.rate);
    want.narrow(0, matrices, want.numel() - matrices).fill_(-config.rest_rate);
  }
  // A difference of floats below 1: half a unit in their last place is 3e-8.
  EXPECT_LT((moved(bench) - part(want * before)).abs().max().item<double>(), 1e-7);
}

INSTANTIATE_TEST_SUITE_P(Rules, Transported, testing::Values("muon", "scion", "constrained"),
                         [](const auto& rule) { return std::string(rule.param); });

TEST(Optimizer, GivesTheSameBitsForAnyThreads) {
  for (const char* name : {"adamw", "muon", "normuon", "scion", "transported"}) {
    OptimizerConfig config = preset(name);
    config.clip = 1;
    config.noise_scale = 1e-3;
    std::vector<at::Tensor> ends;
    for (const int threads : {1, 2}) {
      at::set_num_threads(threads);
      Bench bench(config);
      for (std::uint64_t step = 0; step < 3; ++step) {
        bench.gradient(step);
        bench.optimizer.step({.step = step});
      }
      ends.push_back(bench.model.weights().clone());
    }
    at::set_num_threads(1);
    EXPECT_TRUE(at::equal(ends[0], ends[1])) << name;
  }
}

TEST(Optimizer, ClipsTheWholeGradientAndRefusesNonsense) {
  OptimizerConfig config = preset("adamw");
  config.clip = 2;
  Bench bench(config);
  bench.gradient(1);
  const double norm = bench.model.gradients().to(at::kDouble).norm().item<double>();
  EXPECT_NEAR(bench.optimizer.step({}).gradient_norm / norm, 1, 1e-5);
  EXPECT_NEAR(bench.model.gradients().to(at::kDouble).norm().item<double>(), 2, 1e-4);
  bench.model.gradients()[7] = std::nan("");
  const at::Tensor before = bench.model.weights().clone();
  EXPECT_FALSE(bench.optimizer.step({.step = 1}).applied);
  EXPECT_TRUE(at::equal(bench.model.weights(), before));
}

TEST(Optimizer, NoiseIsSymmetricWithTheTailItWasAskedFor) {
  OptimizerConfig config = preset("adamw");
  config.noise_scale = 1;
  config.noise_alpha = 1.5;
  Bench bench(config);
  double positive = 0, over = 0;
  const double n = 20.0 * static_cast<double>(bench.model.layout().size());
  for (std::uint64_t step = 0; step < 20; ++step) {
    bench.model.gradients().zero_();
    bench.optimizer.step({.step = step});
    positive += bench.model.gradients().gt(0).sum().item<double>();
    over += bench.model.gradients().abs().gt(9).sum().item<double>();
  }
  EXPECT_NEAR(positive / n, 0.5, 0.01);
  EXPECT_NEAR(over / n, std::pow(10.0, -1.5), 0.002);  // P(u^(-1/a) - 1 > 9) = 10^-a
}

}  // namespace
}  // namespace longhaul::trainer
