// Predictor: what the next value of a series will be near, so that only the difference travels.
// Works on the bits of a float or double as an integer in the order of the values, where a small
// relative change is a small difference whatever the scale. Integers only: both ends agree by
// construction.
#pragma once

#include <cstdint>

namespace longhaul::run {

enum class Prediction : std::uint8_t {
  kSame,    // the value before: counters, constants, schedules in steps
  kLine,    // the straight line through the two before: schedules
  kAround,  // a moving mean over about eight: noise around a curve
};
constexpr std::uint8_t kPredictions = 3;

template <class Int>  // std::uint32_t for floats, std::uint64_t for doubles
class Predictor {
 public:
  explicit Predictor(Prediction kind) : kind_(kind) {}

  // The difference to the prediction, small for small differences of either sign.
  Int encode(Int bits) {
    const Int value = ordered(bits);
    const Int delta = value - guess();
    learn(value);
    return static_cast<Int>((delta << 1) ^ (Int{0} - (delta >> kTop)));
  }
  Int decode(Int code) {
    const Int delta = static_cast<Int>((code >> 1) ^ (Int{0} - (code & 1)));
    const Int value = guess() + delta;
    learn(value);
    return (value >> kTop) != 0 ? value ^ (Int{1} << kTop) : static_cast<Int>(~value);
  }

 private:
  static constexpr unsigned kTop = sizeof(Int) * 8 - 1;
  static constexpr unsigned kMeanShift = 3;

  // Unsigned integers in the order of the floats: negative ones upside down, below the others.
  static Int ordered(Int bits) {
    return (bits >> kTop) != 0 ? static_cast<Int>(~bits) : bits | (Int{1} << kTop);
  }
  Int guess() const {
    if (kind_ == Prediction::kLine && seen_ > 1) return last_ + (last_ - before_);
    return kind_ == Prediction::kAround ? mean_ : last_;
  }
  void learn(Int value) {
    before_ = last_;
    last_ = value;
    if (seen_ == 0) {
      mean_ = value;
    } else if (value >= mean_) {
      mean_ += (value - mean_) >> kMeanShift;
    } else {
      mean_ -= (mean_ - value) >> kMeanShift;
    }
    if (seen_ < 2) ++seen_;
  }

  Prediction kind_;
  Int last_ = 0, before_ = 0, mean_ = 0;
  unsigned seen_ = 0;
};

}  // namespace longhaul::run
