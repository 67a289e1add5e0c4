// How fast memory is here, which a step that makes one token is held against: of a device's own
// memory, or of the host's as the threads read it.
#pragma once

#include "trainer/engine/device.hpp"

namespace longhaul::trainer {

struct MemoryRate {
  double bytes_per_second = 0;
  const char* of = "";  // what it is the rate of, for people
};
// Of the host, by at::get_num_threads() threads over more than most caches hold: the better of a
// sum and of STREAM's triad, a = b + s c, counted as STREAM does, 12 bytes an element (McCalpin).
MemoryRate host_memory_rate();
// Of a device: the better of a copy, read and written bytes counted, and of a sum, which only
// reads. A share of the lower one would flatter.
MemoryRate device_memory_rate(const Device& device);

}  // namespace longhaul::trainer
