// Segment: a stretch of an attempt's points packed for a long link: columns instead of rows, what
// can be predicted taken out, byte planes for the values, zstd over each column. 20 noisy series
// take about 2.5 bytes a point (docs/performance.md), where JSON takes 30.
//
// Lossless but for the time, which is rounded down to the microsecond. Order is kept: the k-th
// point out is the k-th point in. Bytes: docs/run.md, "Segment".
#pragma once

#include <vector>

#include "lib/base/bytes.hpp"
#include "lib/base/result.hpp"
#include "lib/run/point.hpp"

namespace longhaul::run {

constexpr std::size_t kSegmentPointsMax = 65'536;
constexpr std::size_t kSegmentBytesMax = 2U << 20;  // encoded

// At most kSegmentPointsMax points.
ByteVector encode_segment(const std::vector<Point>& points);
// kMalformed or kLimit; a hostile segment costs at most 8 MiB and its own length in time.
Result<std::vector<Point>> decode_segment(Bytes in);

}  // namespace longhaul::run
