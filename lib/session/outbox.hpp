// Outbox: messages of which something was sent, until the peer has acknowledged all of it. A
// message gets its number when its first fragment leaves, so numbers follow the order of sending
// and the oldest unfinished one bounds what both sides must remember.
//
// Invariant: each byte of an open message is in exactly one place: not yet sent, in flight on one
// path, or waiting to be sent again. Not thread-safe.
#pragma once

#include <cstdint>

#include "lib/base/ring.hpp"
#include "lib/base/slice.hpp"
#include "lib/base/units.hpp"
#include "lib/session/output.hpp"
#include "lib/session/service.hpp"

namespace longhaul::session {

using MessageId = Id<struct MessageTag>;

// A sender is at most this far ahead of its oldest unfinished message; the receiver's table of
// finished ones has this many places.
constexpr std::uint64_t kMessagesAhead = 1U << 16;
// Fragments begin at multiples of this and have such a length, but for a message's end: so that a
// receiver keeps a bit per unit, whatever path a fragment took.
// 89 of them fill a packet of 1500 bytes: 1.053 bytes on the wire for a useful one; of 128 bytes it
// was 1.065.
constexpr std::uint32_t kUnitBytes = 16;
// What a message costs of the receiver's window besides its bytes: its place in the tables.
constexpr std::uint64_t kMessageCost = 1024;
constexpr std::uint64_t cost_of(std::uint64_t body_bytes) {
  return body_bytes + kMessageCost;
}

// A range of an open message, sent as one frame.
struct Fragment {
  MessageId message;
  std::uint32_t offset = 0;
  std::uint32_t bytes = 0;
  Lane lane = Lane::kBulk;
};

class Outbox {
 public:
  struct Open {
    Slice body;  // empty when all of it is acknowledged
    std::uint64_t key = 0;
    Time start_by = Time::max();
    std::uint32_t next = 0;     // first byte never sent
    std::uint32_t unacked = 0;  // bytes of the body not yet acknowledged
    ServiceId service;
    Lane lane = Lane::kBulk;
  };

  bool has_number() const { return open_.size() < kMessagesAhead; }
  MessageId open(Lane lane, ServiceId service, std::uint64_t key, Time start_by, Slice body);
  const Open& at(MessageId id) const;
  // The next bytes never sent, at most `bytes_max` (at least one unit).
  Fragment advance(MessageId id, std::uint32_t bytes_max);
  void on_acked(const Fragment& fragment);
  std::uint64_t opened_cost() const { return opened_cost_; }  // of all messages ever opened
  std::uint64_t held_bytes() const { return held_bytes_; }    // bodies kept for a repeat
  MessageId floor() const { return floor_; }                  // oldest unfinished
  void clear();
  void check() const;

 private:
  Open& slot(MessageId id);

  Ring<Open> open_;  // open_[i] is message floor_ + i
  MessageId floor_;
  std::uint64_t opened_cost_ = 0;
  std::uint64_t held_bytes_ = 0;
};

}  // namespace longhaul::session
