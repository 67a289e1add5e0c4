// Heartbeat: is a path alive, and how long is its round trip? The interval is max(1 s, 3 RTT); two
// of them without a word from the peer, or since our words reach it no more, and the path counts as
// silent, whatever the kernel still hopes for (after 60 s of outage it hopes for 39 s more). Pings
// go twice an interval, so that a path dead in one direction only is known within two. Not
// thread-safe.
#pragma once

#include <algorithm>
#include <cstdint>

#include "lib/base/units.hpp"

namespace longhaul::session {

constexpr Duration kHeartbeatLeast = 1s;
constexpr Duration kHeartbeatMost = 5s;  // a peer that answers late cannot make us blind

class Heartbeat {
 public:
  // rtt: of the path's handshake, which the first words will not beat where a queue stands; zero:
  // not known.
  explicit Heartbeat(Time now, Duration rtt = {})
      : heard_(now), next_ping_(now), ping_sent_(now), kernel_rtt_(rtt) {}

  // The peer's kernel acknowledged new bytes: what we say gets there, however long our ping or its
  // answer wait behind bulk data on a slow connection. A kernel also does that for a process that
  // stands still: of that we hear nothing more. rtt: the kernel's own, zero: not known. Where many
  // connections share a slow link's long queue, it is known long before a ping was answered.
  void on_progress(Time now, Duration rtt) {
    progress_ = now;
    if (rtt > Duration{}) kernel_rtt_ = rtt;
  }
  Duration interval() const {
    return std::clamp<Duration>(std::max(rtt_, kernel_rtt_) * 3, kHeartbeatLeast, kHeartbeatMost);
  }
  void on_heard(Time now) { heard_ = std::max(heard_, now); }
  // Call when ping_at() has come; gives the number to send.
  std::uint64_t ping(Time now) {
    next_ping_ = now + interval() / 2;
    if (ping_out_) return ++number_;  // the one before is unanswered: its answer still counts
    ping_out_ = true;
    timed_ = ++number_;
    ping_sent_ = now;
    return number_;
  }
  void on_pong(Time now, std::uint64_t number) {
    if (!ping_out_ || number < timed_ || number > number_) return;
    ping_out_ = false;
    if (number != timed_) return;
    const Duration sample = now - ping_sent_;
    rtt_ = rtt_ == Duration{} ? sample : (rtt_ * 7 + sample) / 8;
    rtt_min_ = rtt_min_ == Duration{} ? sample : std::min(rtt_min_, sample);
    last_ = sample;
  }
  Time ping_at() const { return next_ping_; }
  Time silent_at() const {
    const Time unheard = heard_ + 2 * interval();
    return ping_out_ ? std::min(unheard, std::max(ping_sent_, progress_) + interval() * 3 / 2)
                     : unheard;
  }
  bool silent(Time now) const { return now >= silent_at(); }
  Time heard() const { return heard_; }
  Duration rtt() const { return rtt_; }  // smoothed; zero: not known
  Duration rtt_min() const { return rtt_min_; }
  Duration last_rtt() const { return last_; }

 private:
  Time heard_, next_ping_, ping_sent_, progress_{};
  std::uint64_t number_ = 0, timed_ = 0;
  bool ping_out_ = false;
  Duration rtt_{}, rtt_min_{}, last_{}, kernel_rtt_{};
};

}  // namespace longhaul::session
