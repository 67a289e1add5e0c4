// A model as a Hugging Face folder: config.json and model.safetensors, or shards named by
// model.safetensors.index.json. Weights go to and from the flat buffer of ParameterLayout. Blocks.
#pragma once

#include <span>

#include "trainer/parameters.hpp"
#include "trainer/posix_file.hpp"

namespace longhaul::trainer {

inline constexpr std::size_t kMaxWeightFiles = 4096;
inline constexpr std::uint64_t kMaxConfigBytes = 1U << 20;

Result<ModelConfig> read_model_config(const Path& folder);
// Fills `weights` (layout.size() floats) from the folder. Every parameter must be there with its
// shape; a tensor the model does not have is kMalformed, except those a LLaMA checkpoint may carry
// without meaning: rotary inverse frequencies, and the head of a tied model.
Result<> load_weights(const Path& folder, const ModelConfig& config, std::span<float> weights);

struct SaveOptions {
  std::string dtype = "BF16";                 // or "F32"
  std::uint64_t shard_bytes = 5'000'000'000;  // more than that goes into several files
};
// Writes the folder (made if missing) so that a crash leaves no file that looks whole: each under a
// name beside its own, then renamed, config.json last.
Result<> save_weights(const Path& folder, const ModelConfig& config, std::span<const float> weights,
                      const SaveOptions& options);

}  // namespace longhaul::trainer
