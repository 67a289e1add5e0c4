// Server: the batcher's rounds, computed. Greedy: the token with the largest logit.
//
//   server.add(1, {tokens, 20});
//   while (server.busy()) for (const auto& made : server.round()) .. made.token ..
#pragma once

#include <map>
#include <vector>

#include "trainer/engine/decoder.hpp"
#include "trainer/serving/batcher.hpp"

namespace longhaul::trainer {

inline constexpr std::uint32_t kBlockTokens = 16;

struct Prompt {
  std::vector<std::int64_t> tokens;  // ids below the vocabulary
  std::uint32_t output = 1;
};
struct ServerOptions {
  std::uint64_t pool_tokens = 8192;
  std::uint32_t most_requests = 16, round_tokens = 64;
};

class Server {
 public:
  Server(const Model& model, const ServerOptions& options);
  Result<> add(std::uint64_t request, Prompt prompt);  // kLimit: too long for the pool or the model
  bool busy() const { return batcher_.at_work() + batcher_.waiting() > 0; }
  struct Made {
    std::uint64_t request;
    std::int64_t token;
    bool last;
  };
  const std::vector<Made>& round();  // while busy()
  const Decoder& decoder() const { return decoder_; }

 private:
  std::int64_t most_positions_;
  Batcher batcher_;
  Decoder decoder_;
  std::map<std::uint64_t, std::vector<std::int64_t>> tokens_;  // of each request: given, then made
  std::map<std::uint64_t, std::size_t> wanted_;                // as many tokens in the end
  std::vector<Made> made_;
};

}  // namespace longhaul::trainer
