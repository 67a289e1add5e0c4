// Plan: what a run will take before anything is rented. Arithmetic on a model's shape and on
// numbers the caller gives; nothing is guessed silently. Pure.
#pragma once

#include <cstdint>
#include <string_view>
#include <vector>

#include "trainer/model_config.hpp"

namespace longhaul::trainer {

struct Accelerator {
  std::string_view name;
  double peak_flops;  // dense bf16, a second; never the sparse figure
  double memory_bytes;
  double bytes_per_second;
};
// By the makers' data sheets: a40, a100, h100, h200, l40s.
Result<Accelerator> accelerator(std::string_view name);
const std::vector<Accelerator>& accelerators();

struct PlanInputs {
  ModelConfig model;
  double tokens = 0;
  std::int64_t sequence = 1024;
  double ranks = 1;
  double peak_flops = 0;  // of one rank
  double mfu = 0.4;       // by the full convention; measured by `bench`, else a guess to be named
  double price_per_hour = 0;  // of one rank
  double token_bytes = 2;     // on the wire, before compression
  // With polar factors (Muon and its kin), a step costs the same again for any number of tokens.
  int polar_steps = 0;     // of the polynomial; 0: no polar factors
  double step_tokens = 0;  // of all ranks together
};
struct Plan {
  double tokens_per_second, seconds, cost;
  double polar_share;           // of the time
  double feed_bits_per_second;  // below this the feed would stall
};
Plan plan(const PlanInputs& inputs);

// Bytes of this program's own buffers on the CPU (fp32): flat buffers by optimizer, activations by
// batch, and what the polar factors are made in. What the program takes without a model comes on
// top: its libraries, mostly.
struct MemoryInputs {
  ModelConfig model;
  std::int64_t samples = 8, sequence = 256;  // a forward pass
  std::int64_t threads = 1;
  bool adamw_matrices = false, rest_adamw = true, transported = false;
  bool consumed = false;  // gradients, each as it is made: the most of them that are there at once
};
struct Memory {
  std::int64_t weights, gradients, optimizer, activations;
  std::int64_t workspace;  // of polar factors
  std::int64_t snapshot;   // of a run that takes checkpoints: its copy of weights and optimizer
  std::int64_t total() const { return weights + gradients + optimizer + activations + workspace; }
};
Memory memory(const MemoryInputs& inputs);

}  // namespace longhaul::trainer
