// Pipe: one direction of a link, the chain of config.hpp as a pure state machine. All three faces
// use it. Times chain on scheduled times: push takes the moment a packet logically arrived and pop
// gives the exact moment it leaves, so a caller that wakes late adds nothing to what follows. Not
// thread-safe.
//
//   pipe.push(arrived, {cookie, bytes});
//   while (auto drop = pipe.pop_drop()) free(drop->cookie);
//   while (auto out = pipe.pop(now)) send(out->cookie);      // in (time, sequence) order
//   sleep_until(pipe.next_deadline());
//
// Nothing is allocated per packet once the rings have grown to the largest number ever inside.
#pragma once

#include <optional>

#include "lib/base/rng.hpp"
#include "netsim/bottleneck.hpp"
#include "netsim/config.hpp"
#include "netsim/delay_line.hpp"
#include "netsim/loss.hpp"
#include "netsim/packet.hpp"
#include "netsim/policer.hpp"

namespace netsim {

class Pipe {
 public:
  // A config that check() refuses is a bug. `rng` is this direction's own, e.g. seed.stream("up").
  Pipe(const DirectionConfig& config, const longhaul::Rng& rng, Time start);

  void push(Time now, const Packet& packet);  // a `now` before the last push's is taken as that one
  std::optional<Delivery> pop(Time now);      // the next delivery with at <= now
  std::optional<Drop> pop_drop();             // drain after every push and pop
  // pop() gives nothing before this time; at this time it may still give nothing, then ask again.
  std::optional<Time> next_deadline() const;

  // Live change: what waits or flies stays. A loss model, rate or trace starts anew only if it
  // differs.
  void reconfigure(Time now, const DirectionConfig& config);
  // The link breaks: what is queued or in flight is lost, and all that comes until mend().
  void cut(Time now);
  void mend(Time now);
  bool is_cut() const { return cut_; }

  const DirectionConfig& config() const { return config_; }
  const PipeCounters& counters() const { return counters_; }
  std::uint64_t queue_bytes() const { return bottleneck_.queue_bytes(); }
  std::size_t packets_inside() const { return bottleneck_.packets() + line_.packets(); }
  void check() const;  // every packet is accounted for

 private:
  void advance(Time until);
  std::optional<DropReason> refuse(Time now, const Packet& packet);

  DirectionConfig config_;
  std::optional<Policer> policer_;
  LossModel loss_;
  Bottleneck bottleneck_;
  DelayLine line_;
  Ring<Drop> drops_;
  PipeCounters counters_;
  Time last_push_;
  bool cut_ = false;
};

}  // namespace netsim
