#include "lib/run/curve.hpp"

#include <algorithm>
#include <cmath>

#include "lib/base/assert.hpp"

namespace longhaul::run {
namespace {

void join(Extremes& to, const Extremes& more) {
  if (more.finite > 0) {
    to.least = to.finite > 0 ? std::min(to.least, more.least) : more.least;
    to.greatest = to.finite > 0 ? std::max(to.greatest, more.greatest) : more.greatest;
  }
  to.sum += more.sum;
  to.points += more.points;
  to.finite += more.finite;
}

Extremes of(const CurvePoint& point) {
  if (!std::isfinite(point.value)) return {0, 0, 0, 1, 0};
  return {point.value, point.value, point.value, 1, 1};
}

// Twice the area of the triangle, in steps x value.
double area(const CurvePoint& a, const CurvePoint& b, double step, double value) {
  const double ax = static_cast<double>(a.step), bx = static_cast<double>(b.step);
  return std::abs((ax - step) * (b.value - a.value) - (ax - bx) * (value - a.value));
}

// Largest triangles in `count` buckets (Steinarsson 2013): of each bucket the point that spans the
// largest triangle with the one chosen before and the mean of the bucket behind.
std::vector<CurvePoint> largest_triangles(const std::vector<CurvePoint>& in, std::size_t count) {
  if (in.size() <= count) return in;
  std::vector<CurvePoint> out{in.front()};
  const std::size_t inner = in.size() - 2, buckets = count - 2;
  const auto edge = [&](std::size_t i) { return 1 + i * inner / buckets; };
  for (std::size_t i = 0; i < buckets; ++i) {
    const std::size_t after = edge(i + 1);
    const std::size_t end = i + 1 < buckets ? edge(i + 2) : in.size();
    double step = 0, value = 0;
    for (std::size_t k = after; k < end; ++k) {
      step += static_cast<double>(in[k].step);
      value += in[k].value;
    }
    const auto span = static_cast<double>(end - after);
    const auto larger = [&](const CurvePoint& a, const CurvePoint& b) {
      return area(out.back(), a, step / span, value / span) <
             area(out.back(), b, step / span, value / span);
    };
    const auto begin = in.begin() + static_cast<std::ptrdiff_t>(edge(i));
    out.push_back(
        *std::max_element(begin, in.begin() + static_cast<std::ptrdiff_t>(after), larger));
  }
  out.push_back(in.back());
  return out;
}

}  // namespace

void Curve::append(std::uint64_t step, double value) {
  if (!points_.empty() && step <= points_.back().step) cut(place_of(step));
  points_.push_back({step, value});
  std::size_t width = kFan;
  for (std::size_t level = 0; points_.size() % width == 0; ++level, width *= kFan) {
    if (level == levels_.size()) levels_.emplace_back();
    Extremes node;
    if (level == 0) {
      for (std::size_t i = points_.size() - kFan; i < points_.size(); ++i)
        join(node, of(points_[i]));
    } else {
      const auto& below = levels_[level - 1];
      for (std::size_t i = below.size() - kFan; i < below.size(); ++i) join(node, below[i]);
    }
    levels_[level].push_back(node);
  }
}

void Curve::cut(std::size_t size) {
  points_.resize(size);
  std::size_t width = kFan;
  for (auto& level : levels_) {
    level.resize(size / width);
    width *= kFan;
  }
}

std::size_t Curve::place_of(std::uint64_t step) const {
  const auto before = [](const CurvePoint& p, std::uint64_t s) { return p.step < s; };
  const auto found = std::lower_bound(points_.begin(), points_.end(), step, before);
  return static_cast<std::size_t>(found - points_.begin());
}

// Climbs the pyramid while the stretch allows it: at most 2 * kFan nodes a level.
Extremes Curve::over(std::size_t begin, std::size_t end) const {
  Extremes sum;
  while (begin < end) {
    std::size_t level = 0, width = 1;
    while (level < levels_.size() && begin % (width * kFan) == 0 && begin + width * kFan <= end) {
      width *= kFan;
      ++level;
    }
    join(sum, level == 0 ? of(points_[begin]) : levels_[level - 1][begin / width]);
    begin += width;
  }
  return sum;
}

std::vector<Extremes> Curve::columns(std::uint64_t from, std::uint64_t to,
                                     std::size_t count) const {
  std::vector<Extremes> columns(count);
  if (to <= from || count == 0) return columns;
  const std::uint64_t span = to - from;
  __extension__ using Wide = unsigned __int128;
  const auto edge = [&](std::size_t i) {
    return from + static_cast<std::uint64_t>(Wide{span} * i / count);
  };
  for (std::size_t i = 0; i < count; ++i)
    columns[i] = over(place_of(edge(i)), place_of(edge(i + 1)));
  return columns;
}

std::vector<CurvePoint> Curve::thin(std::uint64_t from, std::uint64_t to, std::size_t count) const {
  ASSERT(count >= 3);
  const std::size_t begin = place_of(from), end = place_of(to);
  std::vector<CurvePoint> chosen;
  if (begin >= end) return chosen;
  const std::size_t stretches = std::min(end - begin, count * 2);  // a least and a greatest each
  std::size_t first = end, last = begin;
  for (std::size_t i = begin; i < end && first == end; ++i)
    if (std::isfinite(points_[i].value)) first = i;
  for (std::size_t i = end; i > begin && last == begin; --i)
    if (std::isfinite(points_[i - 1].value)) last = i - 1;
  if (first == end) return chosen;
  chosen.push_back(points_[first]);
  for (std::size_t i = 0; i < stretches; ++i) {
    const std::size_t a = begin + (end - begin) * i / stretches;
    const std::size_t b = begin + (end - begin) * (i + 1) / stretches;
    std::size_t least = b, greatest = b;
    for (std::size_t k = std::max(a, first + 1); k < std::min(b, last); ++k) {
      if (!std::isfinite(points_[k].value)) continue;
      if (least == b || points_[k].value < points_[least].value) least = k;
      if (greatest == b || points_[k].value > points_[greatest].value) greatest = k;
    }
    if (least == b) continue;
    chosen.push_back(points_[std::min(least, greatest)]);
    if (least != greatest) chosen.push_back(points_[std::max(least, greatest)]);
  }
  if (last != first) chosen.push_back(points_[last]);
  return largest_triangles(chosen, count);
}

}  // namespace longhaul::run
