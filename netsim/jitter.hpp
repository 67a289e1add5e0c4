// Jitter: the one-way propagation delay of each packet, base plus a draw. Correlation is that of
// the normal variable behind each draw, so that any correlation leaves the distribution as it was
// asked for; the means and deviations of the cut tails are exact, too (netem's come out smaller
// than asked).
#pragma once

#include "lib/base/rng.hpp"
#include "netsim/config.hpp"

namespace netsim {

class Jitter {
 public:
  Jitter(const DelayConfig& config, const longhaul::Rng& rng);
  Duration draw();         // >= 0
  Duration least() const;  // no draw is below this
  void reconfigure(const DelayConfig& config);

 private:
  class Chain {  // uniform draws, each correlated with the one before
   public:
    double next(double correlation, double innovation, longhaul::Rng& rng);

   private:
    double z_ = 0;
    bool started_ = false;
  };
  double excess(const NoJitter&) { return 0; }
  double excess(const UniformJitter& jitter);
  double excess(const NormalJitter& jitter);
  double excess(const ParetoJitter& jitter);
  double excess(const ParetoNormalJitter& jitter);
  double excess(const EmpiricalJitter& jitter);
  double uniform() { return chain_.next(config_.correlation, innovation_, rng_); }

  longhaul::Rng rng_;
  DelayConfig config_;
  double innovation_ = 1;    // sqrt(1 - correlation^2)
  double pareto_scale_ = 0;  // ns
  Chain chain_, second_chain_;
};

}  // namespace netsim
