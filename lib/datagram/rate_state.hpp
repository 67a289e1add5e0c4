// What the rate control shares with those around it: what it is told, what it is asked to remember,
// and its state as telemetry prints it. Values only.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "lib/base/units.hpp"

namespace longhaul::datagram {

enum class RateMode : std::uint8_t {
  kFair,        // keeps half of the link beside others
  kBackground,  // yields to others
  kMax,         // does not yield to others
};

// A link as an earlier session left it, kept by site and network. A hint, never trusted.
struct KnownLink {
  BytesPerSecond rate;  // IP bytes; zero: nothing known
  Duration rtt_min{};
  bool operator==(const KnownLink&) const = default;
};

struct RateOptions {
  RateMode mode = RateMode::kFair;
  Duration handshake_rtt{};            // of TCP or TLS; zero: not known, 200 ms are assumed
  KnownLink known;                     // rate zero: a link never seen
  BytesPerSecond limit;                // the user's --limit-rate; zero: none
  std::uint32_t packet_bytes = 1452U;  // of a full packet, as counted below
};

// One packet sent. on_sent() makes it, the caller keeps it beside the packet and hands it back
// once, when the packet was acknowledged or given up. Bytes are counted as IP carries them.
struct SentPacket {
  std::uint64_t number = 0;
  Time sent{};
  std::uint32_t bytes = 0;
  std::uint32_t trial = 0;   // of rate control: which stretch of one pace it was sent in
  bool app_limited = false;  // the sender had less to send than it was allowed to
};

struct AckedPacket {
  SentPacket packet;
  Duration received{};    // by the peer's clock, any epoch, microseconds or finer
  bool was_lost = false;  // on_lost() had it already: the loss was none
  bool guessed = false;   // `received`: far from all times that the acknowledgement told
};

enum class RatePhase : std::uint8_t {
  kStart,    // doubling each round trip
  kResume,   // as kStart, from what is known of the link
  kSteady,   // at capacity, holding the queue target
  kDip,      // below capacity for a moment: the delay without a queue
  kProbe,    // a pulse above capacity: is there more?
  kCompete,  // keeping half, beside elastic cross traffic
  kYield,    // background, beside elastic cross traffic
  kTest,     // well below capacity for a round trip: whose are the queue and the loss?
  kOutage,   // nothing comes back
};
std::string_view name_of(RatePhase phase);
std::string_view name_of(RateMode mode);

// For telemetry, plots and tests; decides nothing.
struct RateState {
  RateMode mode = RateMode::kFair;
  RatePhase phase = RatePhase::kStart;
  BytesPerSecond pacing, delivered, capacity;  // sent at, delivered lately, estimate of the link
  ByteCount window, in_flight;
  Duration rtt_min{}, rtt_smooth{}, queue{}, queue_target{};
  std::uint32_t loss_ppm = 0;             // of packets, smoothed
  std::uint32_t congestion_loss_ppm = 0;  // the part that depends on our rate
  std::int32_t skew_ppb = 0;              // peer's clock against ours
  std::uint64_t trials = 0, acked_bytes = 0, lost_bytes = 0;
};
std::string to_text(const RateState& state);  // one line, for logs

}  // namespace longhaul::datagram
