// Roots by integers and by plain IEEE arithmetic, the same bits with every compiler: libm may
// differ between machines, and a simulated run must not.
#pragma once

#include <cstdint>

namespace netsim {

// floor(sqrt(x))
constexpr std::uint64_t square_root(std::uint64_t x) {
  std::uint64_t root = 0;
  for (std::uint64_t bit = std::uint64_t{1} << 31; bit != 0; bit >>= 1) {
    const std::uint64_t trial = root | bit;
    if (trial <= x / trial) root = trial;
  }
  return root;
}

// sqrt and cube root of x > 0 by Newton's method, to the last bits of a double.
constexpr double real_square_root(double x) {
  double root = x > 1 ? x : 1;
  for (int i = 0; i < 1100; ++i) {  // halves until near, then doubles its digits each round
    const double better = 0.5 * (root + x / root);
    if (better >= root) break;
    root = better;
  }
  return root;
}
constexpr double real_cube_root(double x) {
  double root = x > 1 ? x : 1;
  for (int i = 0; i < 2000; ++i) {
    const double better = (2 * root + x / (root * root)) / 3;
    if (better >= root) break;
    root = better;
  }
  return root;
}

}  // namespace netsim
