// InFlight: what was sent on one stream path and is not acknowledged, in the order of sending. The
// peer acknowledges by count, since a stream keeps order. When the path dies, all of it goes to
// other paths. Not thread-safe.
#pragma once

#include <cstdint>

#include "lib/base/result.hpp"
#include "lib/base/ring.hpp"
#include "lib/session/outbox.hpp"

namespace longhaul::session {

class InFlight {
 public:
  void push(const Fragment& fragment) {
    bytes_ += fragment.bytes;
    sent_.push(fragment);
  }
  // Gives each newly acknowledged fragment to `done`. `frames`: received on this path since it
  // began. An error if the peer acknowledges what was never sent; a count of before is nothing new.
  template <class Done>
  Result<std::uint64_t> on_ack(std::uint64_t frames, Done&& done) {
    if (frames > acked_ + sent_.size()) {
      return fail(Kind::kMalformed, "take an acknowledgement", "of frames that were never sent");
    }
    std::uint64_t bytes = 0;
    while (acked_ < frames) {
      const Fragment fragment = sent_.pop();
      ++acked_;
      bytes += fragment.bytes;
      done(fragment);
    }
    bytes_ -= bytes;
    return bytes;
  }
  // Everything not acknowledged, oldest first; it is then no longer in flight here.
  template <class Lost>
  void give_up(Lost&& lost) {
    while (!sent_.empty()) lost(sent_.pop());
    bytes_ = 0;
  }
  std::uint64_t bytes() const { return bytes_; }
  std::size_t frames() const { return sent_.size(); }

 private:
  Ring<Fragment> sent_;
  std::uint64_t acked_ = 0;  // frames
  std::uint64_t bytes_ = 0;
};

}  // namespace longhaul::session
