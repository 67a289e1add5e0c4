// Link: two Pipes and a timeline of events. Events take effect at their exact time, whenever the
// caller next looks; `up` goes from side a to side b. Not thread-safe.
//
//   link.push(now, Direction::kUp, packet);
//   for (Direction d : kBothWays) while (auto out = link.pop(now, d)) ..
//   for (Direction d : kBothWays) while (auto drop = link.pop_drop(d)) ..
//   while (auto rebound = link.pop_rebind()) ..
#pragma once

#include <array>
#include <optional>
#include <variant>

#include "netsim/pipe.hpp"
#include "netsim/time_queue.hpp"

namespace netsim {

using EventKind = decltype(Event::what);

class Link {
 public:
  // A config that check() refuses is a bug. Event times count from `start`.
  Link(const LinkConfig& config, const longhaul::Rng& rng, Time start);

  void push(Time now, Direction direction, const Packet& packet);
  std::optional<Delivery> pop(Time now, Direction direction);
  std::optional<Drop> pop_drop(Direction direction);
  struct Rebound {
    Time at;
    bool address_too;
  };
  std::optional<Rebound> pop_rebind();

  // When packets may next come out; nothing while none is inside, however many events lie ahead.
  std::optional<Time> next_delivery() const;
  // As next_delivery, and not after the next event.
  std::optional<Time> next_deadline() const;

  void advance(Time now);  // events up to now; push and pop do it, too
  void apply(Time now, const EventKind& what);
  // Live change: what waits or flies stays. A different list of events starts anew, counted from
  // now.
  void reconfigure(Time now, const LinkConfig& config);

  const LinkConfig& config() const { return config_; }  // as changed by the steps so far
  const Pipe& pipe(Direction direction) const { return pipes_[index(direction)]; }
  void check() const;

 private:
  enum class Change : std::uint8_t { kEvent, kMend, kRestoreMtu };
  struct Pending {
    Change change;
    Direction direction;  // of kMend
    std::size_t event;    // of kEvent: its place in config_.events
  };
  static std::size_t index(Direction d) { return static_cast<std::size_t>(d); }
  Pipe& own_pipe(Direction direction) { return pipes_[index(direction)]; }
  void schedule_events(Time from);
  void run(Time at, const Pending& pending);
  void act(Time now, const EventKind& what);
  void cut(Time now, Direction direction, Duration length);
  void refresh(Time now, Direction direction);

  LinkConfig config_;
  std::array<Pipe, 2> pipes_;
  TimeQueue<Pending> timeline_;
  std::array<Time, 2> cut_until_{};
  std::optional<std::uint32_t> hole_mtu_;  // during a PmtuDrop
  Time hole_until_{};
  Ring<Rebound> rebinds_;
};

}  // namespace netsim
