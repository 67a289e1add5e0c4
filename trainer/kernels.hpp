// The model's and optimizers' element-wise work on raw memory, for CPUs: each reads and writes its
// data once. Rows are contiguous unless a stride is given. Every function works on the rows or
// elements it is given, so callers split them over threads; results do not depend on the split.
// Sums run in 16 fixed lanes: the same bits on every run of one CPU type. Pure.
#pragma once

#include <cstdint>

namespace longhaul::trainer::kernels {

struct Rows {
  std::int64_t count;  // rows
  std::int64_t width;  // elements a row
};

// y = x / sqrt(mean(x^2) + eps) * gain; rstd [rows] keeps 1 / sqrt(..) for the way back.
void rms_norm(const float* x, const float* gain, float* y, float* rstd, Rows rows, double eps);
// The same from a kept rstd: recomputing y is cheaper than keeping it.
void rms_norm_again(const float* x, const float* gain, const float* rstd, float* y, Rows rows);
// dx += d loss/dx; dgain += d loss/dgain.
void rms_norm_backward(const float* dy, const float* x, const float* gain, const float* rstd,
                       float* dx, float* dgain, Rows rows);

// cosines and sines [positions, head_dim / 2] of position * theta^(-2i / head_dim)
// (Su et al. 2021); in double, so that long contexts keep their phase.
void rope_table(float* cosines, float* sines, std::int64_t positions, std::int64_t head_dim,
                double theta);
// Rotates `heads` neighbouring heads of each row in place, the halves of a head being the pairs'
// parts (Hugging Face's layout). Row r stands at position (first_row + r) % positions.
// direction -1 undoes it, which is its transpose: the way back of gradients.
struct RopeShape {
  std::int64_t stride, heads, head_dim, positions, first_row;
};
void rope(float* data, const float* cosines, const float* sines, std::int64_t rows,
          const RopeShape& shape, int direction);

// gate_up [rows, 2 width]: gate, then up. out = silu(gate) * up.
void swiglu(const float* gate_up, float* out, Rows rows);
// Replaces gate_up by its gradient.
void swiglu_backward(const float* dout, float* gate_up, Rows rows);

// Attention's rows: scores [rows, width] of queries at positions first.. against keys 0.. width-1;
// keys behind a query's own position get 0. Softmax of scale * score; lse [rows] = log of its sum.
void causal_softmax(float* scores, float* lse, Rows rows, std::int64_t first, float scale);
// The same probabilities from a kept lse.
void causal_softmax_again(float* scores, const float* lse, Rows rows, std::int64_t first,
                          float scale);
// dscores = p * (dp - delta) * scale, written over dp; delta [rows] = sum(dout * out).
void softmax_backward(const float* p, const float* delta, float* dp, Rows rows, float scale);

// Returns the summed negative log-likelihood of targets [rows] and replaces logits by
// (softmax - one-hot) * scale, or leaves them when scale is 0.
double cross_entropy(float* logits, const std::int64_t* targets, Rows rows, float scale);

// sum(a * b); accumulated in double over pieces of 4096.
double dot(const float* a, const float* b, std::int64_t n);
void add(const float* a, float* out, std::int64_t n);  // out += a
void scale(float* values, float factor, std::int64_t n);
void lerp(const float* to, float* values, float weight, std::int64_t n);  // v += w * (to - v)

struct AdamW {
  float rate, beta1, beta2, eps, decay;
  float correction1, correction2;  // 1 - beta^t
};
// Loshchilov and Hutter 2019, algorithm 2, decay times rate:
//   m = beta1 m + (1 - beta1) g;  v = beta2 v + (1 - beta2) g^2
//   w = w - rate * ((m / c1) / (sqrt(v / c2) + eps) + decay * w)
void adamw(float* w, const float* g, float* m, float* v, std::int64_t n, const AdamW& step);
// A matrix rule's end: w = keep * w - rate * update; moved [n], where given, = the change of w.
void apply_update(float* w, const float* update, float* moved, std::int64_t n, float keep,
                  float rate);
// y = w + kappa * moved, and y = w bit for bit when kappa is 0.
void extrapolate(const float* w, const float* moved, float* y, std::int64_t n, float kappa);
// Scion's rule for what is no matrix (Pethick et al. 2025): m = EMA of g with weight alpha, then
// w = (1 - shrink) w - rate * sign(m).
struct Sign {
  float rate, alpha, shrink;
};
void sign_step(float* w, const float* g, float* m, std::int64_t n, const Sign& step);

// out = (1 - weight) * a + weight * b
void blend(const float* a, const float* b, float* out, std::int64_t n, float weight);

// g += scale * x, x symmetric with tails P(|x| > t) ~ t^-alpha: s (u^(-1/alpha) - 1) with a random
// sign (Pareto type II, both sides). Element i of a step draws from (seed, step, first + i) alone.
struct Noise {
  std::uint64_t seed, step;
  float scale, alpha;
};
void add_heavy_tailed(float* g, std::uint64_t first, std::int64_t n, const Noise& noise);

}  // namespace longhaul::trainer::kernels
