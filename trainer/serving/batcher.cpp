#include "trainer/serving/batcher.hpp"

#include <algorithm>

#include "lib/base/assert.hpp"

namespace longhaul::trainer {

Batcher::Batcher(const BatcherOptions& options) : options_(options) {
  ASSERT(options.most_requests > 0 && options.round_tokens >= options.most_requests);
  ASSERT(options.block_tokens > 0 && options.pool_blocks > 0);
  for (std::uint32_t block = options.pool_blocks; block-- > 0;) free_.push_back(block);
}

std::uint32_t Batcher::blocks_for(const Request& request) const {
  // The last token is made and not read again.
  const std::uint32_t positions = request.prompt + request.output - 1;
  return (positions + options_.block_tokens - 1) / options_.block_tokens;
}

Result<> Batcher::add(const Request& request) {
  ASSERT(request.prompt > 0 && request.output > 0);
  if (blocks_for(request) > options_.pool_blocks)
    return fail(Kind::kLimit, "serve a request", "it is larger than the whole pool");
  waiting_.push_back(request);
  return {};
}

void Batcher::let_in() {
  while (!waiting_.empty() && running_.size() < options_.most_requests &&
         blocks_for(waiting_.front()) <= free_.size()) {
    Running running{waiting_.front()};
    waiting_.pop_front();
    for (std::uint32_t left = blocks_for(running.request); left > 0; --left) {
      running.blocks.push_back(free_.back());
      free_.pop_back();
    }
    running_.push_back(std::move(running));
  }
}

const std::vector<RoundPart>& Batcher::next() {
  let_in();
  round_.clear();
  std::uint32_t left = options_.round_tokens;
  for (const Running& one : running_) {
    if (one.done < one.request.prompt) continue;
    round_.push_back({one.request.id, one.done, 1, true});
    --left;
  }
  for (const Running& one : running_) {
    if (one.done >= one.request.prompt || left == 0) continue;
    const std::uint32_t count = std::min(left, one.request.prompt - one.done);
    round_.push_back({one.request.id, one.done, count, one.done + count == one.request.prompt});
    left -= count;
  }
  return round_;
}

std::vector<std::uint64_t> Batcher::end_round() {
  std::vector<std::uint64_t> ended;
  for (const RoundPart& part : round_) {
    const auto found = std::find_if(running_.begin(), running_.end(), [&](const Running& one) {
      return one.request.id == part.request;
    });
    ASSERT(found != running_.end() && found->done == part.first);
    found->done += part.count;
    if (found->done < found->positions()) continue;
    ended.push_back(part.request);
    free_.insert(free_.end(), found->blocks.rbegin(), found->blocks.rend());
    running_.erase(found);
  }
  round_.clear();
  return ended;
}

std::span<const std::uint32_t> Batcher::blocks_of(std::uint64_t request) const {
  const auto found = std::find_if(running_.begin(), running_.end(),
                                  [&](const Running& one) { return one.request.id == request; });
  ASSERT(found != running_.end());
  return found->blocks;
}

void Batcher::check() const {
  std::vector<bool> seen(options_.pool_blocks, false);
  std::size_t held = 0;
  const auto see = [&](std::uint32_t block) {
    ASSERT(block < options_.pool_blocks && !seen[block]);
    seen[block] = true;
    ++held;
  };
  for (const std::uint32_t block : free_) see(block);
  for (const Running& one : running_)
    for (const std::uint32_t block : one.blocks) see(block);
  ASSERT(held == options_.pool_blocks && running_.size() <= options_.most_requests);
}

}  // namespace longhaul::trainer
