// Decoder: a model's forward pass for a few positions of many requests at once, their keys and
// values in one pool made at the start. What a request is answered does not depend on who else is
// served, nor on how its prompt was cut. Two sides: the CPU's own (cpu_decoder.hpp), and a Device's
// (device_decoder.hpp). One thread calls.
#pragma once

#include <ATen/ATen.h>

#include <memory>
#include <span>
#include <string>
#include <vector>

#include "trainer/engine/device.hpp"
#include "trainer/engine/model.hpp"

namespace longhaul::trainer {

struct DecodeRow {
  std::int64_t token = 0, position = 0;
  std::span<const std::uint32_t> blocks{};  // of its request's positions
  bool makes = false;                       // its logits are wanted
  bool made = false;                        // its token was made here; else it is of the prompt
};
struct DecoderOptions {
  std::int64_t pool_blocks = 256, block_tokens = 16;
  std::int64_t most_rows = 64;  // of prompts, a round
  std::int64_t most_made = 16;  // rows whose token was made, a round; and rows that make one
};

class Decoder {
 public:
  virtual ~Decoder() = default;
  virtual const ModelConfig& config() const = 0;
  virtual const std::string& device() const = 0;  // by name
  // Rows of a request in the order of its positions; earlier ones were run before or are among
  // them. Requests' blocks are their own. Waits until it is done.
  virtual void run(std::span<const DecodeRow> rows) = 0;
  // Of each row that makes one, in their order, after run(): the first token with the largest
  // logit.
  virtual const std::vector<std::int64_t>& best() const = 0;
  virtual at::Tensor logits() const = 0;  // of the same, [rows, vocab] fp32 on the host
  virtual std::int64_t pool_bytes() const = 0;
  // What one request's step at that position must read: each weight once, what it kept.
  virtual std::int64_t bytes_of_token(std::int64_t position) const = 0;
};

// By the code of a GPU, also where `device` is the CPU. Weights flat fp32 of the host, as
// ParameterLayout has them, which are copied. kLimit: they and the pool are more than the device
// has left.
struct DeviceDecoding {
  Device device;
  bool bf16 = false;     // the weights, what is kept and what is computed between; else fp32
  bool records = true;   // see replay.hpp
  bool library = false;  // products by LibTorch on the CPU too; see device_decoder.hpp
};
Result<std::unique_ptr<Decoder>> device_decoder(const ModelConfig& config,
                                                const at::Tensor& weights,
                                                const DeviceDecoding& how,
                                                const DecoderOptions& options);

}  // namespace longhaul::trainer
