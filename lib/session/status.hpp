// Status: a session in numbers, for progress lines, dashboards and the reason for a wait. A value.
#pragma once

#include <algorithm>
#include <cstdint>

#include "lib/base/units.hpp"
#include "lib/datagram/channel.hpp"
#include "lib/session/heartbeat.hpp"
#include "lib/session/path_choice.hpp"
#include "lib/session/rate.hpp"
#include "lib/session/service.hpp"

namespace longhaul::session {

struct Status {
  bool established = false, up = false, ended = false;
  std::uint32_t control_paths = 0, bulk_paths = 0, bulk_wanted = 0;
  Time heard{};  // anything of the peer, by whatever path; each is asked for a word every few
                 // seconds
  Duration rtt{}, rtt_min{}, queue{};
  BytesPerSecond delivered;  // lately; what the peer's session acknowledged
  BytesPerSecond cap;        // of the rate model and the user, the lower; zero: none
  std::uint32_t loss_ppm = 0;
  std::uint64_t queued_bytes = 0;    // waiting in lanes
  std::uint64_t unacked_bytes = 0;   // begun and not acknowledged
  std::uint64_t requeued_bytes = 0;  // sent again because their path died, since the start
  std::uint64_t acked_bytes = 0;     // since the start
  LaneBytes sent{}, received{};      // of messages, by lane, since the start; sent: repeats too
  std::uint64_t received_messages = 0, duplicate_fragments = 0;
  std::uint64_t control_repeats = 0;  // control messages that had come already
  std::uint64_t partial_bytes = 0;    // of messages not yet whole
  bool waits_for_peer = false;        // the peer's window is closed
  // The fast path, and why it is in use or not (name_of()). The rest only while it has keys.
  ChoiceReason choice = ChoiceReason::kNone;
  bool datagrams = false;  // bulk goes in datagrams now
  datagram::Life datagram_life = datagram::Life::kTrying;
  datagram::RateState datagram_rate;
  Duration datagram_rtt{};
  std::uint32_t packet_bytes = 0;  // of UDP payload: what the path carries
  datagram::ChannelCounters datagram_counters;
  std::uint32_t epoch = 0;
  std::uint64_t key_updates = 0;  // of what we seal with, in this epoch

  // So long a link that lives is not silent (heartbeat.hpp).
  Duration silence_most() const {
    return 2 * std::clamp<Duration>(3 * rtt, kHeartbeatLeast, kHeartbeatMost) + rtt;
  }
  bool silent(Time now) const { return established && now - heard > silence_most(); }
};

}  // namespace longhaul::session
