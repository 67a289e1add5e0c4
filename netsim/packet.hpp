// What goes into a link and what comes out of it. A packet is a size and the caller's cookie; its
// bytes stay with the caller. Every cookie comes back exactly once, as a Drop or as a Delivery with
// `duplicate` false; copies (`duplicate` true) come before that one, so the caller may free its
// buffer when it sees it.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <string_view>

#include "lib/base/units.hpp"

namespace netsim {

enum class Ecn : std::uint8_t {
  kNotEct = 0,
  kEct1 = 1,
  kEct0 = 2,
  kCe = 3
};  // as in the IP header

struct Packet {
  std::uint64_t cookie = 0;
  std::uint32_t bytes = 0;  // IP packet: headers and payload
  Ecn ecn = Ecn::kNotEct;
};

enum class DropReason : std::uint8_t {
  kLoss,       // the loss model
  kQueueFull,  // no room in front of the bottleneck
  kAqm,        // CoDel or PIE
  kPolicer,    // no token
  kTooBig,     // over the MTU, and the sender is to be told (ICMP)
  kBlackHole,  // over the MTU, and nobody says so
  kOutage,     // the link was down, or went down while the packet was on it
};
constexpr std::size_t kDropReasons = 7;
std::string_view name_of(DropReason why);

struct Delivery {
  longhaul::Time at;  // exact; pop() may be called later
  std::uint64_t cookie = 0;
  bool ce_mark = false;    // set the CE codepoint
  bool corrupt = false;    // flip a bit
  bool duplicate = false;  // a copy; the original follows with the same `at`
};

struct Drop {
  std::uint64_t cookie = 0;
  DropReason why = DropReason::kLoss;
};

// In + duplicated == delivered + dropped + what is still inside.
struct PipeCounters {
  std::uint64_t packets_in = 0, bytes_in = 0;
  std::uint64_t delivered = 0;  // popped, copies included
  std::array<std::uint64_t, kDropReasons> dropped{};
  std::uint64_t marked = 0, corrupted = 0, duplicated = 0, held_back = 0;
  std::uint64_t queue_bytes_max = 0;
  std::uint64_t dropped_for(DropReason why) const { return dropped[static_cast<std::size_t>(why)]; }
  std::uint64_t dropped_total() const;
  auto operator<=>(const PipeCounters&) const = default;
};

}  // namespace netsim
