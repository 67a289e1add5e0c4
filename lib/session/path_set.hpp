// PathSet: the connections of a session and what each is good for. Which may carry what, which is
// dead, which is missing. Kept in the order in which they began. Not thread-safe.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <vector>

#include "lib/session/frame_path.hpp"
#include "lib/session/heartbeat.hpp"
#include "lib/session/in_flight.hpp"
#include "lib/session/output.hpp"

namespace longhaul::session {

constexpr std::size_t kPathsMax = 72;  // 64 that carry, and dials under way
constexpr std::uint32_t kControlPaths = 2;
// While the connections lose packets, each waits for a retransmission a tenth of the time at 1 %.
constexpr std::uint32_t kControlPathsLossy = 4;
constexpr std::size_t kOverdraftMax = 16384;  // of acknowledgements and control on a full path

struct Path {
  enum class State : std::uint8_t {
    kDialling,  // no connection yet
    kShaking,   // TLS is not done, or our Hello must wait for another path's answer
    kOpen,      // frames may go out
  };
  Path(PathId path_id, PathRole path_role, Time now)
      : id(path_id), role(path_role), since(now), heart(now), progress_at(now) {}

  PathId id;
  PathRole role;
  State state = State::kDialling;
  Time since;  // of this state
  std::unique_ptr<FramePath> stream;
  Heartbeat heart;
  InFlight in_flight;
  Duration handshake_rtt{};  // from the ClientHello to the answer; zero: not known
  bool accepted = false;     // the peer has said so, or we have
  bool early = false;        // said Hello before the peer knew of the association
  bool retiring = false;     // gets nothing new; closed when all is acknowledged
  bool info_wanted = false;
  std::optional<PathInfo> info;

  std::size_t writable = 0;        // what the kernel still takes
  std::size_t overdraft = 0;       // sent beyond that since it last took anything
  std::uint64_t control_next = 0;  // the next control message to send here

  std::uint64_t frames_in = 0, frames_acked = 0;  // of data, received and acknowledged
  Time progress_at;                               // when the peer last acknowledged data of ours
  std::uint64_t bytes_owed = 0;                   // received since our last Ack
  std::optional<Time> ack_at;
  std::optional<std::uint64_t> pong_due;
  std::optional<Tune> tuned;

  bool open() const { return state == State::kOpen; }
  bool alive(Time now) const { return open() && !heart.silent(now); }
  bool takes_urgent() const { return writable > 0 || overdraft < kOverdraftMax; }
  void wrote(std::size_t bytes) {
    const std::size_t covered = std::min(bytes, writable);
    writable -= covered;
    overdraft += bytes - covered;
  }
};

class PathSet {
 public:
  using Paths = std::vector<std::unique_ptr<Path>>;
  Path& add(PathRole role, Time now);
  Path* find(PathId id);
  void remove(PathId id);
  bool full() const { return paths_.size() >= kPathsMax; }
  Paths::iterator begin() { return paths_.begin(); }
  Paths::iterator end() { return paths_.end(); }
  Paths::const_iterator begin() const { return paths_.begin(); }
  Paths::const_iterator end() const { return paths_.end(); }
  bool empty() const { return paths_.empty(); }

  bool any_alive(Time now) const;
  bool any_bulk(Time now) const;  // a bulk path that takes new work
  // The n-th path for control messages (0 leads, the others repeat): control paths first, others if
  // none.
  Path* carrier(Time now, std::size_t n);
  // The control path for the newest values: the one with room that waits for least, and of those
  // the one that got on last. A path that lost a segment waits until it came again, and all that is
  // sent there meanwhile would wait with it. Null: none has room.
  const Path* freshest(Time now) const;
  struct Count {
    std::uint32_t open = 0, pending = 0;  // alive and not retiring; dialling or shaking
  };
  Count count(Time now, PathRole role) const;
  Duration rtt_least(PathRole role) const;  // zero: not known

 private:
  Paths paths_;
  PathId next_{1};
};

}  // namespace longhaul::session
