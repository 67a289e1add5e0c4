#include "trainer/engine/eval_set.hpp"

#include <fmt/format.h>

#include <algorithm>

#include "lib/base/escape.hpp"
#include "trainer/folder_source.hpp"
#include "trainer/loader.hpp"

namespace longhaul::trainer {

Result<EvalSet> EvalSet::read(const Path& data, const ModelConfig& config, const TrainOptions& o,
                              bool whole_batches) {
  if (o.eval_batches == 0)
    return fail(Kind::kUsage, "evaluate", "no batch is to be read: at least 1 is wanted");
  auto source = TRY(FolderSource::open(data));
  SampleOrder order = TRY(SampleOrder::make(source->shards(), {.seed = 0, .sequence = o.sequence}));
  const std::uint64_t all = order.samples_per_epoch();
  if (whole_batches && all < o.batch)
    return fail(Error(Kind::kUsage, "read " + printable(data.native()),
                      fmt::format("it holds {} samples, less than one batch of {}", all, o.batch))
                    .advise("take a smaller --batch or --sequence, or more text"));
  const std::uint64_t batch = std::min(o.batch, all), batches = all / batch;
  std::uint64_t left = std::min(o.eval_batches, batches) * batch;
  if (!whole_batches && o.eval_batches > batches) left = all;
  Loader loader(std::move(source), std::move(order), o.sequence,
                {.global_batch = batch, .vocab = static_cast<std::uint64_t>(config.vocab)});
  EvalSet set;
  while (left > 0) {
    const LoadedBatch* loaded = TRY(loader.take());
    const std::uint64_t samples = std::min(batch, left);  // behind them the next epoch begins
    Part part{loaded->tokens, loaded->targets, static_cast<std::int64_t>(o.sequence)};
    part.tokens.resize(samples * o.sequence);
    part.targets.resize(samples * o.sequence);
    set.parts_.push_back(std::move(part));
    left -= samples;
  }
  return set;
}

Result<EvalSet> EvalSet::open(const Path& data, const ModelConfig& config, const TrainOptions& o) {
  return read(data, config, o, true);
}

Result<EvalSet> EvalSet::open_all(const Path& data, const ModelConfig& config,
                                  const TrainOptions& o) {
  return read(data, config, o, false);
}

Result<EvalSet> EvalSet::of_tokens(std::span<const Token> tokens, const std::string& from,
                                   const ModelConfig& config, const TrainOptions& o) {
  const std::string attempt = "read " + printable(from);
  if (tokens.size() < 2)
    return fail(Error(Kind::kUsage, attempt, "it holds less than two tokens")
                    .advise("the first token is not foretold: give a longer text"));
  for (const Token token : tokens)
    if (token >= static_cast<std::uint64_t>(config.vocab))
      return fail(Error(Kind::kUsage, attempt,
                        fmt::format("its tokens go up to id {}, the model's vocabulary ends at {}",
                                    *std::max_element(tokens.begin(), tokens.end()), config.vocab))
                      .advise("give the model's own tokenizer as --tokenizer"));
  EvalSet set;
  const std::size_t last = tokens.size() - 1;
  for (std::size_t at = 0; at < last && set.parts_.size() < o.eval_batches;) {
    // Whole samples as long as there are any, then what is left as a shorter one.
    const std::size_t whole = std::min<std::size_t>(o.batch, (last - at) / o.sequence);
    const std::size_t count = whole > 0 ? whole * o.sequence : last - at;
    const auto begin = tokens.begin() + static_cast<std::ptrdiff_t>(at),
               end = begin + static_cast<std::ptrdiff_t>(count);
    set.parts_.push_back({{begin, end},
                          {begin + 1, end + 1},
                          static_cast<std::int64_t>(whole > 0 ? o.sequence : count)});
    at += count;
  }
  return set;
}

double EvalSet::loss(Model& model) const {
  return mean(losses([&](const Batch& batch) { return model.loss(batch); }, 0, 1));
}

std::vector<double> EvalSet::losses(const LossOf& loss_of, std::uint64_t rank,
                                    std::uint64_t ranks) const {
  std::vector<double> out(parts_.size(), 0);
  for (std::size_t i = rank; i < parts_.size(); i += ranks) {
    const Part& part = parts_[i];
    out[i] =
        loss_of({part.tokens.data(), part.targets.data(),
                 static_cast<std::int64_t>(part.tokens.size()) / part.sequence, part.sequence});
  }
  return out;
}

double EvalSet::mean(std::span<const double> losses) const {
  double sum = 0;
  for (const double loss : losses) sum += loss;
  return sum / static_cast<double>(tokens());
}

std::uint64_t EvalSet::tokens() const {
  std::uint64_t tokens = 0;
  for (const Part& part : parts_) tokens += part.tokens.size();
  return tokens;
}

}  // namespace longhaul::trainer
