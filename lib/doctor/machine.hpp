// What a host's kernel and limits mean for a long link. Facts are read once; each check is a pure
// function of them, so that a test can be any host.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "lib/base/units.hpp"
#include "lib/doctor/finding.hpp"

namespace longhaul::doctor {

struct Facts {
  std::string congestion_control, congestion_controls;  // in use; what is allowed or available
  std::optional<std::uint64_t> send_buffer_max, receive_buffer_max;  // bytes, tcp_wmem and tcp_rmem
  std::optional<std::uint64_t> watches_max;                          // inotify
  std::uint64_t files_max = 0, files_hard_max = 0;                   // descriptors
  bool has_openat2 = false;
  WallTime now;
};
// `proc`: "/proc", or a folder like it. What cannot be read stays unknown.
Facts read_facts(const std::string& proc, WallTime now);

Finding check_clock(const Facts& facts);
Finding check_congestion_control(const Facts& facts);
Finding check_buffers(const Facts& facts);  // what one connection can carry at 180 ms
Finding check_descriptors(const Facts& facts);
Finding check_watches(const Facts& facts);
Finding check_openat2(const Facts& facts);
std::vector<Finding> examine(const Facts& facts);  // all of them

}  // namespace longhaul::doctor
