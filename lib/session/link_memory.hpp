// LinkMemory: what one session learned of its link, kept by the owner (keyed by site and network)
// and given to the next session over it. A hint, never trusted: everything is measured again.
#pragma once

#include <cstdint>

#include "lib/base/units.hpp"

namespace longhaul::session {

struct LinkMemory {
  BytesPerSecond rate;  // delivered at best over ten round trips; zero: nothing known
  Duration rtt_min{};
  std::uint32_t loss_ppm = 0;    // of bytes sent
  std::uint32_t bulk_paths = 0;  // K that served; zero: nothing known
  bool bbr = false;              // the kernel granted it
  bool datagrams = false;        // bulk went in them at the end, which begin where they were

  bool empty() const { return rate.value() == 0; }
  bool operator==(const LinkMemory&) const = default;
};

}  // namespace longhaul::session
