#include "netsim/loss.hpp"

#include <gmock/gmock.h>

#include <cmath>
#include <string>

namespace netsim {
namespace {

using longhaul::Rng;

constexpr int kPackets = 1'000'000;

struct Outcome {
  int lost = 0, bursts = 0;
  double rate() const { return static_cast<double>(lost) / kPackets; }
  double mean_burst() const { return static_cast<double>(lost) / bursts; }
};

Outcome run(const LossConfig& config, std::uint64_t seed = 1) {
  LossModel model(config, Rng(seed, "loss"));
  Outcome outcome;
  bool before = false;
  for (int i = 0; i < kPackets; ++i) {
    const bool lost = model.lose();
    outcome.lost += lost ? 1 : 0;
    outcome.bursts += lost && !before ? 1 : 0;
    before = lost;
  }
  return outcome;
}

std::string pattern(const LossConfig& config, int packets) {
  LossModel model(config, Rng(1));
  std::string text;
  for (int i = 0; i < packets; ++i) text += model.lose() ? 'x' : '.';
  return text;
}

TEST(Loss, BernoulliLiesWithinTheBinomialInterval) {
  for (const double p : {0.0001, 0.001, 0.01, 0.3}) {
    const double half_width = 2.576 * std::sqrt(p * (1 - p) / kPackets);  // 99 %
    EXPECT_NEAR(run(BernoulliLoss{p}).rate(), p, half_width) << p;
  }
}

TEST(Loss, CertaintiesAreCertain) {
  EXPECT_EQ(run(NoLoss{}).lost, 0);
  EXPECT_EQ(run(BernoulliLoss{0}).lost, 0);
  EXPECT_EQ(run(BernoulliLoss{1}).lost, kPackets);
}

TEST(Loss, GilbertElliottHasTheMeanBurstItWasAskedFor) {
  for (const double burst : {1.5, 4.0, 12.0}) {
    const Outcome outcome = run(GilbertElliottLoss::of(0.05, burst));
    EXPECT_NEAR(outcome.mean_burst() / burst, 1, 0.03) << burst;
    EXPECT_NEAR(outcome.rate() / 0.05, 1, 0.05) << burst;
  }
}

TEST(Loss, GilbertElliottLosesInBothStatesAtTheirOwnRates) {
  // Half of the packets in each state: (0.1 + 0.5) / 2
  const Outcome outcome = run(GilbertElliottLoss{0.2, 0.2, 0.1, 0.5});
  EXPECT_NEAR(outcome.rate(), 0.3, 0.003);
}

TEST(Loss, FourStatesBalanceAsTheirChainDoes) {
  // pi1 p13 + .. solved by hand for p13 = 0.02, p31 = 0.2, p32 = 0.1, p23 = 0.3, p14 = 0.01:
  // pi3 = pi1 0.02 / 0.2; pi2 = pi3 0.1 / 0.3; pi4 = pi1 0.01.
  const double pi1 = 1 / (1 + 0.1 + 0.1 / 3 + 0.01);
  const Outcome outcome = run(FourStateLoss{0.02, 0.2, 0.1, 0.3, 0.01});
  EXPECT_NEAR(outcome.rate(), pi1 * (0.1 + 0.01), 0.002);
}

TEST(Loss, TracesAndNthRepeat) {
  EXPECT_EQ(pattern(TraceLoss{{0, 1, 1, 0, 0}}, 12), ".xx...xx...x");
  EXPECT_EQ(pattern(NthLoss{3}, 10), "..x..x..x.");
  EXPECT_EQ(pattern(NthLoss{1}, 4), "xxxx");
}

TEST(Loss, AChangedModelGoesOnWithTheStreamOfDraws) {
  LossModel a(BernoulliLoss{0.5}, Rng(1)), b(BernoulliLoss{0.5}, Rng(1));
  for (int i = 0; i < 10; ++i) EXPECT_EQ(a.lose(), b.lose());
  a.reconfigure(BernoulliLoss{0.5});
  for (int i = 0; i < 100; ++i) EXPECT_EQ(a.lose(), b.lose());
}

}  // namespace
}  // namespace netsim
