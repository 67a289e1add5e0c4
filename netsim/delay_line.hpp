// DelayLine: propagation. It holds what is in flight, without limit, and gives it back in (time,
// sequence) order. What arrives in order waits in a ring, the rest in a heap; the two are merged,
// so that a link without reordering costs no more than a ring and jitter may be switched on while
// packets fly.
#pragma once

#include <cstdint>
#include <optional>

#include "netsim/jitter.hpp"
#include "netsim/packet.hpp"
#include "netsim/ring.hpp"
#include "netsim/time_queue.hpp"

namespace netsim {

class DelayLine {
 public:
  DelayLine(const DirectionConfig& config, const longhaul::Rng& rng);
  void push(Time exit, std::uint64_t cookie, bool marked, PipeCounters& counters);
  std::optional<Delivery> pop(Time now);
  std::optional<Time> next_delivery() const;
  Duration least_delay() const { return jitter_.least(); }
  void reconfigure(const DirectionConfig& config);
  void flush(Time now, Ring<Drop>& drops);  // what would arrive after `now` is lost
  std::size_t packets() const { return in_order_.size() + out_of_order_.size(); }

 private:
  enum Flag : std::uint8_t { kMarked = 1, kCorrupt = 2, kDuplicate = 4 };
  struct Flight {
    Time at;
    std::uint64_t cookie;
    std::uint64_t sequence : 56;
    std::uint64_t flags : 8;
  };
  static_assert(sizeof(Flight) == 24, "at most 48 bytes a packet in a ring that is half empty");
  struct Late {  // of a heap entry, whose time and sequence stand beside it
    std::uint64_t cookie;
    std::uint8_t flags;
  };
  void put(Time at, std::uint64_t cookie, std::uint8_t flags, bool held_back);
  bool ring_is_next() const;

  Jitter jitter_;
  longhaul::Rng reorder_rng_, corrupt_rng_, duplicate_rng_;
  bool may_reorder_;
  ReorderConfig reorder_;
  CorruptConfig corrupt_;
  double duplicate_;
  Ring<Flight> in_order_;
  TimeQueue<Late> out_of_order_;
  Time last_{};  // latest time given to a packet that was not held back
  std::uint64_t sequence_ = 0;
};

}  // namespace netsim
