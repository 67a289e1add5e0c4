// Curve: one series' points in step order, with a pyramid of extremes above them, so that any
// stretch of ten million points is drawn from a few thousand numbers. Points are appended in
// order; a step at or below the newest takes the place of everything behind it (a run that resumed
// from a checkpoint draws over the steps it repeats).
//
// thin() is MinMaxLTTB (Van Der Donckt et al. 2023, arXiv 2305.00332): the least and greatest
// points of each of 4 x n stretches, then, of those, largest triangles. columns() gives what a
// chart with one column a pixel needs, exactly (M4, Jugel et al. 2014, less first and last).
// NaN and infinities never enter an extreme; gaps() counts them.
#pragma once

#include <cstdint>
#include <vector>

namespace longhaul::run {

struct CurvePoint {
  std::uint64_t step = 0;
  double value = 0;
  bool operator==(const CurvePoint&) const = default;
};

// Extremes of a stretch of steps; no points if `points` is 0, no finite one if `finite` is 0.
struct Extremes {
  double least = 0, greatest = 0, sum = 0;
  std::uint64_t points = 0, finite = 0;
};

class Curve {
 public:
  void append(std::uint64_t step, double value);
  std::size_t size() const { return points_.size(); }
  const std::vector<CurvePoint>& points() const { return points_; }

  // `count` columns over the steps [from, to), as equal as whole steps allow. O(count * log n).
  std::vector<Extremes> columns(std::uint64_t from, std::uint64_t to, std::size_t count) const;
  // At most `count` (>= 3) of the finite points in [from, to), first and last among them.
  std::vector<CurvePoint> thin(std::uint64_t from, std::uint64_t to, std::size_t count) const;

 private:
  static constexpr std::size_t kFan = 16;  // points of a node below, a level
  std::size_t place_of(std::uint64_t step) const;
  Extremes over(std::size_t begin, std::size_t end) const;  // places in points_
  void cut(std::size_t size);

  std::vector<CurvePoint> points_;
  std::vector<std::vector<Extremes>> levels_;  // levels_[k][i]: points [i, i+1) * kFan^(k+1), whole
};

}  // namespace longhaul::run
