// Model::Buffers: the memory a batch of one shape needs, made once. Inside of the model's files.
#pragma once

#include <ATen/ATen.h>
#include <ATen/Parallel.h>

#include <algorithm>
#include <array>
#include <vector>

#include "trainer/engine/model.hpp"
#include "trainer/engine/zero_pages.hpp"
#include "trainer/kernels.hpp"

namespace longhaul::trainer {

class Floats {  // memory of its own; at() is a place in it
 public:
  explicit Floats(std::int64_t n) : held_(large_pages(n)) {}
  float* at(std::int64_t i) const { return held_.data_ptr<float>() + i; }
  std::int64_t bytes() const { return held_.numel() * 4; }
  void touch() const { held_.zero_(); }  // by the threads that will write it

 private:
  at::Tensor held_;
};

struct Model::Buffers {
  Buffers(const ModelConfig& c, std::int64_t samples, std::int64_t sequence);

  float* stream(std::int64_t layer) const { return streams.at(layer * rows * hidden); }
  float* middle(std::int64_t layer) const { return middles.at(layer * rows * hidden); }
  float* qkv(std::int64_t layer) const { return qkvs.at(layer * rows * qkv_width); }
  float* attended(std::int64_t layer) const { return outs.at(layer * rows * query_width); }
  float* lse(std::int64_t layer) const { return lses.at(layer * rows * heads); }
  float* gate_up(std::int64_t layer) const { return gates.at(layer * rows * 2 * wide_width); }

  void touch() const;  // all of it: no page is new when it is used

  // body(first row, rows) on the threads, `least` rows or more each.
  template <class Body>
  void over_rows(std::int64_t least, Body&& body) const {
    at::parallel_for(0, rows, least,
                     [&](std::int64_t begin, std::int64_t end) { body(begin, end - begin); });
  }
  // From normed = d loss / d (norm's output): back += d loss / d x, gain_gradient += its own.
  void norm_backward(const float* x, const float* gain, const float* rstd,
                     float* gain_gradient) const;

  std::int64_t rows, positions, hidden, heads, query_width, qkv_width, wide_width, head_rows;
  // Kept from forward to backward, a slot a layer.
  Floats streams, middles, qkvs, outs, lses, gates, attention_rstd, mlp_rstd, final_rstd;
  // Used within one layer.
  Floats normed, wide, back, qkv_back, out_back, delta, logits, gain_parts, scores;
  std::int64_t scores_each;  // floats of scores a thread has
  Floats cosines, sines;
  std::int64_t bytes;

 private:
  std::array<const Floats*, 18> written() const;  // by each batch
};

}  // namespace longhaul::trainer
