// PacketQueue: what waits in front of the bottleneck, and its discipline. Limits count waiting
// packets only: neither the one being sent nor those in flight. Drops go to the ring given at each
// call.
#pragma once

#include <cstdint>
#include <optional>
#include <variant>

#include "lib/base/rng.hpp"
#include "netsim/codel.hpp"
#include "netsim/config.hpp"
#include "netsim/packet.hpp"
#include "netsim/pie.hpp"
#include "netsim/ring.hpp"

namespace netsim {

class PacketQueue {
 public:
  PacketQueue(const QueueConfig& config, const longhaul::Rng& rng, Time start);
  struct Entry {
    std::uint64_t cookie;
    Time since;
    std::uint32_t bytes;
    bool can_mark, marked;
  };

  void push(Time now, const Packet& packet, Ring<Drop>& drops);
  std::optional<Entry> pop(Time now, Ring<Drop>& drops);
  bool empty() const { return waiting_.empty(); }
  std::size_t packets() const { return waiting_.size(); }
  std::uint64_t bytes() const { return bytes_; }
  // Keeps what waits, and the controller's state if the discipline stays the same.
  void reconfigure(Time now, const QueueConfig& config);
  void flush(Ring<Drop>& drops);  // all of it is lost to an outage
  void check() const;

 private:
  bool fits(std::uint32_t bytes) const;
  Entry take();

  QueueConfig config_;
  longhaul::Rng rng_;
  std::variant<std::monostate, CoDelState, PieState> controller_;
  Ring<Entry> waiting_;
  std::uint64_t bytes_ = 0;
};

}  // namespace netsim
