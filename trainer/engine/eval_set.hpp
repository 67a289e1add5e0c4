// EvalSet: the tokens of an evaluation in batches, read at the start: the same ones each time. A
// value; the training thread.
#pragma once

#include <functional>
#include <span>
#include <vector>

#include "trainer/engine/model.hpp"
#include "trainer/shard.hpp"
#include "trainer/train_options.hpp"

namespace longhaul::trainer {

class EvalSet {
 public:
  // A run's own: whole batches alone, so that each costs the same; at most options.eval_batches.
  static Result<EvalSet> open(const Path& data, const ModelConfig& config,
                              const TrainOptions& options);
  // All samples, also those of a last, shorter batch: what is counted does not depend on --batch.
  static Result<EvalSet> open_all(const Path& data, const ModelConfig& config,
                                  const TrainOptions& options);
  // A text's tokens, each but the first foretold from those before it, up to the sequence's length;
  // `from` names the text in errors.
  static Result<EvalSet> of_tokens(std::span<const Token> tokens, const std::string& from,
                                   const ModelConfig& config, const TrainOptions& options);
  double loss(Model& model) const;                     // mean nats a token
  using LossOf = std::function<double(const Batch&)>;  // the sum
  // The sum of each batch's losses; of those that other ranks take, 0.
  std::vector<double> losses(const LossOf& loss_of, std::uint64_t rank, std::uint64_t ranks) const;
  double mean(std::span<const double> losses) const;
  std::uint64_t tokens() const;

 private:
  struct Part {  // [samples, sequence]
    std::vector<std::int64_t> tokens, targets;
    std::int64_t sequence;
  };
  static Result<EvalSet> read(const Path& data, const ModelConfig& config,
                              const TrainOptions& options, bool whole_batches);
  std::vector<Part> parts_;
};

}  // namespace longhaul::trainer
