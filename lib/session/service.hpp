// Service: what rides on a session. The session carries whole messages between a service and its
// twin at the peer, on lanes of different urgency, over whatever paths are alive; the service gives
// them a meaning.
//
// What a session promises its services, while both processes live (through dead links, roaming,
// sleep):
//   - every message is delivered exactly once, whole, or the session ends and on_end() is called;
//   - control messages arrive in the order they were sent; other lanes promise no order at all;
//   - live messages: the newest per key arrives, older ones may be dropped unsent.
// If a process dies, the next session starts with new services: what must survive that is in a
// journal.
//
// Like every core: same inputs, same outputs; after each on_*() the owner drains poll_output().
// Services live on the session's strand; anything slow is a Job.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <string_view>
#include <variant>

#include "lib/base/job.hpp"
#include "lib/base/result.hpp"
#include "lib/base/slice.hpp"
#include "lib/base/units.hpp"

namespace longhaul::session {

enum class Lane : std::uint8_t {
  kControl,   // strict first; reliable, ordered; at most kControlMessageMax each
  kLive,      // strict second; newest per key wins
  kUpdate,    // outer updates, by deadline
  kDemand,    // what somebody is waiting for: wanted chunks, manifests, want-bitmaps; by deadline
  kBulk,      // datasets, checkpoints; shares by weight with
  kBackfill,  // history
};
constexpr std::size_t kLaneCount = 6;
using LaneBytes = std::array<std::uint64_t, kLaneCount>;
constexpr std::string_view name_of(Lane lane) {
  constexpr std::array<std::string_view, kLaneCount> kNames{"control", "live", "update",
                                                            "demand",  "bulk", "backfill"};
  return kNames[static_cast<std::size_t>(lane)];
}
constexpr std::size_t kControlMessageMax = 1024;
constexpr std::size_t kMessageMax =
    4U << 20;  // any lane but control; larger ones are refused at both ends

struct Message {
  Lane lane = Lane::kBulk;
  Slice body;
  std::uint64_t key = 0;         // kLive: which state this is the newest of
  std::optional<Time> deadline;  // kUpdate, kDemand: least slack goes first
};

using ServiceOutput = std::variant<Message, Job>;

// Bytes a lane's queue still takes. A service offers no message for a lane that has no room, so
// that bulk is pulled at the link's pace and never piles up: the lane is asked again when room
// returns.
struct Room {
  std::size_t bytes[kLaneCount] = {};
  bool in(Lane lane) const { return bytes[static_cast<std::size_t>(lane)] > 0; }
};

enum class LinkState : std::uint8_t {
  kUp,    // some path carries data
  kDown,  // none does; messages wait, nothing is lost
};

class Service {
 public:
  Service() = default;
  virtual ~Service() = default;
  Service(const Service&) = delete;
  Service& operator=(const Service&) = delete;

  // A message of the twin. `message` may be kept; count what is kept in held().
  virtual void on_message(Time now, Lane lane, Slice message) = 0;
  virtual void on_job(Time now, Job done) = 0;  // a Job of this service, after its run()
  virtual void on_deadline(Time now) = 0;       // at or after next_deadline()
  virtual void on_link(Time now, LinkState state) = 0;
  // The session is over for good; nothing can be sent any more. Jobs handed out still come back.
  virtual void on_end(Time now, const Error& why) = 0;

  // Next thing to do, or nullopt. Called until nullopt after every on_*() and when a lane gets
  // room.
  virtual std::optional<ServiceOutput> poll_output(Time now, const Room& room) = 0;
  virtual std::optional<Time> next_deadline() const = 0;
  // Bytes of received messages not yet let go. The session advertises its receive window less this,
  // so a slow disk slows the sender instead of filling memory.
  virtual std::size_t held() const = 0;
  virtual void check() const = 0;  // invariants
};

}  // namespace longhaul::session
