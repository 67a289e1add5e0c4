// Trial: a stretch of sending at one pace, and what became of it. All that rate control learns, it
// learns from whole trials: what was delivered, how late, how much was lost. The peer's receive
// times are used, so what happens to acknowledgements on their way back does not matter.
#pragma once

#include <array>
#include <cstdint>
#include <optional>

#include "lib/base/ring.hpp"
#include "lib/datagram/rate_state.hpp"

namespace longhaul::datagram {

struct Trial {
  std::uint32_t id = 0;
  RatePhase kind = RatePhase::kStart;
  BytesPerSecond pace;
  Time begin{}, end{};  // of sending; end: once the next has begun
  bool closed = false, app_limited = false;
  bool pulse = false;  // of the start: faster than what is known to pass
  bool stalled =
      false;  // the sender slept when it should have sent, maybe over a packet in its hand
  std::uint64_t sent_bytes = 0, acked_bytes = 0, lost_bytes = 0;
  std::uint32_t sent_packets = 0, acked_packets = 0, lost_packets = 0;
  // Losses in a row are one: a link that loses in bursts is not overloaded by each of them.
  std::uint32_t loss_events = 0;
  std::uint32_t dropped_packets = 0;  // behind the link, by a receiver without room
  // When the first of them arrived, and the one sent last: those held back on their way say nothing
  // of the rate.
  Duration first_received{Duration::max()}, last_received{Duration::min()};
  std::uint64_t first_bytes = 0;  // of the packet received first
  std::uint64_t last_number = 0;
  Duration queue{};       // once learned from: its delay over the way's own
  bool overflow = false;  // its losses say nothing: a full queue had them

  void add(const AckedPacket& acked);
  void add_lost(const SentPacket& packet);  // in the order of their numbers
  bool settled() const {
    return closed && acked_packets + lost_packets + dropped_packets >= sent_packets;
  }
  // Lower quartile of the one-way delays, by two clocks: only differences mean something. Jitter
  // adds to some packets, a queue to all.
  Duration delay() const;
  Duration delay_end() const;  // of its last packets alone
  // How far the delay went up and down again, or down and up. A queue that we fill or drain goes
  // one way; jitter goes both.
  Duration wobble() const { return std::min(rise_, fall_); }
  BytesPerSecond delivered() const;  // zero: fewer than two packets
  std::uint32_t loss_ppm() const;
  std::uint32_t missing_ppm() const;  // lost or dropped

 private:
  static constexpr std::size_t kSamples = 64, kEnd = 8;
  std::array<Duration, kSamples> samples_{};  // evenly spread: every stride-th packet
  std::array<Duration, kEnd> last_{};
  std::optional<std::uint64_t> newest_lost_;
  Duration low_{Duration::max()}, high_{Duration::min()}, rise_{}, fall_{};
  std::uint32_t sampled_ = 0, stride_ = 1, seen_ = 0;
};

// The trials of about the last two round trips, oldest first; what is older is forgotten.
class TrialLog {
 public:
  static constexpr std::size_t kMax = 256;
  Trial& open(Time now, RatePhase kind, BytesPerSecond pace);
  Trial* find(std::uint32_t id);  // nullptr: forgotten
  bool empty() const { return ring_.empty(); }
  Trial& newest() { return ring_.back(); }
  const Trial& newest() const { return ring_.back(); }
  std::size_t size() const { return ring_.size(); }
  Trial& operator[](std::size_t i) { return ring_[i]; }
  const Trial& operator[](std::size_t i) const { return ring_[i]; }
  std::uint32_t first_id() const { return first_; }
  std::uint32_t next_id() const { return first_ + static_cast<std::uint32_t>(ring_.size()); }

 private:
  Ring<Trial> ring_;
  std::uint32_t first_ = 0;
};

}  // namespace longhaul::datagram
