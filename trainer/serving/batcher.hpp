// Batcher: continuous batching over one pool of memory for keys and values. Each round every
// request that is past its prompt makes one token, and what is left of the round goes to prompts,
// oldest first; requests join and leave between any two rounds. A request is let in, in the order
// of arrival, when the pool has room for all that it may come to hold: none is ever thrown out half
// done. Pure.
//
//   batcher.add({7, 100, 20});
//   while (const auto round = batcher.next(); !round.empty()) { .. compute ..; batcher.end_round();
//   }
#pragma once

#include <cstdint>
#include <deque>
#include <map>
#include <span>
#include <vector>

#include "lib/base/result.hpp"

namespace longhaul::trainer {

struct Request {
  std::uint64_t id = 0;
  std::uint32_t prompt = 1, output = 1;  // tokens, 1 or more each
};
struct BatcherOptions {
  std::uint32_t pool_blocks = 256, block_tokens = 16;
  std::uint32_t most_requests = 16;  // at work at once
  std::uint32_t round_tokens = 64;   // at least most_requests
};
// Positions [first, first + count) of a request; its last one gives a token if `makes`.
struct RoundPart {
  std::uint64_t request;
  std::uint32_t first, count;
  bool makes;
  bool operator==(const RoundPart&) const = default;
};

class Batcher {
 public:
  explicit Batcher(const BatcherOptions& options);
  Result<> add(const Request& request);  // kLimit: the whole pool would not hold it
  const std::vector<RoundPart>& next();  // empty: nobody is here
  // After next()'s round was computed: the requests that have made their last token.
  std::vector<std::uint64_t> end_round();
  // Where the keys and values of a request at work lie: position p in block p / block_tokens.
  std::span<const std::uint32_t> blocks_of(std::uint64_t request) const;
  std::size_t waiting() const { return waiting_.size(); }
  std::size_t at_work() const { return running_.size(); }
  void check() const;  // no block is lost or held twice

 private:
  struct Running {
    Request request;
    std::uint32_t done = 0;  // positions
    std::vector<std::uint32_t> blocks{};
    std::uint32_t positions() const { return request.prompt + request.output - 1; }
  };
  std::uint32_t blocks_for(const Request& request) const;
  void let_in();

  BatcherOptions options_;
  std::deque<Request> waiting_;
  std::deque<Running> running_;  // in the order of arrival
  std::vector<std::uint32_t> free_;
  std::vector<RoundPart> round_;
};

}  // namespace longhaul::trainer
