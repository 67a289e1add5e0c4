// Bottleneck: one server behind a finite queue. It takes a packet when the one before has left, so
// that a queue discipline decides at the exact time of each departure. With aggregation it waits
// for the medium, then takes up to packets_max at once; they leave together at the end of the
// burst.
#pragma once

#include <cstdint>
#include <optional>
#include <vector>

#include "netsim/packet_queue.hpp"
#include "netsim/rate_clock.hpp"

namespace netsim {

class Bottleneck {
 public:
  Bottleneck(const DirectionConfig& config, const longhaul::Rng& rng, Time start);
  struct Exit {
    Time at;
    std::uint64_t cookie;
    bool marked;
  };

  // After advance(now) has returned nullopt. A `now` before an earlier departure is taken as it is.
  void push(Time now, const Packet& packet, Ring<Drop>& drops);
  std::optional<Exit> advance(Time until,
                              Ring<Drop>& drops);  // the next packet that leaves by `until`
  std::optional<Time> next_event() const;
  void reconfigure(Time now, const DirectionConfig& config);  // what is being sent keeps its time
  void flush(Time now, Ring<Drop>& drops);
  std::size_t packets() const { return queue_.packets() + batch_.size() - sent_; }
  std::uint64_t queue_bytes() const { return queue_.bytes(); }
  void check() const { queue_.check(); }

 private:
  enum class Phase : std::uint8_t { kIdle, kWaitingForMedium, kSending };
  void next_round(Time now, Ring<Drop>& drops);
  void take_batch(Time now, std::uint32_t packets_max, Ring<Drop>& drops);

  std::optional<AggregationConfig> aggregation_;
  PacketQueue queue_;
  RateClock rate_;
  Phase phase_ = Phase::kIdle;
  Time next_{};                            // end of the wait or of the transmission
  Time free_from_{};                       // when the server last fell idle
  std::vector<PacketQueue::Entry> batch_;  // being sent
  std::size_t sent_ = 0;                   // of batch_, handed out
};

}  // namespace netsim
