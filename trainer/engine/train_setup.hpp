// What a run is built from, out of its options: the model's shape, the optimizer's settings, what
// a resume compares.
#pragma once

#include <functional>
#include <memory>
#include <string>

#include "trainer/data_source.hpp"
#include "trainer/engine/optimizer.hpp"
#include "trainer/same_run.hpp"
#include "trainer/train_options.hpp"

namespace longhaul::trainer {

Result<> check(const TrainOptions& options, std::uint64_t ranks = 1);
Result<ModelConfig> config_of(const TrainOptions& options);
Result<Products> products_of(const TrainOptions& options);
Result<OptimizerConfig> optimizer_of(const TrainOptions& options);
// Loads options.model's weights if asked to, else draws them from the seed.
Result<> start_weights(const TrainOptions& options, const ModelConfig& config,
                       std::span<float> weights);

// What is trained and by which rules, resolved: what a flag left to the optimizer stands as that.
// Reads some of the data.
Result<Facts> settings_of(const TrainOptions& options, const OptimizerConfig& rules,
                          const DataSource& data);
// Of a checkpoint: what an older version wrote in another way, as settings_of() has it.
void settle_older(Facts& settings);
// What decides whether the same settings also give the same bits. `device`: by name.
Facts environment_of(const TrainOptions& options, std::uint64_t ranks, const std::string& device);

}  // namespace longhaul::trainer
