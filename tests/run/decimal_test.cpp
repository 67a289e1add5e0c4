#include "lib/run/decimal.hpp"

#include <gtest/gtest.h>

#include <limits>

#include "lib/base/rng.hpp"
#include "lib/run/segment.hpp"

namespace longhaul::run {
namespace {

std::uint64_t bits_of(double value) {
  return std::bit_cast<std::uint64_t>(value);
}

TEST(Decimal, WhatItTakesComesBackBitForBit) {
  Rng rng(1, "decimal");
  for (int round = 0; round < 100'000; ++round) {
    const auto places = static_cast<std::uint8_t>(rng.below(kDecimalPlaces));
    const double whole = static_cast<double>(rng.below(std::uint64_t{1} << (1 + rng.below(50))));
    const double value = (rng.chance(0.5) ? -whole : whole) / detail::kTens[places];
    const auto taken = to_decimal(value, places);
    ASSERT_TRUE(taken.has_value()) << value << " at " << int{places};
    ASSERT_EQ(bits_of(from_decimal(*taken, places)), bits_of(value));
    const double any = std::bit_cast<double>(rng.next());
    if (const auto odd = to_decimal(any, places)) {
      ASSERT_EQ(bits_of(from_decimal(*odd, places)), bits_of(any));
    }
  }
}

TEST(Decimal, FindsTheFewestPlacesAndRefusesWhatHasNone) {
  using Limits = std::numeric_limits<double>;
  EXPECT_EQ(decimal_places({bits_of(3), bits_of(-0.0), bits_of(1e9)}), 0);
  EXPECT_EQ(decimal_places({bits_of(0.5), bits_of(-1.25)}), 2);
  EXPECT_EQ(decimal_places({bits_of(8.8e-05), bits_of(0.004457363)}), 9);
  // Each has places, but together they need more digits than a double has.
  EXPECT_EQ(decimal_places({bits_of(1e14), bits_of(1e-12)}), std::nullopt);
  for (const double none : {0.1 + 0.2, 1.0 / 3, Limits::quiet_NaN(), Limits::infinity(),
                            Limits::denorm_min(), Limits::max(), -Limits::infinity()})
    EXPECT_EQ(decimal_places({bits_of(1), bits_of(none)}), std::nullopt) << none;
}

// Seconds counted in nanoseconds, as a step's parts are: as bits they would take seven bytes.
TEST(Decimal, TimesOfAStepTakeTheirDifferencesInASegment) {
  Rng rng(2, "seconds");
  std::vector<Point> points;
  for (std::uint64_t step = 0; step < 10'000; ++step)
    points.push_back({SeriesId(3), step, WallTime{static_cast<std::int64_t>(step * 1'000'000)},
                      static_cast<double>(4'450'000 + rng.below(10'000)) / 1e9});
  const ByteVector packed = encode_segment(points);
  EXPECT_LE(static_cast<double>(packed.size()) / 10'000.0, 2.0);
  EXPECT_EQ(decode_segment(packed).value(), points);
}

}  // namespace
}  // namespace longhaul::run
