#include "lib/run/segment.hpp"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>

#include "lib/base/rng.hpp"

namespace longhaul::run {
namespace {

std::vector<Point> rounded(std::vector<Point> points) {  // to what the wire carries
  for (Point& p : points) p.at.ns -= ((p.at.ns % 1000) + 1000) % 1000;
  return points;
}

// Noise around a curve that falls, as loss curves do; every series once a step.
std::vector<Point> noisy_curves(std::uint32_t series, std::uint64_t steps) {
  Rng rng(1, "curves");
  std::vector<Point> points;
  std::int64_t at = 1'700'000'000'000'000'000;
  for (std::uint64_t step = 0; step < steps; ++step) {
    at += 180'000'000 + static_cast<std::int64_t>(rng.below(4'000'000));
    for (std::uint32_t s = 0; s < series; ++s) {
      const double curve = (1.0 + s) * (0.5 + 3.0 / std::sqrt(1.0 + static_cast<double>(step)));
      const double noise = 1.0 + 0.05 * (rng.unit() + rng.unit() - 1.0);
      points.push_back({SeriesId(s), step, WallTime{at},
                        static_cast<double>(static_cast<float>(curve * noise))});
    }
  }
  return points;
}

TEST(Segment, GivesBackItsPointsInOrder) {
  using Limits = std::numeric_limits<double>;
  const auto curves = noisy_curves(20, 500);
  EXPECT_EQ(decode_segment(encode_segment(curves)).value(), rounded(curves));
  Rng rng(2, "points");
  for (int round = 0; round < 200; ++round) {
    std::vector<Point> points;
    for (std::uint64_t n = rng.below(60); n > 0; --n) {
      const double odd[] = {Limits::quiet_NaN(), -Limits::infinity(), -0.0, 0.1,
                            std::bit_cast<double>(rng.next())};
      points.push_back({SeriesId(static_cast<std::uint32_t>(
                            rng.chance(0.8) ? rng.below(5) : rng.below(kSeriesMax))),
                        rng.chance(0.9) ? rng.below(100) : rng.next(),
                        WallTime{static_cast<std::int64_t>(rng.below(1U << 30)) - (1 << 29)},
                        odd[rng.below(5)]});
    }
    const auto back = decode_segment(encode_segment(points));
    ASSERT_TRUE(back.has_value()) << back.error().message();
    ASSERT_EQ(*back, rounded(points)) << "round " << round;
  }
}

TEST(Segment, TimesAtTheEndsOfTheirRangeComeBackInIt) {
  constexpr auto kLeast = std::numeric_limits<std::int64_t>::min();
  constexpr auto kMost = std::numeric_limits<std::int64_t>::max();
  std::vector<Point> points(4);
  points[0].at.ns = kMost;
  points[1].at.ns = kLeast;
  points[2].at.ns = kMost - 1;
  points[3].at.ns = kLeast + 1;
  const auto back = decode_segment(encode_segment(points)).value();
  const std::int64_t least = kLeast / 1000 * 1000, most = kMost / 1000 * 1000;
  EXPECT_EQ(back[0].at.ns, most);
  EXPECT_EQ(back[1].at.ns, least);
  EXPECT_EQ(back[2].at.ns, most);
  EXPECT_EQ(back[3].at.ns, least);
  EXPECT_EQ(decode_segment(encode_segment(back)).value(), back);
}

// A segment of one point, nothing compressed, whose time is `micros` (docs/run.md, "Segment").
ByteVector segment_at(std::int64_t micros) {
  ByteVector out{std::byte{1}, std::byte{1}};
  const auto column = [&](const ByteVector& bytes) {
    out.insert(out.end(), 2, static_cast<std::byte>(bytes.size()));
    append(out, bytes);
  };
  ByteVector time;
  auto zigzag = (static_cast<std::uint64_t>(micros) << 1) ^ (micros < 0 ? ~std::uint64_t{0} : 0);
  for (; zigzag >= 0x80; zigzag >>= 7) time.push_back(static_cast<std::byte>(zigzag | 0x80));
  time.push_back(static_cast<std::byte>(zigzag));
  const ByteVector zero(1), one(1, std::byte{1}), two_zeros(2);
  for (const ByteVector& bytes : {zero, zero, zero, time, one, two_zeros, zero, zero, zero, zero})
    column(bytes);
  for (int i = 0; i < 8; ++i) column({});
  return out;
}

TEST(Segment, RefusesTimesThatNoClockShows) {
  constexpr std::int64_t kMost = std::numeric_limits<std::int64_t>::max() / 1000;
  for (const std::int64_t fine : {std::int64_t{0}, kMost, -kMost})
    EXPECT_EQ(decode_segment(segment_at(fine)).value().at(0).at.ns, fine * 1000);
  for (const std::int64_t off : {kMost + 1, -kMost - 1, std::numeric_limits<std::int64_t>::min()})
    EXPECT_FALSE(decode_segment(segment_at(off)).has_value()) << off;
}

TEST(Segment, TakesAtMostThreeBytesAPoint) {
  const auto points = noisy_curves(20, 3000);
  const double each = static_cast<double>(encode_segment(points).size()) / 60'000.0;
  RecordProperty("bytes_per_point", std::to_string(each));
  EXPECT_LE(each, 3.0);
}

TEST(Segment, DamageIsRefusedOrDecodesWithinItsBounds) {
  const ByteVector good = encode_segment(noisy_curves(5, 60));
  for (std::size_t cut = 0; cut < good.size(); ++cut)
    EXPECT_FALSE(decode_segment(Bytes(good).first(cut)).has_value()) << cut;
  Rng rng(3, "damage");
  for (int round = 0; round < 3000; ++round) {
    ByteVector bad = good;
    for (std::uint64_t n = 1 + rng.below(4); n > 0; --n)
      bad[rng.below(bad.size())] = static_cast<std::byte>(rng.next());
    const auto points = decode_segment(bad);
    if (points) {
      EXPECT_LE(points->size(), kSegmentPointsMax);
    }
  }
  EXPECT_FALSE(decode_segment(ByteVector(kSegmentBytesMax + 1)).has_value());
}

}  // namespace
}  // namespace longhaul::run
