// Attention over keys and values that lie in blocks of one pool, where a request's blocks are
// anywhere (Kwon et al. 2023): rotation and keeping of new rows, then each row against all that its
// request has kept. Rows are of any requests at any positions, side by side, and a row's result
// depends on its own request alone. T: fp32 or bf16; computed in fp32.
#pragma once

#include <cmath>

#include "trainer/cuda/work.hpp"

namespace longhaul::trainer::cuda {

// A layer's part of the pool: of each block the keys of its heads, then their values. A head's keys
// stand position by position within each of its elements, so that neighbouring threads, which take
// neighbouring positions, read neighbouring memory; its values stand as they are summed, element by
// element within each position.
template <class T>
struct PagedPool {
  T* data;         // [blocks, 2 kv_heads, block_tokens * head_dim]
  int block_bits;  // block_tokens = 2^block_bits: a GPU divides slowly
  int kv_heads, head_dim;

  LONGHAUL_BOTH int block_tokens() const { return 1 << block_bits; }
  LONGHAUL_BOTH int slot(int position) const { return position & (block_tokens() - 1); }
  LONGHAUL_BOTH T* keys(std::int64_t block, int head) const {  // [head_dim, block_tokens]
    return data + (block * 2 * kv_heads + head) * (head_dim << block_bits);
  }
  LONGHAUL_BOTH T* values(std::int64_t block, int head) const {  // [block_tokens, head_dim]
    return keys(block, kv_heads + head);
  }
};

// Which positions rows are. Position p of row r lies in block
// blocks[tables[r] + p / block_tokens].
struct PagedRows {
  const std::int32_t* positions;  // [rows]; < 0: nobody's
  const std::int32_t* tables;     // [rows]
  const std::int32_t* blocks;
};

// Turns a row's queries and keys as Rope does, to its own position: queries in place, keys into the
// pool; and lays its values there. qkv [count, stride]: q of all heads, then k, then v.
template <class T>
struct RopeAndKeep {
  T* qkv;
  const float* cosines;
  const float* sines;  // [positions, head_dim / 2]
  PagedRows at;
  PagedPool<T> pool;
  std::int64_t count, stride;
  int heads;

  std::int64_t rows() const { return count; }
  template <class Team>
  LONGHAUL_BOTH void operator()(Team& team, std::int64_t row) const {
    const int position = at.positions[row];
    if (position < 0) return;
    const int head_dim = pool.head_dim, half = head_dim / 2;
    const std::int64_t block = at.blocks[at.tables[row] + (position >> pool.block_bits)];
    const std::int64_t table = static_cast<std::int64_t>(position) * half;
    T* const own = qkv + row * stride;
    for (int pair = team.rank(); pair < (heads + pool.kv_heads) * half; pair += team.size()) {
      const int head = pair / half, i = pair % half;
      T* const first = own + head * head_dim + i;
      const float c = cosines[table + i], s = sines[table + i];
      const float a = to_float(first[0]), b = to_float(first[half]);
      const T turned = rounded<T>(a * c - b * s), other = rounded<T>(b * c + a * s);
      if (head < heads) {
        first[0] = turned;
        first[half] = other;
      } else {
        T* const kept = pool.keys(block, head - heads) + pool.slot(position);
        kept[i << pool.block_bits] = turned;
        kept[(i + half) << pool.block_bits] = other;
      }
    }
    const T* const values = own + (heads + pool.kv_heads) * head_dim;
    for (int i = team.rank(); i < pool.kv_heads * head_dim; i += team.size())
      pool.values(block, i / head_dim)[pool.slot(position) * head_dim + i % head_dim] = values[i];
  }
};

// Positions whose weights a team holds at once; longer contexts go by pieces (Milakov and
// Gimelshein 2018), so their length has no limit here.
inline constexpr int kPositionsAtOnce = 1024;

// out = softmax(scale q K^T) V over the positions of the row's request up to its own. A team takes
// one head of a row. Nobody's rows become zeros.
template <class T>
struct PagedAttention {
  const T* qkv;  // [count, stride]: rotated queries first
  T* out;        // [count, heads head_dim]
  PagedRows at;
  PagedPool<T> pool;
  std::int64_t count, stride;
  int heads;
  float scale;

  std::int64_t rows() const { return count * heads; }
  LONGHAUL_BOTH std::int64_t scratch_floats(std::int64_t threads) const {
    return kPositionsAtOnce + (threads > pool.head_dim ? threads : pool.head_dim);
  }
  template <class Team>
  LONGHAUL_BOTH void operator()(Team& team, std::int64_t i) const {
    const std::int64_t row = i / heads;
    const int position = at.positions[row];
    const int head = static_cast<int>(i % heads), hd = pool.head_dim;
    const int shared = head / (heads / pool.kv_heads);  // the key-value head of several queries
    T* const to = out + i * hd;
    if (position < 0) {
      for (int e = team.rank(); e < hd; e += team.size()) to[e] = rounded<T>(0.0F);
      return;
    }
    const T* const q = qkv + row * stride + head * hd;
    const std::int32_t* const blocks = at.blocks + at.tables[row];
    // As many sums of an element side by side as the team has threads for, each over every
    // sides-th position.
    const int sides = team.size() > hd ? team.size() / hd : 1;
    float* const weights = team.scratch();
    float* const sums = weights + kPositionsAtOnce;  // [sides, head_dim]
    float most = -INFINITY, total = 0;
    for (int first = 0; first <= position; first += kPositionsAtOnce) {
      const int left = position + 1 - first, n = left < kPositionsAtOnce ? left : kPositionsAtOnce;
      float top = -INFINITY;
      for (int p = team.rank(); p < n; p += team.size()) {
        const int place = first + p;
        const T* const k = pool.keys(blocks[place >> pool.block_bits], shared) + pool.slot(place);
        float score = 0;
        for (int e = 0; e < hd; ++e) score += to_float(q[e]) * to_float(k[e << pool.block_bits]);
        weights[p] = score * scale;
        top = weights[p] > top ? weights[p] : top;
      }
      const float of_all = team.most(top);
      const float now = of_all > most ? of_all : most, kept = expf(most - now);
      float sum = 0;
      for (int p = team.rank(); p < n; p += team.size()) {
        weights[p] = expf(weights[p] - now);
        sum += weights[p];
      }
      total = total * kept + team.sum(sum);  // a meeting: now all weights stand
      most = now;
      for (int e = team.rank(); e < sides * hd; e += team.size()) {
        float value = first == 0 ? 0.0F : sums[e] * kept;
        for (int p = e / hd; p < n; p += sides) {
          const int place = first + p;
          const T* const v = pool.values(blocks[place >> pool.block_bits], shared);
          value += weights[p] * to_float(v[pool.slot(place) * hd + e % hd]);
        }
        sums[e] = value;
      }
      team.sum(0.0F);  // a meeting: the weights are read, the sums stand
    }
    for (int e = team.rank(); e < hd; e += team.size()) {
      float value = 0;
      for (int side = 0; side < sides; ++side) value += sums[side * hd + e];
      to[e] = rounded<T>(value / total);
    }
  }
};

template <class T>
void run(Stream stream, const RopeAndKeep<T>& work);
template <class T>
void run(Stream stream, const PagedAttention<T>& work);

}  // namespace longhaul::trainer::cuda
