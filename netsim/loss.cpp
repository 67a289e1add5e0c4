#include "netsim/loss.hpp"

namespace netsim {

bool LossModel::lose() {
  if (std::holds_alternative<NoLoss>(config_)) return false;
  return std::visit([this](const auto& model) { return decide(model); }, config_);
}

void LossModel::reconfigure(const LossConfig& config) {
  config_ = config;
  packets_ = 0;
  state_ = 0;
}

bool LossModel::decide(const GilbertElliottLoss& model) {
  if (happens(state_ == 0 ? model.good_to_bad : model.bad_to_good)) state_ ^= 1U;
  return happens(state_ == 0 ? model.loss_good : model.loss_bad);
}

bool LossModel::decide(const FourStateLoss& model) {
  enum : std::uint8_t { kGap, kReceivedInBurst, kLostInBurst, kLostAlone };
  const double draw = rng_.unit();
  switch (state_) {
    case kGap:
      if (draw < model.p14)
        state_ = kLostAlone;
      else if (draw < model.p14 + model.p13)
        state_ = kLostInBurst;
      break;
    case kReceivedInBurst:
      if (draw < model.p23) state_ = kLostInBurst;
      break;
    case kLostInBurst:
      if (draw < model.p31)
        state_ = kGap;
      else if (draw < model.p31 + model.p32)
        state_ = kReceivedInBurst;
      break;
    default:
      state_ = kGap;  // a packet lost alone has a received one behind it
  }
  return state_ >= kLostInBurst;
}

bool LossModel::decide(const TraceLoss& model) {
  const bool lost = model.lost[packets_] != 0;
  packets_ = packets_ + 1 == model.lost.size() ? 0 : packets_ + 1;
  return lost;
}

bool LossModel::decide(const NthLoss& model) {
  if (++packets_ < model.n) return false;
  packets_ = 0;
  return true;
}

}  // namespace netsim
