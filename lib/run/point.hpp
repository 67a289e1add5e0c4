// Point: one value of one series at one step of a run. A value is a double; what fits a float is
// stored and sent as one, bit for bit. Steps of a series may repeat and may go back (a run that
// resumes from a checkpoint): the key of a point is (run, attempt, series, step), and later points
// of an attempt replace earlier ones of the same key.
#pragma once

#include <bit>
#include <cstdint>

#include "lib/base/ids.hpp"
#include "lib/base/units.hpp"

namespace longhaul::run {

using SeriesId = Id<struct SeriesTag, std::uint32_t>;  // dense from 0 within an attempt

constexpr std::uint32_t kSeriesMax = 131'072;  // in one attempt
constexpr std::size_t kSeriesNameMax = 247;    // bytes
constexpr SeriesId kNoSeries{0xFFFF'FFFFU};    // a series that could not be named: dropped

struct Point {
  SeriesId series;
  std::uint64_t step = 0;
  WallTime at;       // when the training thread logged it
  double value = 0;  // NaN and infinities are values like others
  // Bit for bit: a NaN equals itself, 0.0 differs from -0.0.
  bool operator==(const Point& o) const {
    return series == o.series && step == o.step && at == o.at &&
           std::bit_cast<std::uint64_t>(value) == std::bit_cast<std::uint64_t>(o.value);
  }
};

// Whether the value survives a trip through a float with all its bits.
inline bool fits_float(double value) {
  const double back = static_cast<double>(static_cast<float>(value));
  return std::bit_cast<std::uint64_t>(back) == std::bit_cast<std::uint64_t>(value);
}

}  // namespace longhaul::run
