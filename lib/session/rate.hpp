// RateModel: one rate for all stream paths of a session. The kernel's congestion control finds the
// link's capacity; this keeps the sum just below it, so that the queue at the bottleneck, which
// every control message would wait in, stays empty, and so that many BBR flows do not overrun a
// short one (measured: 8-12 % resent without a cap, the link's own loss with one).
//
// It looks at rounds of about one RTT: what was delivered, how much the round trip stands above its
// minimum, how much was resent. A standing queue, or loss that falls when we slow down, is ours;
// loss that does not is the link's and costs no rate. Integers only. Not thread-safe.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <utility>

#include "lib/base/units.hpp"

namespace longhaul::session {

struct Round {
  Duration length{};
  std::uint64_t delivered_bytes = 0;  // acknowledged by the peer's session
  Duration rtt{};                     // least of the paths now; zero: not known
  std::uint32_t resent_ppm = 0;       // of the bytes the kernel sent
  bool limited_by_link = false;       // there was always something to send, and room at the peer
};

class RateModel {
 public:
  enum class Mode : std::uint8_t {
    kOpen,   // no cap: the link's limit has not been met
    kDrain,  // below capacity until the queue is gone
    kTest,   // does loss fall when we slow down?
    kHold,   // kHoldPercent of capacity
    kProbe,  // rising, to see whether there is more by now
  };

  void on_round(Time now, const Round& round);
  // The link came back, maybe another one: fresh connections find its limit anew.
  void on_link_up(Time now);
  // Zero: none.
  BytesPerSecond cap() const { return cap_; }
  Mode mode() const { return mode_; }
  // The most that was delivered over the last rounds; zero before the first.
  BytesPerSecond capacity() const;
  Duration rtt_min() const { return rtt_min_; }
  Duration queue() const { return queue_; }
  std::uint32_t loss_ppm() const { return loss_ppm_; }
  bool link_full() const { return mode_ != Mode::kOpen && mode_ != Mode::kTest; }

 private:
  static constexpr std::size_t kRounds = 10;
  static constexpr std::size_t kSmooth = 3;
  static constexpr Duration kHoldForLeast = 1s;
  static constexpr std::size_t kRampRounds = 2;
  void note(Time now, const Round& round);
  BytesPerSecond recent(std::size_t rounds) const;
  bool ramps() const;
  BytesPerSecond newest() const;
  std::uint64_t drain_percent() const;
  void enter(Time now, Mode mode, std::uint64_t percent);
  void drain(Time now, std::size_t rounds);
  bool overflows(const Round& round) const;
  void on_open(Time now, const Round& round);
  void on_drain(Time now);
  void on_test(Time now, const Round& round);
  void on_hold(Time now, const Round& round);
  void on_probe(Time now, const Round& round);
  bool steady() const { return clean_rounds_ >= kSmooth; }
  Duration queue_high() const;
  BytesPerSecond part(std::uint64_t percent) const;

  Mode mode_ = Mode::kOpen;
  BytesPerSecond cap_, capacity_;
  Duration rtt_min_{}, queue_{};
  Duration drained_from_{};  // the longest queue since draining began
  Time rtt_min_at_{};
  std::array<std::uint64_t, kRounds> rates_{};  // bytes per second, a ring
  std::array<std::pair<std::uint64_t, std::uint64_t>, kSmooth> lately_{};  // bytes, microseconds
  std::uint64_t rounds_ = 0;
  std::uint32_t loss_ppm_ = 0;      // smoothed over about 8 rounds
  std::uint32_t loss_before_ = 0;   // when the test or the probe began
  std::uint32_t high_rounds_ = 0;   // in a row with a queue
  std::uint32_t lossy_rounds_ = 0;  // in a row
  std::uint32_t rounds_in_mode_ = 0;
  std::uint32_t clean_rounds_ = 0;     // in a row without loss
  std::uint32_t idle_cap_rounds_ = 0;  // in a row, far below the cap though there was work
  std::uint64_t probe_step_ = 0;       // percent of capacity
  Time since_{}, no_test_before_{};
  Duration test_pause_ = 30s;
  Duration hold_for_ = kHoldForLeast;  // doubles: the first estimate is of few rounds
};

}  // namespace longhaul::session
