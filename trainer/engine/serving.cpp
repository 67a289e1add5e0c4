#include "trainer/engine/serving.hpp"

namespace longhaul::trainer {

DecoderOptions decoder_options(const ServerOptions& options) {
  return {.pool_blocks = static_cast<std::int64_t>(options.pool_tokens / kBlockTokens),
          .block_tokens = kBlockTokens,
          .most_rows = options.round_tokens,
          .most_made = options.most_requests};
}

Server::Server(Decoder& decoder, const ServerOptions& options)
    : decoder_(decoder),
      batcher_({.pool_blocks = static_cast<std::uint32_t>(options.pool_tokens / kBlockTokens),
                .block_tokens = kBlockTokens,
                .most_requests = options.most_requests,
                .round_tokens = options.round_tokens}) {}

Result<> Server::add(std::uint64_t request, Prompt prompt) {
  const std::size_t given = prompt.tokens.size(), positions = given + prompt.output;
  if (static_cast<std::int64_t>(positions) > decoder_.config().max_positions)
    return fail(Kind::kLimit, "serve a request", "it has more positions than the model");
  TRY(batcher_.add({request, static_cast<std::uint32_t>(given), prompt.output}));
  answers_[request] = {std::move(prompt.tokens), given, positions};
  return {};
}

const std::vector<Server::Made>& Server::round() {
  std::vector<DecodeRow> rows;
  made_.clear();
  for (const RoundPart& part : batcher_.next()) {
    const Answer& answer = answers_[part.request];
    const auto blocks = batcher_.blocks_of(part.request);
    for (std::uint32_t p = part.first; p < part.first + part.count; ++p)
      rows.push_back({answer.tokens[p], p, blocks, part.makes && p + 1 == part.first + part.count,
                      p >= answer.given});
    if (part.makes) made_.push_back({part.request, 0, false});
  }
  decoder_.run(rows);
  for (std::size_t i = 0; i < made_.size(); ++i) {
    Made& made = made_[i];
    made.token = decoder_.best()[i];
    Answer& answer = answers_[made.request];
    answer.tokens.push_back(made.token);
    made.last = answer.tokens.size() == answer.wanted;
  }
  for (const std::uint64_t request : batcher_.end_round()) answers_.erase(request);
  return made_;
}

}  // namespace longhaul::trainer
