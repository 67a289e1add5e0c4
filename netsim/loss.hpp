// LossModel: which packets the network loses, one decision per packet (an MTU-size segment, never
// an offload train). Markov models first move to the packet's state, then decide, so that with loss
// 1 in the bad state the mean burst is 1 / bad_to_good. One draw per decision, none where the
// outcome is certain.
#pragma once

#include <cstdint>
#include <variant>

#include "lib/base/rng.hpp"
#include "netsim/config.hpp"

namespace netsim {

class LossModel {
 public:
  LossModel(const LossConfig& config, const longhaul::Rng& rng) : rng_(rng), config_(config) {}
  bool lose();                                 // the next packet
  void reconfigure(const LossConfig& config);  // starts the new model; the stream of draws goes on

 private:
  bool decide(const NoLoss&) { return false; }
  bool decide(const BernoulliLoss& model) { return happens(model.p); }
  bool decide(const GilbertElliottLoss& model);
  bool decide(const FourStateLoss& model);
  bool decide(const TraceLoss& model);
  bool decide(const NthLoss& model);
  bool happens(double p) { return p > 0 && (p >= 1 || rng_.chance(p)); }

  longhaul::Rng rng_;
  LossConfig config_;
  std::uint64_t packets_ = 0;  // of trace and nth
  std::uint8_t state_ = 0;     // of the Markov models; 0 is the good one
};

}  // namespace netsim
