// LinkMemory: what one session learned of its link, kept by the owner (keyed by peer and network)
// and given to the next session over it. A hint, never trusted: everything is measured again.
#pragma once

#include <algorithm>
#include <cstdint>

#include "lib/base/units.hpp"

namespace longhaul::session {

struct LinkMemory {
  BytesPerSecond rate;  // carried while only the link was in the way; zero: nothing known
  Duration rtt_min{};
  std::uint32_t loss_ppm = 0;    // of bytes sent
  std::uint32_t bulk_paths = 0;  // K that served; zero: nothing known
  bool bbr = false;              // the kernel granted it
  bool datagrams = false;        // bulk went in them at the end, which begin where they were

  bool empty() const { return rate.value() == 0; }
  bool operator==(const LinkMemory&) const = default;
};

// What to remember after a session that moved so many bytes. One that moved little has not seen how
// fast the link is: a lower rate than is known says nothing.
inline LinkMemory worth_keeping(const LinkMemory& known, const LinkMemory& learned,
                                std::uint64_t moved_bytes) {
  constexpr std::uint64_t kFlights = 4;  // of rate x RTT: then it had time to find the rate
  const std::uint64_t flight = known.rate.bytes_in(known.rtt_min).value();
  if (learned.rate >= known.rate || moved_bytes >= kFlights * flight) return learned;
  LinkMemory kept = known;
  if (learned.rtt_min > Duration::zero()) kept.rtt_min = std::min(kept.rtt_min, learned.rtt_min);
  return kept;
}

}  // namespace longhaul::session
