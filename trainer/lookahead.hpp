// Lookahead: which blocks a data source is told of, and when: with each window that the order
// enters, that window, and behind it what `prefetch_seconds` of training read at the pace so far.
// Once that is here, a link that is dead for as long costs nothing. Pure; one thread.
#pragma once

#include <optional>
#include <vector>

#include "lib/base/units.hpp"
#include "trainer/sample_order.hpp"

namespace longhaul::trainer {

struct LookaheadOptions {
  std::uint64_t prefetch_seconds = 600;
  std::uint64_t sample_bytes = 0;  // on the disk
  std::uint64_t first_index = 0;   // where training began, at the time of the first call
  std::uint64_t block_bytes = kShuffleBlockBytes;
};

class Lookahead {
 public:
  explicit Lookahead(const LookaheadOptions& options) : options_(options) {}
  // What is to be named before the sample is read, soonest first, the order's window_blocks() of it
  // urgent; nullopt: of its window all was named.
  std::optional<std::vector<TokenRange>> due(SampleOrder& order, std::uint64_t index, Time now);
  // Seconds for which the most that is named ahead lasts at the pace so far, where those are fewer
  // than were asked for.
  std::optional<std::uint64_t> reach() const { return reach_; }

 private:
  LookaheadOptions options_;
  std::optional<std::uint64_t> window_;  // named last
  std::optional<std::uint64_t> reach_;
  Time began_{};
};

}  // namespace longhaul::trainer
