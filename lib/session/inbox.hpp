// Inbox: fragments become messages again. Any fragment may come over any path, twice, or long after
// the message was delivered: each message is delivered once.
//
// A hostile peer is bounded here. What it has opened and we have not delivered, plus what services
// hold, stays within the window: a message that would exceed the limit we advertised ends the
// session, as do ranges off the unit, changed totals, and numbers too far ahead. Not thread-safe.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <vector>

#include "lib/base/result.hpp"
#include "lib/base/slice.hpp"
#include "lib/session/lane.hpp"
#include "lib/session/outbox.hpp"
#include "lib/wire/frame.hpp"

namespace longhaul::session {

struct Arrived {  // a whole message
  Lane lane = Lane::kBulk;
  ServiceId service;
  Slice body;
};

class Inbox {
 public:
  // services: how many there are; a message for another is refused.
  Inbox(std::size_t window_bytes, std::size_t services, BufferPool& pool);

  // The whole message, if this fragment completed one. An error means that the peer broke the
  // protocol.
  Result<std::optional<Arrived>> on_data(const wire::Data& data);
  // What the peer may have opened in all, ever, while services hold `held_bytes`. Never falls.
  std::uint64_t limit(std::size_t held_bytes);
  std::size_t partial_bytes() const { return partial_bytes_; }
  std::uint64_t delivered() const { return delivered_; }    // messages
  std::uint64_t duplicates() const { return duplicates_; }  // fragments that were here already
  void check() const;

 private:
  struct Partial {
    Buffer buffer;
    Buffer have;  // a bit per unit
    std::uint32_t total = 0;
    std::uint32_t missing_units = 0;
    Lane lane = Lane::kBulk;
    ServiceId service;
    std::uint64_t key = 0;
  };
  enum class State : std::uint8_t { kUnknown, kPartial, kDone };
  struct Slot {
    State state = State::kUnknown;
    std::uint32_t partial = 0;  // place in partials_
  };
  struct LiveKey {
    std::uint64_t key = 0;
    ServiceId service;
    MessageId newest;
  };

  Result<> judge(const wire::Data& data) const;
  Result<Slot*> slot_of(MessageId id);
  Result<> begin(const wire::Data& data, Slot& slot);
  void copy_in(const wire::Data& data, Partial& partial);
  std::optional<Arrived> finish(const wire::Data& data, Slot& slot, Slice body);
  Slice own(const wire::Data& data);
  bool is_stale(const wire::Data& data);

  const std::size_t window_bytes_;
  const std::size_t services_;
  BufferPool& pool_;
  Ring<Slot> slots_;  // slots_[i] is message floor_ + i; the front is never kDone
  MessageId floor_;
  std::vector<std::unique_ptr<Partial>> partials_;
  std::vector<std::uint32_t> free_partials_;
  std::vector<LiveKey> live_keys_;
  std::uint64_t opened_cost_ = 0, delivered_cost_ = 0, limit_ = 0;
  std::uint64_t delivered_ = 0, duplicates_ = 0;
  std::size_t partial_bytes_ = 0;
};

}  // namespace longhaul::session
