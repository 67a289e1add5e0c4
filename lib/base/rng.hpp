// Seeded randomness in named streams: one seed, and a stream per purpose ("loss.up",
// "jitter.down"), so that adding a user of randomness never reshuffles the others. Same seed and
// name give the same numbers with every compiler. Not for secrets. Generator: xoshiro256**
// (Blackman, Vigna 2018), seeded by SplitMix64.
#pragma once

#include <array>
#include <cstdint>
#include <string_view>

#include "lib/base/bytes.hpp"

namespace longhaul {

class Rng {
 public:
  explicit Rng(std::uint64_t seed, std::string_view stream = "");
  Rng stream(std::string_view name) const;  // a child stream, independent of draws made so far

  std::uint64_t next();                      // 64 uniform bits
  std::uint64_t below(std::uint64_t bound);  // uniform in [0, bound), bound > 0, without bias
  std::uint64_t between(std::uint64_t low, std::uint64_t high);  // both ends included
  // True with probability p; p is clamped to [0, 1]. Exact to 2^-53, no libm.
  bool chance(double p);
  double unit();  // uniform in [0, 1), 53 bits
  void fill(MutableBytes out);

 private:
  std::uint64_t key_;  // seed and name, for child streams
  std::array<std::uint64_t, 4> state_;
};

}  // namespace longhaul
