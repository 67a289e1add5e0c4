// Softmax cross-entropy on a chunk of logits, which become their own gradient in place: with the
// head's products made for a chunk of rows at a time (model.cpp does so on the CPU), the logits
// never exist as a whole.
#pragma once

#include <cmath>

#include "trainer/cuda/work.hpp"

namespace longhaul::trainer::cuda {

// losses[r] = log(sum_i e^l_i) - l_target, in nats; then, unless scale is 0,
// l_i <- (softmax_i - [i = target]) * scale. Maximum and sum in one reading (Milakov and Gimelshein
// 2018), so that logits are read twice and written once. Logits T, fp32 or bf16; losses fp32.
template <class T>
struct CrossEntropy {
  T* logits;                    // [rows, width]
  const std::int64_t* targets;  // [rows], each in [0, width)
  float* losses;
  std::int64_t count, width;
  float scale;

  std::int64_t rows() const { return count; }
  template <class Team>
  LONGHAUL_BOTH void operator()(Team& team, std::int64_t row) const {
    T* l = logits + row * width;
    const std::int64_t target = targets[row];
    float top = -INFINITY, sum = 0;  // of this thread's: sum of e^(l - top)
    for (std::int64_t i = team.rank(); i < width; i += team.size()) {
      const float value = to_float(l[i]);
      if (value > top) {
        sum = sum * expf(top - value) + 1.0F;
        top = value;
      } else {
        sum += expf(value - top);
      }
    }
    const float wanted = to_float(l[target]);  // before anyone writes: sum() below is a meeting
    const float most = team.most(top);
    const float total = team.sum(sum * expf(top - most));
    if (team.rank() == 0) losses[row] = most + logf(total) - wanted;
    if (scale == 0) return;
    const float share = scale / total;
    for (std::int64_t i = team.rank(); i < width; i += team.size()) {
      const float gradient = expf(to_float(l[i]) - most) * share;
      l[i] = rounded<T>(i == target ? gradient - scale : gradient);
    }
  }
};

template <class T>
void run(Stream stream, const CrossEntropy<T>& work);

}  // namespace longhaul::trainer::cuda
