// Work over flat buffers, cut into pieces for the threads.
#pragma once

#include <ATen/Parallel.h>

#include <cstdint>

namespace longhaul::trainer {

inline constexpr std::int64_t kElementsAtOnce = 1 << 16;

template <class Body>  // body(begin, count) over pieces of [begin, end) on the threads
void over_elements(std::int64_t begin, std::int64_t end, Body&& body) {
  at::parallel_for(begin, end, kElementsAtOnce,
                   [&](std::int64_t first, std::int64_t last) { body(first, last - first); });
}

}  // namespace longhaul::trainer
