// SegmentGuess: do connections die here because full segments get lost? A tunnel with a small MTU
// whose "too big" answers are filtered lets connections open and then takes every full segment;
// Linux without tcp_mtu_probing never finds out. Connections that fell silent before they carried
// anything, three times over, with none in between that did: the next ones say in their SYN that
// they take small segments, and so does the peer's kernel then. The price of a wrong guess is 0.6 %
// more headers for ten minutes. Not thread-safe.
#pragma once

#include <cstdint>

#include "lib/base/units.hpp"

namespace longhaul::session {

// Payload of a TCP segment that every path carries in practice: 1280 bytes less IPv6 and TCP
// headers with timestamps (RFC 8200, section 5).
constexpr std::uint32_t kSmallSegment = 1208;

class SegmentGuess {
 public:
  // A connection stood and fell silent after the peer's kernel had acknowledged so many bytes.
  void on_silent(Time now, std::uint64_t delivered_bytes) {
    if (delivered_bytes >= kCarriedBytes) return;
    if (silences_ > 0 && now - last_ < kApart) return;  // of one outage
    last_ = now;
    if (++silences_ < kSilences) return;
    silences_ = 0;
    small_until_ = now + kSmallFor;
  }
  void on_delivered(std::uint64_t bytes) {
    if (bytes >= kCarriedBytes) silences_ = 0;
  }
  void on_addresses_changed() { *this = SegmentGuess(); }
  bool small(Time now) const { return now < small_until_; }

 private:
  static constexpr std::uint64_t kCarriedBytes = 64U << 10;
  static constexpr Duration kApart = 1s;
  static constexpr Duration kSmallFor = 10min;
  static constexpr std::uint32_t kSilences = 3;

  std::uint32_t silences_ = 0;
  Time last_{}, small_until_{};
};

}  // namespace longhaul::session
