// LaneQueue: messages of one lane that wait for their first byte to be sent. What leaves first is
// the lane's order: oldest (bulk, backfill), least slack (update, demand), or oldest key with its
// newest value (live). Control has its own numbering, see control.hpp.
//
// Bounded in bytes by lane_queue_bytes(): a service sees Room and offers nothing when it is zero,
// so a queue exceeds its bound by at most one message. Not thread-safe; the session's strand.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include "lib/base/ring.hpp"
#include "lib/base/slice.hpp"
#include "lib/base/units.hpp"
#include "lib/session/output.hpp"
#include "lib/session/service.hpp"

namespace longhaul::session {

constexpr std::size_t kLaneMessagesMax = 4096;  // in one lane's queue; room is zero then
constexpr std::size_t kLiveKeysMax = 1024;

// Bulk is pulled at the link's pace: its queue only bridges one turn of the owner's loop.
constexpr std::size_t lane_queue_bytes(Lane lane) {
  switch (lane) {
    case Lane::kControl:
      return 128U << 10;
    case Lane::kLive:
      return 1U << 20;
    case Lane::kUpdate:
      return 8U << 20;
    case Lane::kDemand:
      return 8U << 20;
    case Lane::kBulk:
      return 8U << 20;
    case Lane::kBackfill:
      return 4U << 20;
  }
  return 0;
}

struct Waiting {
  Slice body;
  std::uint64_t key = 0;
  Time start_by = Time::max();  // deadline less the time to send it: the least goes first
  std::uint64_t sequence = 0;
  ServiceId service;
};

class LaneQueue {
 public:
  explicit LaneQueue(Lane lane) : lane_(lane) {}

  // rate: what the link is thought to carry, for the slack of deadline lanes; zero: not known.
  void push(ServiceId service, Message message, BytesPerSecond rate);
  bool empty() const { return size() == 0; }
  std::size_t size() const;
  const Waiting& front() const;  // what pop() would give
  Waiting pop();
  std::size_t bytes() const { return bytes_; }
  void clear();
  void check() const;

 private:
  bool by_deadline() const { return lane_ == Lane::kUpdate || lane_ == Lane::kDemand; }
  bool replace_live(ServiceId service, Message& message);

  const Lane lane_;
  Ring<Waiting> fifo_;
  std::vector<Waiting> heap_;  // deadline lanes
  std::size_t bytes_ = 0;
  std::uint64_t next_sequence_ = 0;
};

}  // namespace longhaul::session
