// SessionDouble: two services joined as a session would join them, in virtual time. It keeps what
// lib/session promises and no more: every message arrives exactly once, control in order, other
// lanes in any order (seeded delay), bulk pulled at the link's rate, the receiver's held() closing
// the window. Jobs run inline after a seeded delay. kill() drops one service as kill -9 would: its
// queued messages and unfinished jobs are gone (each of those jobs may or may not have run).
#pragma once

#include <array>
#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <vector>

#include "lib/base/rng.hpp"
#include "lib/session/service.hpp"

namespace longhaul::test {

struct DoubleLink {
  Duration one_way = 80ms;
  Duration jitter = 10ms;  // added to all lanes but control
  BytesPerSecond rate = BytesPerSecond::from_bits(200'000'000);
  std::size_t window_bytes = 16U << 20;  // undelivered + held by the receiving service
  std::size_t queue_bytes = 1U << 20;    // room of a lane
  Duration job_time_max = 3ms;
};

class SessionDouble {
 public:
  enum class End : std::uint8_t { kA, kB };
  SessionDouble(std::uint64_t seed, DoubleLink shape);

  void attach(End end, session::Service& service);
  // Drops the service: what it had queued or was still computing is lost; what it had put on the
  // link arrives. The other end is told by on_end() unless it is gone too.
  void kill(End end);
  void set_link(session::LinkState state);

  Time now() const { return now_; }
  // Runs until nothing is left to do, `done` holds or `limit` has passed. True if `done` held.
  bool run_until(const std::function<bool()>& done, Duration limit = 600s);
  bool step();  // one event; false when there is none
  void pump();  // drains outputs of both; call after using a service directly

  // What crossed, per lane, from `end`.
  std::uint64_t sent_bytes(End end, session::Lane lane) const;
  std::uint64_t steps() const { return steps_; }
  std::uint64_t trace_hash() const { return trace_; }
  // Sees each message before it is sent; may change it (a hostile peer) or return nullopt (drops
  // it).
  using Tap = std::function<std::optional<Slice>(End, session::Lane, Slice)>;
  void tap(Tap tap) { tap_ = std::move(tap); }
  // Delivers a message made up by a test, as if `from` had sent it.
  void inject(End from, session::Lane lane, Slice body);

 private:
  struct Handed {
    Job job;
    bool has_run = false;
  };
  struct Side {
    session::Service* service = nullptr;
    std::uint64_t life = 0;  // events of an earlier life are dropped
    std::array<std::size_t, session::kLaneCount> queued{};
    std::array<std::uint64_t, session::kLaneCount> sent{};
    std::map<std::uint64_t, Handed> jobs;
    std::deque<session::Message> waiting;  // admitted, not yet on the link
    std::size_t on_link = 0;               // bytes sent, not yet delivered to the other side
    Time link_free{};
    Time control_last{};
  };
  using Key = std::pair<Time, std::uint64_t>;
  struct Event {
    std::function<void()> act;
  };

  Side& side(End end) { return sides_[static_cast<std::size_t>(end)]; }
  static End other(End end) { return end == End::kA ? End::kB : End::kA; }
  void at(Time when, std::function<void()> act);
  void drain(End end);
  void put_on_link(End end);
  void start_job(End end, Job job);
  void note(std::uint64_t value);

  DoubleLink shape_;
  Rng delay_;
  Rng jobs_;
  Rng fate_;
  Time now_{};
  std::uint64_t sequence_ = 0;
  std::uint64_t steps_ = 0;
  std::uint64_t trace_ = 0xcbf29ce484222325ULL;
  bool up_ = true;
  bool pumping_ = false;
  std::map<Key, Event> events_;
  std::array<Side, 2> sides_;
  Tap tap_;
};

}  // namespace longhaul::test
