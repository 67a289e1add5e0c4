#include "trainer/engine/serving.hpp"

namespace longhaul::trainer {

Server::Server(const Model& model, const ServerOptions& options)
    : most_positions_(model.config().max_positions),
      batcher_({.pool_blocks = static_cast<std::uint32_t>(options.pool_tokens / kBlockTokens),
                .block_tokens = kBlockTokens,
                .most_requests = options.most_requests,
                .round_tokens = options.round_tokens}),
      decoder_(model, {.pool_blocks = static_cast<std::int64_t>(options.pool_tokens / kBlockTokens),
                       .block_tokens = kBlockTokens,
                       .most_rows = options.round_tokens}) {}

Result<> Server::add(std::uint64_t request, Prompt prompt) {
  const std::size_t positions = prompt.tokens.size() + prompt.output;
  if (static_cast<std::int64_t>(positions) > most_positions_)
    return fail(Kind::kLimit, "serve a request", "it has more positions than the model");
  TRY(batcher_.add({request, static_cast<std::uint32_t>(prompt.tokens.size()), prompt.output}));
  wanted_[request] = positions;
  tokens_[request] = std::move(prompt.tokens);
  return {};
}

const std::vector<Server::Made>& Server::round() {
  std::vector<DecodeRow> rows;
  made_.clear();
  for (const RoundPart& part : batcher_.next()) {
    const std::vector<std::int64_t>& tokens = tokens_[part.request];
    const auto blocks = batcher_.blocks_of(part.request);
    for (std::uint32_t p = part.first; p < part.first + part.count; ++p)
      rows.push_back({tokens[p], p, blocks, part.makes && p + 1 == part.first + part.count});
    if (part.makes) made_.push_back({part.request, 0, false});
  }
  decoder_.run(rows);
  for (std::size_t i = 0; i < made_.size(); ++i) {
    Made& made = made_[i];
    made.token = decoder_.best(static_cast<std::int64_t>(i));
    std::vector<std::int64_t>& tokens = tokens_[made.request];
    tokens.push_back(made.token);
    made.last = tokens.size() == wanted_[made.request];
  }
  for (const std::uint64_t request : batcher_.end_round()) {
    tokens_.erase(request);
    wanted_.erase(request);
  }
  return made_;
}

}  // namespace longhaul::trainer
