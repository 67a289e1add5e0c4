// Outlet: where a stream leaves the relay, and what a stream proxy can do there on purpose: slice,
// stop after so many bytes, close late, hold everything back. Counts only. Pure; not thread-safe.
#pragma once

#include <cstdint>
#include <optional>

#include "netsim/config.hpp"

namespace netsim::relay {

struct SliceFault {  // at most `bytes` at once, `gap` apart
  ByteCount bytes;
  Duration gap{};
  auto operator<=>(const SliceFault&) const = default;
};
struct LimitFault {  // after so many bytes the connection is closed, or reset
  ByteCount bytes;
  bool reset = false;
  auto operator<=>(const LimitFault&) const = default;
};
struct StreamFaults {
  std::optional<SliceFault> slice;
  std::optional<LimitFault> limit;
  Duration slow_close{};   // the end of the stream is passed on this much later
  bool blackhole = false;  // nothing comes out; what was held flows again when it is turned off
  auto operator<=>(const StreamFaults&) const = default;
};

class Outlet {
 public:
  enum class What : std::uint8_t {
    kWrite,    // hand `bytes` to the destination
    kDiscard,  // forget `bytes`: they come after the end
    kFinish,   // tell the destination that the stream has ended
    kClose,    // the limit is reached: close both sides ..
    kReset,    // .. or reset them
  };
  struct Action {
    What what;
    std::uint64_t bytes = 0;
  };

  explicit Outlet(const StreamFaults& faults) : faults_(faults) {}
  void reconfigure(const StreamFaults& faults) { faults_ = faults; }
  void on_bytes(std::uint64_t bytes) { waiting_bytes_ += bytes; }
  void on_finish() { finish_asked_ = true; }
  void cut_off() { cut_off_ = true; }  // end the stream here and now; later bytes are discarded

  std::optional<Action> poll(Time now);  // drain after every change and at the deadline
  std::optional<Time> next_deadline() const { return deadline_; }
  bool finished() const { return finished_; }
  std::uint64_t passed_bytes() const { return passed_bytes_; }

 private:
  std::optional<Action> poll_bytes(Time now);
  std::optional<Action> poll_finish(Time now);

  StreamFaults faults_;
  std::uint64_t waiting_bytes_ = 0, passed_bytes_ = 0;
  bool finish_asked_ = false, cut_off_ = false, finished_ = false;
  std::optional<Time> empty_since_;  // finish asked and nothing waiting
  Time next_slice_{};
  std::optional<Time> deadline_;
};

}  // namespace netsim::relay
