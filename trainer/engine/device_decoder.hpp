// DeviceDecoder: a Decoder on a Device. LibTorch makes the matrix products, trainer/cuda's works
// all between them: attention reads the pool's blocks where they lie, so rows of any lengths are
// one launch. Weights, what is kept and what stands between the products is of T; gains and sums
// are fp32.
//
// A round has up to two passes, each always of one shape: rows whose token was made here, padded to
// most_made, and rows of prompts, padded to most_rows. A product's bits depend on its shape, as
// libraries choose their ways by it; so no company, and no cut of a prompt, changes what a request
// is answered, also where two tokens are all but equal. A row's bits must not depend on its place
// among the rows either. A GPU's kernels go over a row in one order whatever its place (a test asks
// them); BLAS does not, OpenBLAS gave rows 6 to 11 of 32 other bits than the first six: so on the
// CPU products are row_products(), unless `library` asks for the GPU's. Two passes cost a round
// with both kinds a second reading of the weights. And a pass of one shape can be recorded
// (replay.hpp). Which token is best is decided there; tokens and places go to the device as one
// copy a pass, ids come back.
#pragma once

#include <array>

#include "trainer/engine/decoder.hpp"
#include "trainer/engine/replay.hpp"

namespace longhaul::trainer {

template <class T>
class DeviceDecoder final : public Decoder {
 public:
  DeviceDecoder(const ModelConfig& config, const at::Tensor& weights, const DeviceDecoding& how,
                const DecoderOptions& options);
  const ModelConfig& config() const override { return config_; }
  const std::string& device() const override { return name_; }
  void run(std::span<const DecodeRow> rows) override;
  const std::vector<std::int64_t>& best() const override { return best_; }
  at::Tensor logits() const override;
  std::int64_t pool_bytes() const override { return static_cast<std::int64_t>(pool_.nbytes()); }
  std::int64_t bytes_of_token(std::int64_t position) const override;
  // Of weights, pool and what a pass makes, before there is any: [bytes].
  static double bytes_wanted(const ModelConfig& config, const DecoderOptions& options);

 private:
  struct Pass {
    Pass(const DeviceDecoder& of, bool made);
    // int32: tokens, positions, tables [rows each], picks [most_made], blocks [pool_blocks]
    // (cuda::PagedRows; picks: the rows that make a token). `there` is on the device.
    std::int32_t* part(std::int64_t which) const;
    at::Tensor part_there(std::int64_t which, std::int64_t count) const;

    bool made;  // which rows it takes
    std::int64_t rows;
    at::Tensor here, there;
    at::Tensor normed;                 // [rows, hidden]: behind the final norm
    at::Tensor logits, ids, ids_here;  // [most_made, vocab]; [most_made] int64
    std::int64_t making = 0;           // rows of this round that make one
    Replay replay;
  };
  void load(const at::Tensor& weights);
  at::Tensor matrix(std::int64_t offset, std::int64_t rows, std::int64_t columns) const;
  const float* gain(std::int64_t offset) const;
  at::Tensor empty(std::int64_t rows, std::int64_t columns) const;
  void norm(const at::Tensor& stream, const at::Tensor& added, std::int64_t gain_offset,
            const at::Tensor& rstd, const at::Tensor& normed) const;
  at::Tensor product(const at::Tensor& x, const at::Tensor& w) const;
  at::Tensor attend(const Pass& pass, std::int64_t layer, const at::Tensor& normed) const;
  at::Tensor mlp(std::int64_t layer, const at::Tensor& normed) const;
  void launches(Pass& pass) const;
  bool fill(Pass& pass, std::span<const DecodeRow> rows) const;

  ModelConfig config_;
  ParameterLayout layout_;
  Device device_;
  DecoderOptions options_;
  std::string name_;
  bool records_, library_;
  int block_bits_;
  at::Tensor weights_, gains_;  // [size] of T, its gains left out; fp32
  at::Tensor pool_;             // [layers, blocks, 2 kv_heads, block_tokens * head_dim]
  at::Tensor cosines_, sines_;  // [max_positions, head_dim / 2]
  std::array<std::unique_ptr<Pass>, 2> passes_;              // of made rows, of prompts
  std::vector<std::pair<std::size_t, std::int64_t>> order_;  // of rows that make one: pass, place
  std::vector<std::int64_t> best_;
};

}  // namespace longhaul::trainer
