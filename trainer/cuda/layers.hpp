// What stands between a layer's matrix products: RoPE and SwiGLU, there and back. T: fp32 or bf16;
// computed in fp32.
#pragma once

#include <cmath>

#include "trainer/cuda/work.hpp"

namespace longhaul::trainer::cuda {

// Rotary positions (Su et al. 2021) on `heads` neighbouring heads of each row, in place, the halves
// of a head being the pairs' parts (Hugging Face's layout): (a, b) -> (a c - b s, b c + a s). With
// direction -1 it is undone, which is its transpose: the way back of gradients. A row's q, k heads
// stand side by side, so both take one launch. Tables as kernels::rope_table makes them.
template <class T>
struct Rope {
  T* data;  // row r begins at r * stride
  const float* cosines;
  const float* sines;  // [positions, head_dim / 2]; row r stands at position r % positions
  std::int64_t count, stride;
  int heads, head_dim;
  std::int64_t positions;
  int direction;

  std::int64_t rows() const { return count; }
  template <class Team>
  LONGHAUL_BOTH void operator()(Team& team, std::int64_t row) const {
    const int half = head_dim / 2;
    const std::int64_t table = row % positions * half;
    const float sign = direction < 0 ? -1.0F : 1.0F;
    for (int pair = team.rank(); pair < heads * half; pair += team.size()) {
      const int head = pair / half, i = pair % half;
      T* first = data + row * stride + head * head_dim + i;
      T* second = first + half;
      const float c = cosines[table + i], s = sign * sines[table + i];
      const float a = to_float(*first), b = to_float(*second);
      *first = rounded<T>(a * c - b * s);
      *second = rounded<T>(b * c + a * s);
    }
  }
};

LONGHAUL_BOTH inline float sigmoid(float x) {
  return 1.0F / (1.0F + expf(-x));
}

// out = silu(gate) * up with silu(x) = x sigmoid(x) (Shazeer 2020); gate_up [rows, 2 width]: gate,
// then up.
template <class T>
struct Swiglu {
  const T* gate_up;
  T* out;
  std::int64_t count, width;

  std::int64_t rows() const { return count; }
  template <class Team>
  LONGHAUL_BOTH void operator()(Team& team, std::int64_t row) const {
    const T* gate = gate_up + row * 2 * width;
    const T* up = gate + width;
    for (std::int64_t i = team.rank(); i < width; i += team.size()) {
      const float g = to_float(gate[i]);
      out[row * width + i] = rounded<T>(g * sigmoid(g) * to_float(up[i]));
    }
  }
};

// Replaces gate_up by its gradient: dup = dout silu(g), dgate = dout up s (1 + g (1 - s)) with
// s = sigmoid(g).
template <class T>
struct SwigluBackward {
  const T* dout;
  T* gate_up;
  std::int64_t count, width;

  std::int64_t rows() const { return count; }
  template <class Team>
  LONGHAUL_BOTH void operator()(Team& team, std::int64_t row) const {
    T* gate = gate_up + row * 2 * width;
    T* up = gate + width;
    for (std::int64_t i = team.rank(); i < width; i += team.size()) {
      const float g = to_float(gate[i]), u = to_float(up[i]), s = sigmoid(g);
      const float d = to_float(dout[row * width + i]);
      up[i] = rounded<T>(d * g * s);
      gate[i] = rounded<T>(d * u * s * (1.0F + g * (1.0F - s)));
    }
  }
};

template <class T>
void run(Stream stream, const Rope<T>& work);
template <class T>
void run(Stream stream, const Swiglu<T>& work);
template <class T>
void run(Stream stream, const SwigluBackward<T>& work);

}  // namespace longhaul::trainer::cuda
