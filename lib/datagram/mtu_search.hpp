// MtuSearch: how large a datagram the path carries, found by probes (RFC 8899, DPLPMTUD). Begins at
// 1200 bytes, which every path must carry; tries the sizes that paths really have, the largest
// first; a size has failed when three probes of it were lost. Falls back when full packets vanish
// while small ones arrive (a black hole) and searches again. Sizes are UDP payloads in bytes. Not
// thread-safe.
#pragma once

#include <array>
#include <cstdint>
#include <optional>

#include "lib/base/units.hpp"

namespace longhaul::datagram {

constexpr std::uint32_t kMtuBase = 1200;
// Payloads over IPv4 at an MTU of 1500; over IPv6 at 1500; PPPoE and common tunnels; IPv6's least.
constexpr std::array<std::uint32_t, 6> kMtuSizes = {1472, 1452, 1412, 1372, 1332, 1252};

class MtuSearch {
 public:
  // Payload bytes of a full packet now.
  std::uint32_t size() const { return size_; }
  // The size to probe now, if one is due and none is under way.
  std::optional<std::uint32_t> wanted(Time now) const;
  std::optional<Time> next_probe() const;
  void on_probe_sent(Time now);
  void on_probe_acked(std::uint32_t bytes);
  void on_probe_lost(Time now, std::uint32_t bytes);
  void on_too_big(std::uint32_t bytes);  // the kernel refuses this size
  // Full packets of ours (not probes) that arrived, and were lost.
  void on_full_acked() { lost_in_a_row_ = 0; }
  void on_full_lost(Time now);
  void restart(Time now);  // another path: back to the base

 private:
  std::uint32_t size_ = kMtuBase;
  std::size_t next_ = 0;  // place in kMtuSizes; those before it have failed
  std::uint32_t failures_ = 0, lost_in_a_row_ = 0;
  bool under_way_ = false;
  Time not_before_{};
};

}  // namespace longhaul::datagram
