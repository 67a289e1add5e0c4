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
// By the makers' data sheets: a40, a100, h100, h100-pcie, h200, l40s.
Result<Accelerator> accelerator(std::string_view name);
const std::vector<Accelerator>& accelerators();
// The one that a driver calls so ("NVIDIA H100 PCIe"), or null: words are compared whole, as an RTX
// A4000 is no A40, and neither a part of a card nor an NVL has the card's peak.
const Accelerator* accelerator_called(std::string_view gpu);

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
  int polar_steps = 0;              // of the polynomial; 0: no polar factors
  double step_tokens = 0;           // of all ranks together
  double link_bits_per_second = 0;  // 0: not known
};
// kUsage, by the flags' names.
Result<> check(const PlanInputs& inputs);
struct Plan {
  double tokens_per_second, seconds, cost;
  double polar_share;                 // of the time
  double feed_bits_per_second;        // below this the feed would stall
  double link_share, upload_seconds;  // of the link that there is; 0 where it is not known
};
Plan plan(const PlanInputs& inputs);

// What memory depends on.
struct MemoryInputs {
  ModelConfig model;
  std::int64_t samples = 8, sequence = 256;  // a forward pass
  std::int64_t threads = 1;
  bool adamw_matrices = false, rest_adamw = true, transported = false;
  bool consumed = false;  // gradients, each as it is made: the most of them that are there at once
  bool row_squares = false;  // NorMuon's
  bool bf16 = false;         // the layers' products
  std::int64_t ranks = 1;
};
Result<> check(const MemoryInputs& inputs);  // kUsage, by the flags' names

// Bytes of this program's own buffers on the CPU (fp32): flat buffers by optimizer, activations by
// batch, and what polar factors, or products rounded to bf16, are made in. What the program takes
// without a model comes on top: its libraries, mostly.
struct Memory {
  std::int64_t weights, gradients, optimizer, activations;
  std::int64_t workspace;  // the most of a polar factor's and a product's, and all ranks' factors
  std::int64_t snapshot;   // of a run that takes checkpoints: its copy of weights and optimizer
  std::int64_t total() const { return weights + gradients + optimizer + activations + workspace; }
};
Memory memory(const MemoryInputs& inputs);

// Bytes of a rank's tensors on its card, as DeviceModel and DeviceOptimizer make them; attention is
// taken to be flash attention. The driver's and the libraries' own come on top, and what the
// allocator of LibTorch keeps in pieces: about 1 GB.
struct DeviceMemory {
  std::int64_t weights, gradients;
  std::int64_t reading;    // what the passes read: of the products' type, gains in fp32
  std::int64_t optimizer;  // its state, and the factors that ranks gather
  // The most at once of a forward and a backward pass, and of a step after that.
  std::int64_t activations, workspace;
  std::int64_t kept() const { return weights + gradients + reading + optimizer; }
  std::int64_t total() const {
    return kept() + (activations > workspace ? activations : workspace);
  }
};
DeviceMemory device_memory(const MemoryInputs& inputs);

}  // namespace longhaul::trainer
