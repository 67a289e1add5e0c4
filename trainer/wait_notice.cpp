#include "trainer/wait_notice.hpp"

#include <fmt/format.h>

#include <array>
#include <chrono>

namespace longhaul::trainer {

std::optional<std::string> WaitNotice::due(Time now, const std::string& lacks) {
  constexpr std::array<std::chrono::seconds, 3> kAgain = {
      std::chrono::seconds(10), std::chrono::seconds(60), std::chrono::seconds(600)};
  if (lacks != lacks_) {
    if (!lacks_.empty()) since_ = now;
    lacks_ = lacks;
    repeats_ = 0;
    if (!said_.empty()) next_ = now;
  }
  if (now < next_) return std::nullopt;
  said_ = lacks;
  const Duration waited = now - since_;
  while (repeats_ + 1 < kAgain.size() && waited >= kAgain[repeats_]) ++repeats_;
  next_ = repeats_ + 1 < kAgain.size() ? since_ + kAgain[repeats_] : now + kAgain.back();
  return fmt::format("waits for {}, since {:.1f} s", lacks,
                     std::chrono::duration<double>(waited).count());
}

}  // namespace longhaul::trainer
