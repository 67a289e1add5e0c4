// Timing for benches that print one line: work is repeated, and the best and the median run are
// kept. The best says what the code can do; the median, how much the machine was disturbed.
#pragma once

#include <algorithm>
#include <chrono>
#include <cstddef>
#include <vector>

namespace longhaul::bench {

struct Rate {
  double best_bytes_per_s = 0;
  double median_bytes_per_s = 0;
  double best_gb_per_s() const { return best_bytes_per_s / 1e9; }
  double median_gb_per_s() const { return median_bytes_per_s / 1e9; }
};

// Runs `work`, which handles `bytes`, `rounds` times after one run that warms caches up.
template <class Work>
Rate measure_rate(std::size_t bytes, int rounds, Work&& work) {
  work();
  std::vector<double> seconds;
  for (int round = 0; round < rounds; ++round) {
    const auto begin = std::chrono::steady_clock::now();
    work();
    const auto end = std::chrono::steady_clock::now();
    seconds.push_back(std::chrono::duration<double>(end - begin).count());
  }
  std::sort(seconds.begin(), seconds.end());
  const double size = static_cast<double>(bytes);
  return {size / seconds.front(), size / seconds[seconds.size() / 2]};
}

// Keeps the compiler from dropping a result nobody reads.
template <class Value>
void keep(const Value& value) {
  asm volatile("" : : "g"(&value) : "memory");
}

}  // namespace longhaul::bench
