// What a run is built from, out of its options: the model's shape, the optimizer's settings, what
// a resume compares.
#pragma once

#include <map>
#include <string>

#include "trainer/engine/optimizer.hpp"
#include "trainer/train_options.hpp"

namespace longhaul::trainer {

Result<> check(const TrainOptions& options, std::uint64_t ranks = 1);
Result<ModelConfig> config_of(const TrainOptions& options);
Result<Products> products_of(const TrainOptions& options);
Result<OptimizerConfig> optimizer_of(const TrainOptions& options);
// Loads options.model's weights if asked to, else draws them from the seed.
Result<> start_weights(const TrainOptions& options, const ModelConfig& config,
                       std::span<float> weights);

// What must be the same for a resume to mean the same run.
std::map<std::string, std::string> settings_of(const TrainOptions& options,
                                               const std::string& data_identity);
// What decides whether it also gives the same bits. `device`: by name.
std::map<std::string, std::string> environment_of(const TrainOptions& options, std::uint64_t ranks,
                                                  const std::string& device);

}  // namespace longhaul::trainer
