// Server: the batcher's rounds, computed by a decoder. Greedy: the token with the largest logit.
//
//   CpuDecoder decoder(model, decoder_options(options));
//   Server server(decoder, options);
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

DecoderOptions decoder_options(const ServerOptions& options);

class Server {
 public:
  Server(Decoder& decoder, const ServerOptions& options);
  Result<> add(std::uint64_t request, Prompt prompt);  // kLimit: too long for the pool or the model
  bool busy() const { return batcher_.at_work() + batcher_.waiting() > 0; }
  struct Made {
    std::uint64_t request;
    std::int64_t token;
    bool last;
  };
  const std::vector<Made>& round();  // while busy()

 private:
  struct Answer {
    std::vector<std::int64_t> tokens;  // given, then made
    std::size_t given, wanted;         // as many of them in the end
  };
  Decoder& decoder_;
  Batcher batcher_;
  std::map<std::uint64_t, Answer> answers_;  // by request
  std::vector<Made> made_;
};

}  // namespace longhaul::trainer
