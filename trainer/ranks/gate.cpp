#include "trainer/ranks/gate.hpp"

#include <fmt/format.h>

#include "lib/base/escape.hpp"

namespace longhaul::trainer {

void Gate::on_message(std::uint64_t rank, const Message& message) {
  Seen& seen = seen_[rank];
  stop_ = stop_ || message.stop;
  switch (message.kind) {
    case Message::Kind::kReady:
      seen.ready = message.step;
      seen.waits.clear();
      return;
    case Message::Kind::kWaits:
      seen.waits = printable(message.text, 200);
      return;
    case Message::Kind::kFailed:
      seen.failed = true;
      if (lost_) return;
      lost_ = error_of_failed(rank, message, fmt::format("train with {} ranks", ranks_));
      second_hand_ = lost_->kind() == Kind::kLink || lost_->kind() == Kind::kTimeout;
      return;
    default:
      if (!lost_)
        lost_ = Error(Kind::kMalformed, fmt::format("train with {} ranks", ranks_),
                      fmt::format("rank {} says what only rank 0 may say", rank));
  }
}

void Gate::on_gone(std::uint64_t rank) {
  // A rank that says why it ends is gone after that, but did not end the others.
  if (lost_ && (!second_hand_ || seen_[rank].failed)) return;
  second_hand_ = false;
  lost_ = Error(Kind::kLink, fmt::format("train with {} ranks", ranks_),
                fmt::format("rank {} is gone: its process or its host has died", rank))
              .advise("start the run again with --resume auto");
}

bool Gate::holds(std::uint64_t rank, std::uint64_t step) const {
  const auto found = seen_.find(rank);
  return found != seen_.end() && found->second.ready == step;
}

bool Gate::open(std::uint64_t step) const {
  std::uint64_t ready = 0;
  for (const auto& [rank, seen] : seen_)
    if (seen.ready == step) ++ready;
  return ready + 1 == ranks_;
}

std::string Gate::waits_for(std::uint64_t step) const {
  for (std::uint64_t rank = 1; rank < ranks_; ++rank) {
    if (holds(rank, step)) continue;
    const auto found = seen_.find(rank);
    const std::string why = found == seen_.end() ? "" : found->second.waits;
    return fmt::format("rank {}{}{}", rank, why.empty() ? "" : ": ", why);
  }
  return "";
}

}  // namespace longhaul::trainer
